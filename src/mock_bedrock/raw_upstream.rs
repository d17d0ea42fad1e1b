//! An upstream that is no HTTP server: it plays a script of bytes on each connection.
//!
//! For answers that no server should give. It reads requests only as far as a script says, and
//! keeps what it read.

#![expect(
    clippy::disallowed_types,
    reason = "no data plane: what was read is behind a std Mutex, held for a push"
)]

use super::certificate::Authority;
use super::socket::Socket;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

/// A request that is longer is not read on.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One thing done on a connection.
#[derive(Clone, Debug)]
pub enum RawStep {
    /// Reads one request: head, and content by Content-Length or chunked.
    ReadRequest,
    /// Writes all at once.
    Write(Vec<u8>),
    /// Writes and flushes byte by byte (a TLS record and a segment each).
    WriteEachByte(Vec<u8>),
    /// Waits.
    PauseMs(u64),
    /// Ends the connection: close_notify, FIN.
    Close,
    /// Ends the connection: FIN alone, as whoever sits in between could forge it.
    Truncate,
    /// Ends the connection: RST.
    Reset,
    /// Does nothing more until the client closes.
    Stall,
}

/// A running script player; dropping it ends it.
pub struct RawUpstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl RawUpstream {
    /// Plays `script` on every connection to a free port of 127.0.0.1; after its last step the
    /// connection closes.
    pub fn start(tls: Option<&Authority>, script: Vec<RawStep>) -> io::Result<Self> {
        Self::start_each(tls, vec![script])
    }

    /// Plays the n-th script on the n-th connection, and the last on all that follow.
    pub fn start_each(tls: Option<&Authority>, scripts: Vec<Vec<RawStep>>) -> io::Result<Self> {
        let tls =
            tls.map(|authority| authority.server_config(Authority::names_of_region("us-east-1")));
        let tls = tls.transpose()?.map(TlsAcceptor::from);
        let listener = super::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stop, mut stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kept = Arc::clone(&requests);
        let body = move || {
            LocalSet::new().block_on(&runtime, async {
                let listener =
                    tokio::net::TcpListener::from_std(listener).expect("the runtime drives I/O");
                tokio::select! {
                    () = accept(&listener, tls, scripts, kept) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        };
        let thread = Some(std::thread::Builder::new().name("raw-upstream".to_owned()).spawn(body)?);
        Ok(Self { address, requests, stop, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests read so far, heads and content as on the wire.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        // A thread that has ended already needs no telling.
        let _ = self.stop.send(true);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn accept(
    listener: &tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    scripts: Vec<Vec<RawStep>>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    let scripts: Vec<Rc<[RawStep]>> = scripts.into_iter().map(Rc::from).collect();
    let mut connections = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let script = scripts.get(connections).or(scripts.last()).cloned().unwrap_or_default();
        connections += 1;
        let (tls, requests) = (tls.clone(), Arc::clone(&requests));
        drop(spawn_local(async move {
            // Whatever goes wrong is the client's doing, and the test's to see.
            let _: io::Result<()> = play(stream, tls, &script, &requests).await;
        }));
    }
}

async fn play(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    script: &[RawStep],
    requests: &Mutex<Vec<Vec<u8>>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = match tls {
        Some(acceptor) => Socket::Tls(Box::new(acceptor.accept(stream).await?)),
        None => Socket::Plain(stream),
    };
    let mut unread = Vec::new();
    for step in script {
        match step {
            RawStep::ReadRequest => {
                let request = read_request(&mut socket, &mut unread).await?;
                requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            }
            RawStep::Write(bytes) => {
                socket.write_all(bytes).await?;
                socket.flush().await?;
            }
            RawStep::WriteEachByte(bytes) => {
                for byte in bytes {
                    socket.write_all(&[*byte]).await?;
                    socket.flush().await?;
                }
            }
            RawStep::PauseMs(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            RawStep::Close => break,
            RawStep::Truncate => return Ok(()), // dropped without a word of TLS's
            RawStep::Reset => {
                socket.reset_on_close();
                return Ok(());
            }
            RawStep::Stall => while socket.read(&mut [0; 4096]).await? > 0 {},
        }
    }
    socket.shutdown().await
}

/// One request off the front of `unread`, which is filled from the socket as needed.
async fn read_request(socket: &mut Socket, unread: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if let Some(length) = request_length(unread) {
            return Ok(unread.drain(..length).collect());
        }
        if unread.len() > REQUEST_BYTES_MAX || socket.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Where the first request in `bytes` ends, if it does. Chunked content is taken to end at the
/// first empty last chunk; good enough for a script.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:").is_some() {
        let end = memchr::memmem::find(&bytes[head - 2..], b"\r\n0\r\n\r\n")?;
        return Some(head - 2 + end + 7);
    }
    let content: usize =
        value("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    (bytes.len() >= head + content).then_some(head + content)
}

#[cfg(test)]
mod tests {
    use super::request_length;

    #[test]
    fn requests_end_where_they_say() {
        assert_eq!(request_length(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc"), Some(40));
        assert_eq!(request_length(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na"), None);
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        assert_eq!(request_length(chunked), Some(chunked.len()));
        assert_eq!(request_length(&chunked[..chunked.len() - 1]), None);
    }
}
