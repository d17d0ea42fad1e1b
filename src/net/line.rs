//! A client's connection: in plain text, or through TLS. Who reads and writes need not know which.

use std::{cell::RefCell, io, mem, time::Duration};

use rustls::{InvalidMessage, server::UnbufferedServerConnection};

use super::{
    tcp::Socket,
    tls::{Received, Session, TlsError},
    tls_server::ServerTls,
};
use crate::{
    buffer::Buffer,
    limits::{IDLE_BUFFER_BYTES, TLS_RECORD_BYTES_MAX},
};

/// One receive and one send may be in flight at a time.
pub enum Line {
    /// As it is.
    Plain(Socket),
    /// Through TLS.
    Secured(Box<Secured>),
}

/// A connection with keys. None of its cells is borrowed across a wait.
pub struct Secured {
    socket: Socket,
    session: RefCell<Session<UnbufferedServerConnection>>,
    /// Ciphertext whose record is not whole.
    received: RefCell<Buffer>,
    /// What TLS itself has to say; it leaves in front of what is sent next.
    due: RefCell<Vec<u8>>,
    /// Room for what is sent next.
    spare: RefCell<Vec<u8>>,
}

impl Line {
    /// Performs the handshake. Bound it with a time-out.
    ///
    /// # Errors
    /// [`TlsError`], with the socket if the client does not speak TLS at all.
    pub async fn secure(
        socket: Socket,
        tls: &ServerTls,
        stall: Duration,
    ) -> Result<Self, (TlsError, Option<Socket>)> {
        let mut first = Buffer::with_capacity(IDLE_BUFFER_BYTES);
        let (count, returned) = socket.receive(first).await;
        first = returned;
        if let Err(error) = count {
            return Err((error.into(), None));
        }
        let Some(byte) = first.filled().first().copied() else {
            return Err((TlsError::ClosedInHandshake, None));
        };
        if byte.is_ascii_alphabetic() {
            // A method; a handshake begins with 22.
            return Err((
                rustls::Error::from(InvalidMessage::InvalidContentType).into(),
                Some(socket),
            ));
        }
        match tls.accept(&socket, first, stall).await {
            Ok((session, received)) => Ok(Self::Secured(Box::new(Secured {
                socket,
                session: RefCell::new(session),
                received: RefCell::new(received),
                due: RefCell::default(),
                spare: RefCell::default(),
            }))),
            Err(error) => Err((error, None)),
        }
    }

    /// As [`Socket::receive`].
    pub async fn receive(&self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match self {
            Self::Plain(socket) => socket.receive(buffer).await,
            Self::Secured(secured) => secured.receive(buffer).await,
        }
    }

    /// As [`Socket::send`].
    pub async fn send(
        &self,
        bytes: Vec<u8>,
        from: usize,
        stall: Duration,
    ) -> (io::Result<()>, Vec<u8>) {
        match self {
            Self::Plain(socket) => socket.send(bytes, from, stall).await,
            Self::Secured(secured) => (secured.send(&bytes[from..], stall).await, bytes),
        }
    }

    /// As [`Socket::finish_sending`], and says so in TLS's own words before.
    pub async fn finish_sending(&self, stall: Duration) {
        self.announce_end(stall).await;
        self.socket().finish_sending();
    }

    /// Says in TLS's own words that no more will be sent; plain text has none but the close.
    pub async fn announce_end(&self, stall: Duration) {
        if let Self::Secured(secured) = self {
            let mut last = mem::take(&mut *secured.due.borrow_mut());
            secured.session.borrow_mut().close(&mut last);
            let _the_peer_is_gone = secured.socket.send(last, 0, stall).await;
        }
    }

    /// As [`Socket::reset_on_close`]. Nothing says that this is the end.
    pub fn reset_on_close(&self) {
        self.socket().reset_on_close();
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Secured(secured) => &secured.socket,
        }
    }
}

impl Secured {
    async fn receive(&self, mut buffer: Buffer) -> (io::Result<usize>, Buffer) {
        let before = buffer.filled().len();
        loop {
            let decrypted = self.decrypt(&mut buffer);
            let count = buffer.filled().len() - before;
            match decrypted {
                Err(_) if count == 0 => return (Err(io::ErrorKind::InvalidData.into()), buffer),
                Ok(Received::Closed) if count == 0 => return (Ok(0), buffer),
                _ if count > 0 => return (Ok(count), buffer),
                _ => {}
            }
            let mut received = mem::take(&mut *self.received.borrow_mut());
            // An idle connection keeps little; a record that has begun gets room for all of it.
            let room = if received.is_empty() { IDLE_BUFFER_BYTES } else { TLS_RECORD_BYTES_MAX };
            received.reserve(room);
            let (count, returned) = self.socket.receive(received).await;
            *self.received.borrow_mut() = returned;
            // An end without close_notify may be an attacker's. Content that it cuts has an end of its own.
            match count {
                Ok(0) => return (Ok(0), buffer),
                Ok(_) => {}
                Err(error) => return (Err(error), buffer),
            }
        }
    }

    fn decrypt(&self, buffer: &mut Buffer) -> Result<Received, TlsError> {
        let mut received = self.received.borrow_mut();
        let mut due = self.due.borrow_mut();
        let mut session = self.session.borrow_mut();
        let done = session.decrypt(&mut received, &mut due, &mut |plain| buffer.extend(plain));
        if received.is_empty() && received.storage().capacity() > 2 * IDLE_BUFFER_BYTES {
            *received = Buffer::default();
        }
        done
    }

    async fn send(&self, plain: &[u8], stall: Duration) -> io::Result<()> {
        let mut records = mem::take(&mut *self.spare.borrow_mut());
        records.append(&mut self.due.borrow_mut());
        let encrypted = self.session.borrow_mut().encrypt(plain, &mut records);
        encrypted.map_err(|_| io::ErrorKind::BrokenPipe)?;
        let (sent, mut returned) = self.socket.send(records, 0, stall).await;
        returned.clear();
        if returned.capacity() <= 2 * TLS_RECORD_BYTES_MAX {
            *self.spare.borrow_mut() = returned;
        }
        sent
    }
}
