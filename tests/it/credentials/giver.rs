//! Not a test: who gives credentials, on loopback: STS, a container's endpoint, an instance's, SSO's portal.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test's own server, on a thread of its own"
)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// The stand-in's access key, whoever gives it.
pub const KEY_ID: &str = "AKIAOUTCROPSTANDIN00";
pub const SECRET: &str = "outcrop-stand-in-secret";

/// Answers on a thread of its own, until the process ends.
pub struct Giver {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Each request: method, target, then its fields and content.
    seen: Vec<(String, String)>,
    /// How long what is given lives.
    life: Duration,
    is_failing: bool,
    given: u32,
}

impl Giver {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let life = Duration::from_secs(3600);
        let state = State { seen: Vec::new(), life, is_failing: false, given: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &shared);
            }
        });
        Self { address, state }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("no panic while locked"))
    }

    /// From now on what is given lives so long.
    pub fn live_for(&self, life: Duration) {
        self.with(|state| state.life = life);
    }

    /// From now on it answers 500, or well again.
    pub fn fail(&self, is_failing: bool) {
        self.with(|state| state.is_failing = is_failing);
    }

    /// How many credentials it gave: the last one's session token is `TOKEN-` and this.
    pub fn given(&self) -> u32 {
        self.with(|state| state.given)
    }

    /// Fields and content of the last request whose line starts so.
    pub fn last(&self, line: &str) -> String {
        let seen = self.with(|state| state.seen.clone());
        let found = seen.iter().rev().find(|(known, _)| known.starts_with(line));
        found.unwrap_or_else(|| panic!("no {line}: {seen:#?}")).1.clone()
    }

    /// How many requests it had.
    pub fn asked(&self) -> usize {
        self.with(|state| state.seen.len())
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut bytes = Vec::new();
    let (head, content) = loop {
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece) else { return };
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, content)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length.split("\r\ncontent-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
        if content.len() >= length {
            break (head.to_owned(), content.to_owned());
        }
    };
    let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut state = state.lock().expect("no panic while locked");
    state.seen.push((line.to_owned(), format!("{fields}\r\n\r\n{content}")));
    let (status, content) = if state.is_failing {
        ("500 Internal Server Error", "{}".to_owned())
    } else {
        answer(line, &content, &mut state)
    };
    let length = content.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n{content}"
    );
    let _ = stream.write_all(answer.as_bytes());
}

fn answer(line: &str, content: &str, state: &mut State) -> (&'static str, String) {
    let ends = SystemTime::now() + state.life;
    let seconds = ends.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let ends = iso(seconds.as_secs());
    let mut token = || {
        state.given += 1;
        format!("TOKEN-{}", state.given)
    };
    let mut parts = line.split(' ');
    let content = match (parts.next().unwrap_or(""), parts.next().unwrap_or("")) {
        ("POST", "/") => {
            let action = if content.contains("Action=AssumeRoleWithWebIdentity") {
                "AssumeRoleWithWebIdentity"
            } else {
                "AssumeRole"
            };
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
                 <AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
                 <SessionToken>{}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
                 <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
                 </AssumedRoleUser></{action}Result></{action}Response>",
                token()
            )
        }
        ("PUT", "/latest/api/token") => "IMDS-SESSION".to_owned(),
        ("GET", "/latest/meta-data/iam/security-credentials/") => "the-role".to_owned(),
        ("GET", "/container") | ("GET", "/latest/meta-data/iam/security-credentials/the-role") => {
            format!(
                r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET}","Token":"{}","Expiration":"{ends}"}}"#,
                token()
            )
        }
        ("GET", target) if target.starts_with("/federation/credentials") => format!(
            r#"{{"roleCredentials":{{"accessKeyId":"{KEY_ID}","secretAccessKey":"{SECRET}","sessionToken":"{}","expiration":{}}}}}"#,
            token(),
            seconds.as_millis()
        ),
        _ => return ("404 Not Found", "{}".to_owned()),
    };
    ("200 OK", content)
}

/// As `2026-01-01T00:00:00Z`.
pub fn iso(unix_s: u64) -> String {
    let date = outcrop::wire::sigv4::AmzDate::at(outcrop::units::UnixSeconds(unix_s));
    let text = std::str::from_utf8(date.as_bytes()).expect("ASCII").to_owned();
    let (day, time) = (&text[..8], &text[9..15]);
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    )
}
