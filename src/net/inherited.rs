//! Listening sockets that were made by whoever started this process: a service manager, or the Outcrop that
//! this one takes over from.
//!
//! A service manager passes descriptors from 3 on, and says so in `LISTEN_FDS` and `LISTEN_PID`
//! (sd_listen_fds(3)). An Outcrop that hands over says in [`HAND_OVER`] which descriptors listen, and to which
//! one it is to be told that its successor is ready: `<its process>;<descriptor>,…;<descriptor>`.
#![expect(unsafe_code, reason = "a number becomes an owned descriptor")]

use std::{
    fmt, io,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::{net::UnixStream, process::parent_id},
    },
    sync::atomic::{AtomicBool, Ordering},
};

use socket2::{Domain, SockRef, Type};

use super::tcp::Bound;

/// The variable by which one Outcrop tells another of its sockets.
pub const HAND_OVER: &str = "OUTCROP_HAND_OVER";
/// Where a service manager's descriptors begin.
const FIRST: RawFd = 3;

/// What was passed.
#[derive(Debug)]
pub enum Inherited {
    /// By a service manager, which keeps them, too.
    Activated(Vec<Bound>),
    /// By an Outcrop that serves until it is told, by a byte, that we do.
    HandedOver(Vec<Bound>, UnixStream),
}

/// Why what was passed cannot be used.
#[derive(Debug)]
pub enum InheritError {
    /// The variable's text is not as agreed.
    Malformed(&'static str),
    /// That descriptor is not open, or is no socket that listens for TCP.
    Descriptor(RawFd, io::Error),
}

impl fmt::Display for InheritError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(variable) => write!(out, "{variable} is not as agreed"),
            Self::Descriptor(number, error) => write!(
                out,
                "descriptor {number}, which was passed to be listened on, cannot be: {error}"
            ),
        }
    }
}

/// What was passed to this process, by its variables; `None`: nothing. Once: a second time there is nothing.
///
/// # Errors
/// [`InheritError`].
pub fn take(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Inherited>, InheritError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    if let Some(words) = variable(HAND_OVER) {
        let (parent, sockets, ready) =
            hand_over(&words).ok_or(InheritError::Malformed(HAND_OVER))?;
        if parent != parent_id() {
            return Ok(None); // meant for a process between us and whoever set it
        }
        let sockets = sockets.into_iter().map(listening).collect::<Result<_, _>>()?;
        let ready = UnixStream::from(own(ready)?);
        return Ok(Some(Inherited::HandedOver(sockets, ready)));
    }
    let number = |name| variable(name).map(|text| text.parse::<u32>());
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(Ok(process)), Some(Ok(count))) if process == std::process::id() => {
            let count = RawFd::try_from(count.min(1024)).expect("at most 1024");
            let sockets = (FIRST..FIRST + count).map(listening).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(Inherited::Activated(sockets)).filter(|_| count > 0))
        }
        (Some(Ok(_)) | None, _) => Ok(None),
        (Some(Err(_)), _) => Err(InheritError::Malformed("LISTEN_PID")),
    }
}

/// The variable's text: whose it is, what listens, what to tell.
fn hand_over(words: &str) -> Option<(u32, Vec<RawFd>, RawFd)> {
    let mut parts = words.split(';');
    let parent = parts.next()?.parse().ok()?;
    let sockets: Option<Vec<RawFd>> =
        parts.next()?.split(',').map(|number| number.parse().ok()).collect();
    let ready = parts.next()?.parse().ok()?;
    let mut numbers = sockets.clone()?;
    numbers.push(ready);
    numbers.sort_unstable();
    // Each becomes an owned descriptor: one given twice would be closed twice.
    let is_each_once = numbers.windows(2).all(|pair| pair[0] != pair[1]);
    Some((parent, sockets.filter(|_| is_each_once)?, ready))
}

/// What [`take`] reads in the successor.
#[must_use]
pub fn words(sockets: &[RawFd], ready: RawFd) -> String {
    let sockets: Vec<String> = sockets.iter().map(ToString::to_string).collect();
    format!("{};{};{ready}", std::process::id(), sockets.join(","))
}

fn listening(number: RawFd) -> Result<Bound, InheritError> {
    let refused = |error| InheritError::Descriptor(number, error);
    let socket = own(number)?;
    let view = SockRef::from(&socket);
    let listens = || {
        let is_tcp = matches!(view.domain()?, Domain::IPV4 | Domain::IPV6)
            && view.r#type()? == Type::STREAM
            && view.is_listener()?;
        if is_tcp { Ok(()) } else { Err(io::Error::other("it does not listen for TCP")) }
    };
    listens().map_err(refused)?;
    Ok(Bound::from_listening(socket))
}

/// Makes the descriptor ours alone: not that of a process that we may start.
fn own(number: RawFd) -> Result<OwnedFd, InheritError> {
    let refused = || InheritError::Descriptor(number, io::Error::last_os_error());
    // Ours are 0 to 2: who passes one of those means something else.
    if number < FIRST {
        return Err(InheritError::Descriptor(number, io::ErrorKind::InvalidInput.into()));
    }
    // SAFETY: takes numbers alone; a descriptor that is not open is an error.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(refused());
    }
    // SAFETY: it is open, by the call above, and who started us passed it for us to own: nobody here has made
    // or taken it, since `take` does its work once, and `hand_over` lets no number through twice.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_read_as_they_were_written() {
        let us = std::process::id();
        assert_eq!(hand_over(&words(&[5, 6], 9)), Some((us, vec![5, 6], 9)));
        for bad in ["", "1", "1;2", "x;3;4", "1;;4", "1;3,x;4", "1;3;", "1;3,3;4", "1;3,4;4"] {
            assert_eq!(hand_over(bad), None, "{bad}");
        }
    }
}
