//! TLS towards upstream, and what both sides of it share: rustls's unbuffered API over our own buffers.
//!
//! rustls holds keys and the protocol's state; the ciphertext stays in the connection's receive buffer,
//! where it is decrypted in place, and leaves from one send buffer. This file drives its states and
//! does no I/O apart from [`Session::handshake`].
//!
//! Invariant: what `encrypt` or `decrypt` put into `outgoing` is sent before anything else is.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    client::{ClientConnectionData, Resumption, UnbufferedClientConnection},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    },
};

use super::{tcp::Socket, tls_server::ServerTls};
use crate::{
    buffer::Buffer,
    limits::{SESSIONS_MAX, TLS_RECORD_BYTES_MAX},
};

/// Bytes that a record adds to its plaintext, at most: header, tag, content type (TLS 1.3), or header,
/// explicit nonce and tag (TLS 1.2).
const RECORD_OVERHEAD_BYTES: usize = 32;
/// A record that holds an alert.
const ALERT_BYTES_MAX: usize = 64;
/// Plaintext of one record (RFC 8446 §5.1).
const RECORD_PLAINTEXT_BYTES: usize = 16_384;

/// Why there is no TLS, or none any more.
#[derive(Debug)]
pub enum TlsError {
    /// Upstream broke the protocol or showed a certificate that we do not trust; rustls says which.
    Protocol(rustls::Error),
    /// The connection below failed.
    Io(io::Error),
    /// Upstream closed while the handshake was under way.
    ClosedInHandshake,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "TLS: {error}"),
            Self::Io(error) => write!(f, "connection: {error}"),
            Self::ClosedInHandshake => {
                f.write_str("upstream closed the connection during the TLS handshake")
            }
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The certificates that an upstream's chain may end in: Mozilla's, and those of a PEM file.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn trusted_roots(extra: Option<&Path>) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra {
        let invalid = |error: rustls::pki_types::pem::Error| {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        };
        let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
            .map_err(invalid)?
            .collect::<Result<_, _>>()
            .map_err(invalid)?;
        let (added, _ignored) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "holds no certificate in PEM form",
            ));
        }
    }
    Ok(Arc::new(roots))
}

/// Certificates as they were last read: replaced whole, when a reload finds others.
#[derive(Debug)]
pub struct Certificates {
    /// What an upstream's chain may end in.
    pub trusted: Arc<RootCertStore>,
    /// What clients are shown; `None`: they come in plain text.
    pub server: Option<ServerTls>,
}

impl Certificates {
    /// Whether nobody could tell these from `other`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.trusted.roots == other.trusted.roots && self.server == other.server
    }
}

/// What the connections of one core share: roots, cipher suites, resumable sessions.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// One for each core, so that its session store's lock is never contended.
    ///
    /// # Errors
    /// When the provider lacks what TLS 1.2 and 1.3 need.
    pub fn new(roots: Arc<RootCertStore>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self(Arc::new(config)))
    }
}

/// For clients that drive rustls themselves: who gives us credentials.
///
/// # Errors
/// As [`ClientTls::new`].
pub fn client_config(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, TlsError> {
    ClientTls::new(roots).map(|tls| tls.0)
}

#[cfg(feature = "aws-lc")]
pub(super) fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "aws-lc"))]
pub(super) fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// The name an upstream's certificate must carry.
#[derive(Clone, Debug)]
pub struct PeerName(ServerName<'static>);

impl PeerName {
    /// From a DNS name or an IP address.
    ///
    /// # Errors
    /// When `host` is neither.
    pub fn new(host: &str) -> Result<Self, TlsError> {
        let invalid =
            |_| TlsError::Protocol(rustls::Error::General("the endpoint's host is no name".into()));
        ServerName::try_from(host).map(|name| Self(name.to_owned())).map_err(invalid)
    }
}

/// What [`Session::decrypt`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received {
    /// All whole records are decrypted; more must arrive.
    Open,
    /// Upstream said that nothing follows (`close_notify`).
    Closed,
}

/// A side of a connection, as rustls drives both.
pub trait Side {
    /// Its own state.
    type Data;

    /// The next thing to do.
    fn process<'c, 'i>(
        &'c mut self,
        received: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Whether the peer has not shown its last message yet.
    fn is_shaking(&self) -> bool;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        received: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(received)
    }

    fn is_shaking(&self) -> bool {
        self.is_handshaking()
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        received: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(received)
    }

    fn is_shaking(&self) -> bool {
        self.is_handshaking()
    }
}

/// One TLS connection's keys and state.
pub struct Session<S = UnbufferedClientConnection>(S);

impl Session {
    /// Performs the handshake on a fresh connection. Bound it with a time-out.
    ///
    /// # Errors
    /// [`TlsError`]; nothing but handshake messages has been sent then.
    pub async fn handshake(
        tls: &ClientTls,
        peer: &PeerName,
        socket: &Socket,
        received: Buffer,
        stall: Duration,
    ) -> Result<(Self, Buffer), TlsError> {
        let connection = UnbufferedClientConnection::new(tls.0.clone(), peer.0.clone())?;
        Self::shake(connection, socket, received, stall).await
    }
}

impl<S: Side> Session<S> {
    /// As [`Session::handshake`], of either side.
    pub(super) async fn shake(
        mut connection: S,
        socket: &Socket,
        mut received: Buffer,
        stall: Duration,
    ) -> Result<(Self, Buffer), TlsError> {
        let mut outgoing = Vec::new();
        loop {
            let step = handshake_step(&mut connection, &mut received, &mut outgoing);
            if !outgoing.is_empty() && !matches!(step, Ok(Handshake::Continue)) {
                let (sent, returned) = socket.send(outgoing, 0, stall).await;
                sent?;
                outgoing = returned;
                outgoing.clear();
            }
            match step? {
                Handshake::Continue => {}
                Handshake::Done => return Ok((Self(connection), received)),
                Handshake::Read => {
                    received.reserve(TLS_RECORD_BYTES_MAX);
                    let (count, returned) = socket.receive(received).await;
                    received = returned;
                    if count? == 0 {
                        return Err(TlsError::ClosedInHandshake);
                    }
                }
            }
        }
    }

    /// Says that nothing follows (`close_notify`).
    pub fn close(&mut self, outgoing: &mut Vec<u8>) {
        if let Ok(ConnectionState::WriteTraffic(mut writer)) = self.0.process(&mut []).state {
            let start = outgoing.len();
            outgoing.resize(start + ALERT_BYTES_MAX, 0);
            // Without it the peer sees a bare close, which is no worse for us.
            let written = writer.queue_close_notify(&mut outgoing[start..]).unwrap_or(0);
            outgoing.truncate(start + written);
        }
    }

    /// Appends `plaintext`, as records, to `outgoing`.
    ///
    /// # Errors
    /// When the session is closed or its keys are used up.
    pub fn encrypt(&mut self, plaintext: &[u8], outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        let mut writer = loop {
            match self.0.process(&mut []).state? {
                ConnectionState::WriteTraffic(writer) => break writer,
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => return Err(TlsError::Io(io::ErrorKind::NotConnected.into())),
            }
        };
        let records = plaintext.len().div_ceil(RECORD_PLAINTEXT_BYTES).max(1);
        let mut room = plaintext.len() + records * RECORD_OVERHEAD_BYTES;
        let start = outgoing.len();
        loop {
            outgoing.resize(start + room, 0);
            match writer.encrypt(plaintext, &mut outgoing[start..]) {
                Ok(written) => {
                    outgoing.truncate(start + written);
                    return Ok(());
                }
                // A key update that upstream asked for goes out in front.
                Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size }))
                    if required_size > room =>
                {
                    room = required_size;
                }
                Err(_) => return Err(TlsError::Io(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    /// Decrypts every whole record in `received` and shows each one's plaintext to `sink`. Answers that
    /// TLS itself asks for are appended to `outgoing`, to go out with the next send.
    ///
    /// # Errors
    /// When a record is forged or malformed; the connection is then dead.
    pub fn decrypt(
        &mut self,
        received: &mut Buffer,
        outgoing: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Received, TlsError> {
        loop {
            let UnbufferedStatus { mut discard, state } = self.0.process(received.filled_mut());
            let mut end = None;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    end = Some(Received::Closed)
                }
                // Nothing more to decrypt: the rest of a record must arrive first.
                _ => end = Some(Received::Open),
            }
            received.consume(discard);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }
}

enum Handshake {
    Continue,
    Read,
    Done,
}

fn handshake_step<S: Side>(
    connection: &mut S,
    received: &mut Buffer,
    outgoing: &mut Vec<u8>,
) -> Result<Handshake, TlsError> {
    let UnbufferedStatus { discard, state } = connection.process(received.filled_mut());
    let step = match state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(&mut data, outgoing).map(|()| Handshake::Continue)
        }
        // It is in `outgoing`, which is sent before the next wait.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Handshake::Continue)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Handshake::Read),
        // A server may write before its client has shown that it is who it says.
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::ReadTraffic(_)) => {
            Ok(Handshake::Done)
        }
        Ok(_) => Err(TlsError::ClosedInHandshake),
        Err(error) => Err(error.into()),
    };
    received.consume(discard);
    if step.is_err() {
        alert(connection, outgoing);
    }
    match step {
        Ok(Handshake::Done) if connection.is_shaking() => Ok(Handshake::Read),
        step => step,
    }
}

/// Queues the alert that tells the peer why the handshake failed.
fn alert<S: Side>(connection: &mut S, outgoing: &mut Vec<u8>) {
    if let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.process(&mut []).state {
        // Without it the peer sees a bare close, which is no worse for us.
        let _ = encode(&mut data, outgoing);
    }
}

fn encode<D>(
    data: &mut rustls::unbuffered::EncodeTlsData<'_, D>,
    outgoing: &mut Vec<u8>,
) -> Result<(), TlsError> {
    let start = outgoing.len();
    let mut room = 1024;
    loop {
        outgoing.resize(start + room, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                room = required_size
            }
            Err(EncodeError::AlreadyEncoded) => {
                outgoing.truncate(start);
                return Ok(());
            }
        }
    }
}
