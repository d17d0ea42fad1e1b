//! Not a test: a plain blocking HTTP/1.1 client that sees what others hide.
//!
//! It writes the very bytes it is given, decodes chunks strictly, and tells a message that ended from
//! one that was cut. Every wait ends, by [`WAIT_MAX`], in a failed test.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

/// How long a read or a write may take.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// Received and not yet looked at.
    unread: Vec<u8>,
    end: Option<End>,
}

/// How a message, or a connection, ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// As it should: the message's framing says so.
    Clean,
    /// With a FIN, before its framing said so.
    Cut,
    /// With an RST.
    Reset,
}

/// An answer's status line and fields.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    /// `HTTP/1.1`
    pub version: String,
    /// As on the wire, in order.
    pub fields: Vec<(String, String)>,
}

/// An answer as far as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub head: Head,
    pub content: Vec<u8>,
    pub end: End,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = str::from_utf8(bytes).expect("a head in UTF-8");
        let mut lines = text.split("\r\n");
        let mut status_line = lines.next().expect("a status line").splitn(3, ' ');
        let version = status_line.next().expect("a version").to_owned();
        let status = status_line.next().and_then(|status| status.parse().ok()).expect("a status");
        assert!(status_line.next().is_some(), "RFC 9112 §4: a space after the status: {text}");
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("name: value");
            assert!(!name.is_empty() && !name.contains([' ', '\t']), "a field's name: {line}");
            (name.to_owned(), value.trim().to_owned())
        };
        let fields = lines.filter(|line| !line.is_empty()).map(field).collect();
        Self { status, version, fields }
    }

    /// The value of a field that must be there at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} more than once: {:?}", self.fields);
        value
    }
}

impl Answer {
    /// The content as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.content).expect("JSON")
    }

    /// It is one of the proxy's own errors: a shape that every AWS SDK can read.
    pub fn check_fault(&self, status: u16, error_type: &str) {
        let head = &self.head;
        assert_eq!((head.status, self.end), (status, End::Clean), "{self:?}");
        assert_eq!(head.field("x-amzn-errortype"), Some(error_type), "{self:?}");
        self.check_own();
        let message = &self.json()["message"];
        assert!(message.as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
    }

    /// It is answered by the proxy itself: the fields that all those have.
    pub fn check_own(&self) {
        let head = &self.head;
        assert_eq!(head.field("content-type"), Some("application/json"), "{self:?}");
        for name in ["x-amzn-requestid", "x-litellm-call-id"] {
            assert!(head.field(name).is_some_and(|id| !id.is_empty()), "{name}: {self:?}");
        }
        let date = head.field("date").expect("a date");
        let date = httpdate::parse_http_date(date).expect("an IMF-fixdate");
        let off = date.elapsed().unwrap_or_else(|ahead| ahead.duration());
        assert!(off < Duration::from_secs(60), "SDKs compute their clock's skew from {date:?}");
    }
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect_timeout(&address, WAIT_MAX).expect("a connection"))
    }

    /// Connects, if somebody listens.
    pub fn try_connect(address: SocketAddr) -> Option<Self> {
        TcpStream::connect_timeout(&address, WAIT_MAX).ok().map(Self::of)
    }

    /// Connects with a receive buffer of about `bytes`, which stays so.
    pub fn connect_with_buffer(address: SocketAddr, bytes: usize) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(bytes).expect("a receive buffer");
        socket.connect_timeout(&address.into(), WAIT_MAX).expect("a connection");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
        stream.set_write_timeout(Some(WAIT_MAX)).expect("a time-out");
        Self { stream, unread: Vec::new(), end: None }
    }

    /// Sends these bytes and no others.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the proxy reads");
    }

    /// Sends as far as the proxy takes it.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends and reads the one answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Ends the connection with an RST.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger");
    }

    /// The next answer, interim ones aside: there must be one.
    pub fn answer(&mut self) -> Answer {
        let head = self.head().expect("an answer");
        let mut content = Vec::new();
        let end = self.content(&head, &mut content);
        Answer { head, content, end }
    }

    /// The next head; `None` at the connection's end.
    pub fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                let head = Head::parse(&self.unread[..at]);
                self.unread.drain(..at + 4);
                return Some(head);
            }
            if !self.receive() {
                assert!(self.unread.is_empty(), "cut in the head: {}", self.unread.escape_ascii());
                return None;
            }
        }
    }

    /// Appends the content that follows `head`, as far as it comes.
    pub fn content(&mut self, head: &Head, content: &mut Vec<u8>) -> End {
        if matches!(head.status, 100..200 | 204 | 304) {
            return End::Clean;
        }
        if let Some(coding) = head.field("transfer-encoding") {
            assert_eq!((coding, head.field("content-length")), ("chunked", None), "{head:?}");
            assert_eq!(head.version, "HTTP/1.1");
            loop {
                match self.chunk() {
                    Ok(chunk) if chunk.is_empty() => return End::Clean,
                    Ok(chunk) => content.extend_from_slice(&chunk),
                    Err(end) => return end,
                }
            }
        }
        match head.field("content-length") {
            Some(length) => {
                let taken = self.take(length.parse().expect("a length"));
                let (bytes, end) = taken.map_or_else(|end| (vec![], end), |it| (it, End::Clean));
                content.extend_from_slice(&bytes);
                if end != End::Clean {
                    content.append(&mut self.unread);
                }
                end
            }
            None => {
                while self.receive() {}
                content.append(&mut self.unread);
                if self.end == Some(End::Reset) { End::Reset } else { End::Clean }
            }
        }
    }

    /// One chunk, decoded by the letter of RFC 9112 §7.1; the last one is empty.
    pub fn chunk(&mut self) -> Result<Vec<u8>, End> {
        let line_end = loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                break at;
            }
            assert!(self.unread.len() < 20, "no chunk: {}", self.unread.escape_ascii());
            self.more()?;
        };
        let line = self.take(line_end + 2)?;
        let digits = str::from_utf8(&line[..line_end]).expect("hexadecimal digits");
        assert!(
            digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && !digits.is_empty(),
            "{digits:?}"
        );
        let length = usize::from_str_radix(digits, 16).expect("a chunk's length");
        let mut chunk = self.take(length + 2)?;
        assert_eq!(chunk.split_off(length), b"\r\n", "a chunk ends with CR LF");
        Ok(chunk)
    }

    /// That many bytes.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.unread.len() < count {
            self.more()?;
        }
        let rest = self.unread.split_off(count);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    fn more(&mut self) -> Result<(), End> {
        if self.receive() { Ok(()) } else { Err(self.end.expect("no more to receive")) }
    }

    /// Receives once. False at the end.
    fn receive(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.end = Some(End::Reset);
            }
            received => match received.expect("bytes or an end, in time") {
                0 => self.end = Some(End::Cut),
                count => self.unread.extend_from_slice(&bytes[..count]),
            },
        }
        self.end.is_none()
    }

    /// Reads to the connection's end, before which no byte may come.
    pub fn check_closed(mut self) {
        while self.receive() {}
        assert!(self.unread.is_empty(), "bytes nobody asked for: {}", self.unread.escape_ascii());
    }
}

/// A request's bytes: line, Host, `fields` (each line ended), Content-Length and the content.
pub fn request(line: &str, fields: &str, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = format!("{line}\r\nHost: proxy.test\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), content].concat()
}

/// The same with chunks of these sizes, over and over, whose heads carry `extension`, and `trailers`.
pub fn chunked_request(
    line: &str,
    fields: &str,
    content: &[u8],
    sizes: &[usize],
    (extension, trailers): (&str, &str),
) -> Vec<u8> {
    let head = format!("{line}\r\nHost: proxy.test\r\n{fields}Transfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(chunks(content, sizes, extension));
    bytes.extend(format!("0{extension}\r\n{trailers}\r\n").bytes());
    bytes
}

/// Chunks of these sizes, over and over, without the last chunk.
pub fn chunks(mut content: &[u8], sizes: &[usize], extension: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + content.len() / 8);
    let mut line = String::new();
    for size in sizes.iter().cycle() {
        if content.is_empty() {
            break;
        }
        let (chunk, rest) = content.split_at(content.len().min(*size));
        line.clear();
        write!(line, "{:x}{extension}\r\n", chunk.len()).expect("a String takes all");
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        content = rest;
    }
    bytes
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
