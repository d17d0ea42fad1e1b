//! One connection to an endpoint: TCP, TLS over it unless the endpoint is plain, and its buffers.

use std::{
    io, mem,
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    bedrock::{failure::Failure, fault::Fault},
    boundary::{notice::Event, snapshot::Endpoint},
    buffer::Buffer,
    data_plane::scratch::Spares,
    limits::{
        ADDRESS_MS_MAX, CLIENT_STALL_MS_MAX, CONNECT_MS_MAX, EARLY_ANSWER_LOOK_MS,
        FLOW_BUFFER_BYTES, HEAD_BYTES_MAX, SEND_BYTES_MAX,
    },
    net::{
        clock,
        runtime::{Elapsed, timeout, timeout_at},
        tcp::Socket,
        tls::{ClientTls, PeerName, Received, Session, TlsError},
    },
    wire::http1::head::{FieldStorage, parse_answer},
};

/// How long upstream may take none of what we send.
const STALL: Duration = Duration::from_millis(CLIENT_STALL_MS_MAX);

/// A connection that requests are sent on, one at a time.
pub struct Upstream {
    socket: Socket,
    session: Option<Session>,
    /// Ciphertext, or what came over a plain connection. No storage while idle.
    received: Buffer,
    /// What TLS made of what is to be sent.
    outgoing: Vec<u8>,
    /// TLS said that nothing follows.
    is_closed: bool,
    /// When it last became idle.
    pub idle_since: Instant,
    /// It carried a request before: then a close without an answer may be a race, not a failure.
    pub is_reused: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The endpoint's name has no address yet.
    Unresolved,
    /// No address let us in; this is what the last one said.
    Io(io::Error),
    /// TLS failed.
    Tls(TlsError),
    /// The time was up.
    TimedOut,
}

impl ConnectError {
    /// What the client is told.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Tls(TlsError::Protocol(_)) => Fault::Untrusted,
            Self::TimedOut => Fault::ConnectTimeout,
            _ => Fault::Unreachable,
        }
    }

    /// What it means for the endpoint.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Unresolved | Self::Io(_) | Self::Tls(TlsError::Io(_)) => Failure::ConnectFailed,
            Self::Tls(_) => Failure::TlsFailed,
            Self::TimedOut => Failure::ConnectTimedOut,
        }
    }

    /// What the operator is told.
    #[must_use]
    pub fn event(self) -> Event {
        match self {
            Self::Unresolved => Event::Unresolved,
            Self::Io(error) | Self::Tls(TlsError::Io(error)) => Event::ConnectFailed(error),
            Self::Tls(error) => Event::TlsFailed(error.to_string()),
            Self::TimedOut => Event::ConnectTimedOut,
        }
    }
}

/// What one receive came to.
#[derive(Debug)]
pub enum Arrival {
    /// Plaintext was shown to the sink.
    More,
    /// Upstream closed. `clean` if TLS vouches for it, or there is no TLS.
    Ended {
        /// Whether nothing can have been cut off by somebody in between.
        clean: bool,
    },
}

impl Upstream {
    /// Connects to the first address that lets us in, and performs the TLS handshake.
    ///
    /// # Errors
    /// [`ConnectError`]; no byte of a request has been sent.
    pub async fn connect(
        endpoint: &Endpoint,
        tls: ClientTls,
        spares: &Spares,
    ) -> Result<Box<Self>, ConnectError> {
        let deadline = clock::now() + Duration::from_millis(CONNECT_MS_MAX);
        let addresses = endpoint.addresses();
        let mut failure = ConnectError::Unresolved;
        for (tried, address) in addresses.iter().enumerate() {
            let is_last = tried + 1 == addresses.len();
            let own = clock::now()
                + Duration::from_millis(if is_last { CONNECT_MS_MAX } else { ADDRESS_MS_MAX });
            match timeout_at(deadline.min(own), pin!(Socket::connect(*address))).await {
                Err(_elapsed) => failure = ConnectError::TimedOut,
                Ok(Err(error)) => failure = ConnectError::Io(error),
                Ok(Ok(socket)) => {
                    let secured = pin!(Self::secure(socket, endpoint, &tls, spares));
                    let secured = timeout_at(deadline, secured).await;
                    return secured.unwrap_or(Err(ConnectError::TimedOut));
                }
            }
            if clock::now() >= deadline {
                break;
            }
        }
        Err(failure)
    }

    async fn secure(
        socket: Socket,
        endpoint: &Endpoint,
        tls: &ClientTls,
        spares: &Spares,
    ) -> Result<Box<Self>, ConnectError> {
        let mut received = spares.take_buffer();
        let session = if endpoint.tls {
            let peer = PeerName::new(&endpoint.host).map_err(ConnectError::Tls)?;
            let handshake = Session::handshake(tls, &peer, &socket, received, STALL);
            let (session, buffer) = handshake.await.map_err(ConnectError::Tls)?;
            received = buffer;
            Some(session)
        } else {
            None
        };
        Ok(Box::new(Self {
            socket,
            session,
            received,
            outgoing: Vec::new(),
            is_closed: false,
            idle_since: clock::now(),
            is_reused: false,
        }))
    }

    /// Sends a request: its head, and its content behind it. Small ones leave as one record. What an
    /// upstream that reads no more has answered already is appended to `early`.
    ///
    /// # Errors
    /// What the kernel or TLS says, or `WouldBlock` for an early answer; part of the request may have
    /// been sent.
    pub async fn send(
        &mut self,
        head: &mut Vec<u8>,
        content: &[u8],
        early: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (with_head, mut rest) = content.split_at(content.len().min(SEND_BYTES_MAX));
        head.extend_from_slice(with_head);
        self.send_some(head, early).await?;
        while !rest.is_empty() {
            let (next, after) = rest.split_at(rest.len().min(SEND_BYTES_MAX));
            self.send_some(next, early).await?;
            rest = after;
        }
        Ok(())
    }

    async fn send_some(&mut self, plaintext: &[u8], early: &mut Vec<u8>) -> io::Result<()> {
        let Self { socket, session, received, outgoing, is_closed, .. } = self;
        let mut sent = mem::take(outgoing);
        match session {
            Some(session) => session.encrypt(plaintext, &mut sent).map_err(io_error)?,
            None => sent.extend_from_slice(plaintext),
        }
        let mut sending = pin!(socket.send(sent, 0, STALL));
        let look = Duration::from_millis(EARLY_ANSWER_LOOK_MS);
        let (result, mut sent) = loop {
            match timeout(look, sending.as_mut()).await {
                Ok(done) => break done,
                Err(Elapsed) if socket.is_quiet() => {}
                Err(Elapsed) => {
                    // Readable, so this does not wait. It may be no more than a session ticket.
                    let mut sink = |bytes: &[u8]| early.extend_from_slice(bytes);
                    let some = receive_some(socket, session, received, outgoing, &mut sink).await;
                    let some = some.map_err(io_error)?;
                    *is_closed = matches!(some, Some((_, Received::Closed)));
                    if some.is_none() || *is_closed || begins_final(early) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
            }
        };
        if outgoing.is_empty() {
            sent.clear();
            *outgoing = sent;
        }
        result
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (result, outgoing) = self.socket.send(mem::take(&mut self.outgoing), 0, STALL).await;
        self.outgoing = outgoing;
        self.outgoing.clear();
        result
    }

    /// Waits until there is something to receive. Dropping this future loses nothing.
    pub async fn readable(&self) {
        if !self.is_closed {
            self.socket.readable().await;
        }
    }

    /// Receives once and shows the plaintext it brought to `sink`. Dropping this future kills the
    /// connection.
    ///
    /// # Errors
    /// What the kernel or TLS says; the connection is dead.
    pub async fn receive(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<Arrival, TlsError> {
        // Said together with the last bytes; behind it only a FIN can come, which vouches for nothing.
        while !self.is_closed {
            let Self { socket, session, received, outgoing, .. } = self;
            let some = receive_some(socket, session, received, outgoing, sink).await?;
            let Some((brought, state)) = some else {
                return Ok(Arrival::Ended { clean: self.session.is_none() });
            };
            if !self.outgoing.is_empty() {
                self.flush().await?;
            }
            self.is_closed = state == Received::Closed;
            if brought {
                return Ok(Arrival::More);
            }
            // Else a session ticket, part of a record, or the close.
        }
        Ok(Arrival::Ended { clean: true })
    }

    /// Whether something arrived behind the answer: bytes that nobody asked for, or TLS's word that
    /// nothing follows. Either way the connection carries no other request.
    #[must_use]
    pub fn has_leftover(&self) -> bool {
        self.is_closed || !self.received.is_empty()
    }

    /// Whether an idle connection is still open and silent.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// Gives its buffers back for the time it is idle.
    pub fn rest(&mut self, spares: &Spares) {
        spares.give_buffer(mem::take(&mut self.received));
        self.idle_since = clock::now();
        self.is_reused = true;
    }

    /// Takes buffers for the next request.
    pub fn wake(&mut self, spares: &Spares) {
        self.received = spares.take_buffer();
    }

    /// Ends a connection that will not be used again: its buffer goes back.
    pub fn retire(mut self: Box<Self>, spares: &Spares) {
        spares.give_buffer(mem::take(&mut self.received));
    }
}

/// One receive: whether it brought plaintext to `sink`, and what TLS says then; `None` at the end.
async fn receive_some(
    socket: &Socket,
    session: &mut Option<Session>,
    received: &mut Buffer,
    outgoing: &mut Vec<u8>,
    sink: &mut impl FnMut(&[u8]),
) -> Result<Option<(bool, Received)>, TlsError> {
    let mut lent = mem::take(received);
    if lent.is_empty() {
        lent.clear();
    }
    lent.reserve(FLOW_BUFFER_BYTES / 2);
    let (count, lent) = socket.receive(lent).await;
    *received = lent;
    if count? == 0 {
        return Ok(None);
    }
    let mut brought = false;
    let mut sink = |bytes: &[u8]| {
        brought |= !bytes.is_empty();
        sink(bytes);
    };
    let state = match session {
        Some(session) => session.decrypt(received, outgoing, &mut sink)?,
        None => {
            sink(received.filled());
            received.clear();
            Received::Open
        }
    };
    Ok(Some((brought, state)))
}

/// Whether bytes received while a request is still being sent are, or hold, its final answer. Interim
/// answers (103, 102, 100) are no reason to stop sending.
fn begins_final(mut bytes: &[u8]) -> bool {
    loop {
        let mut storage = FieldStorage::new();
        match parse_answer(bytes, &mut storage) {
            Ok(Some(head)) if head.status < 200 => bytes = &bytes[head.length..],
            Ok(None) => return bytes.len() >= HEAD_BYTES_MAX,
            Ok(Some(_)) | Err(_) => return true,
        }
    }
}

fn io_error(error: TlsError) -> io::Error {
    match error {
        TlsError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
