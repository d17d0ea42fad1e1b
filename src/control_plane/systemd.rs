//! What systemd is told, and how it knows that we live (sd_notify(3)): words over a datagram socket whose name
//! it gives in `NOTIFY_SOCKET`. Without that name nothing is told.
//!
//! ```text
//!   READY=1                            every core accepts
//!   RELOADING=1 … READY=1              SIGHUP
//!   MAINPID=n                          another process has taken over, and is the service from here on
//!   STOPPING=1                         a drain begins
//!   WATCHDOG=1                         twice in WATCHDOG_USEC, while every core's clock goes on
//! ```

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    time::{Duration, Instant},
};

use super::config::Environment;
use crate::{boundary::counters::CoreReader, net::clock};

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that we live.
    every: Option<Duration>,
    next: Option<Instant>,
    /// Each core's clock when we last said so.
    ticks: Vec<u64>,
}

impl ServiceManager {
    /// As the variables say.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is no address that a socket can have.
    pub fn of(environment: &Environment) -> io::Result<Self> {
        let Some(name) = environment.filled("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if name.starts_with('/') => SocketAddr::from_pathname(Path::new(name))?,
            None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no path")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let number = |name| environment.filled(name).and_then(|text| text.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|us| is_ours && *us > 0);
        let every = every.map(|us| Duration::from_micros(us / 2));
        Ok(Self { socket: Some((socket, address)), every, next: None, ticks: Vec::new() })
    }

    fn tell(&self, words: &str) {
        if let Some((socket, address)) = &self.socket {
            // One that is not there, or does not read, is no reason to serve less.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }

    /// Every core accepts.
    pub fn ready(&self) {
        self.tell(&format!("READY=1\nSTATUS=serving\nMAINPID={}", std::process::id()));
    }

    /// A reload begins; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        let us = clock::monotonic_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={us}\nSTATUS=reloading"));
    }

    /// Another process is the service from here on.
    pub fn handed_over(&self, to: u32) {
        self.tell(&format!("MAINPID={to}"));
    }

    /// A drain begins.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping: requests in flight may finish");
    }

    /// Says that we live when it is time, if each of `cores` has moved on since it was last said.
    pub fn watch(&mut self, cores: &[CoreReader], now: Instant) {
        let Some(every) = self.every else { return };
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let ticks: Vec<u64> = cores.iter().map(|core| core.read().ticks).collect();
        let has_moved = |(at, now): (usize, &u64)| self.ticks.get(at).is_none_or(|was| now > was);
        if ticks.iter().enumerate().all(has_moved) {
            self.tell("WATCHDOG=1");
            (self.next, self.ticks) = (Some(now + every), ticks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::counters;

    fn manager(name: &str, further: &[(&str, &str)]) -> (UnixDatagram, ServiceManager) {
        let name = format!("outcrop-notify-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let name = format!("@{name}");
        let all = [("NOTIFY_SOCKET", name.as_str())].into_iter().chain(further.iter().copied());
        (socket, ServiceManager::of(&Environment::from_pairs(all)).unwrap())
    }

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut all = Vec::new();
        let mut bytes = [0; 1024];
        while let Ok(count) = socket.recv(&mut bytes) {
            all.push(String::from_utf8(bytes[..count].to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn it_hears_that_we_live_while_every_core_does() {
        let (socket, mut manager) = manager("watch", &[("WATCHDOG_USEC", "2000000")]);
        let (cores, readers): (Vec<_>, Vec<_>) = (0..2).map(|_| counters::channel()).unzip();
        let start = clock::now();
        let mut at = |seconds: u64| {
            manager.watch(&readers, start + Duration::from_secs(seconds));
            heard(&socket).len()
        };
        assert_eq!(at(0), 1);
        cores.iter().for_each(|core| core.ticks.add(1));
        assert_eq!(at(0), 0, "not twice in half the time");
        assert_eq!(at(1), 1);
        cores[0].ticks.add(1);
        assert_eq!((at(2), at(3)), (0, 0), "one hangs");
        cores[1].ticks.add(1);
        assert_eq!(at(4), 1);
    }

    #[test]
    fn a_watchdog_of_another_process_is_none_of_ours() {
        let other = [("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "1")];
        let (socket, mut manager) = manager("other", &other);
        manager.watch(&[], clock::now());
        assert!(heard(&socket).is_empty());
        manager.reloading();
        let words = heard(&socket).concat();
        let us = words.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(
            words.starts_with("RELOADING=1\n") && us.is_some_and(|us| us.parse::<u64>().is_ok())
        );
    }

    #[test]
    fn nothing_is_told_to_nobody() {
        let none = Environment::from_pairs::<&str, &str>([]);
        ServiceManager::of(&none).unwrap().ready();
        let bad = Environment::from_pairs([("NOTIFY_SOCKET", "vsock:2:1234")]);
        assert!(ServiceManager::of(&bad).is_err());
    }
}
