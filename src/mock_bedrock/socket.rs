//! A server's connection, plain or TLS, that can do on the wire what an HTTP server refuses to.
//!
//! hyper writes through [`Tamperer`]; the service gives it [`Orders`]: send these bytes first
//! (interim answers), send these bytes instead of hyper's answer (lying lengths, half a head,
//! surplus bytes), end once all is sent. hyper stays the judge of what arrives.

use super::record::Record;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How a connection ends when the stand-in ends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// TLS close_notify, then FIN.
    Close,
    /// RST.
    Reset,
    /// Nothing more is sent; the connection stays.
    Stall,
}

/// What the service wants on the wire, besides what hyper writes.
#[derive(Default)]
pub struct Orders {
    before: RefCell<Bytes>,
    instead: RefCell<Option<(Bytes, Option<Ending>)>>,
    swallow: Cell<bool>,
    ending: Cell<Option<Ending>>,
}

impl Orders {
    /// Sends `bytes` before whatever hyper writes next.
    pub fn send_before(&self, bytes: Bytes) {
        self.before.replace(bytes);
    }

    /// Sends `bytes` instead of the answer that hyper writes next, then ends, or keeps the
    /// connection for the next request.
    pub fn send_instead(&self, bytes: Bytes, ending: Option<Ending>) {
        self.instead.replace(Some((bytes, ending)));
    }

    /// Ends the connection once all that hyper wrote is sent.
    pub fn end_when_sent(&self, ending: Ending) {
        self.ending.set(Some(ending));
    }

    /// How the connection was ordered to end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.get()
    }

    fn idle(&self) -> bool {
        self.before.borrow().is_empty() && self.instead.borrow().is_none() && !self.swallow.get()
    }
}

/// The accepted connection.
pub enum Socket {
    /// Plain HTTP.
    Plain(TcpStream),
    /// HTTPS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Makes the next close an RST.
    pub fn reset_on_close(&self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Without it the close is a FIN: the test that asked for a reset will say so.
        let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A [`Socket`] that follows [`Orders`].
pub struct Tamperer {
    socket: Socket,
    orders: Rc<Orders>,
    record: Arc<Record>,
}

impl Tamperer {
    /// Wraps `socket`; what it writes is counted in `record`.
    pub fn new(socket: Socket, orders: Rc<Orders>, record: Arc<Record>) -> Self {
        Self { socket, orders, record }
    }

    /// The socket, once hyper is done with it.
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    /// Sends the bytes of one order as far as the socket takes them.
    fn send(
        socket: &mut Socket,
        record: &Record,
        cx: &mut Context<'_>,
        bytes: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            let sent = ready!(Pin::new(&mut *socket).poll_write(cx, bytes))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            record.add_bytes(sent);
            bytes::Buf::advance(bytes, sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready with `true` when hyper's bytes are to be swallowed.
    fn follow(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let orders = Rc::clone(&self.orders);
        ready!(Self::send(&mut self.socket, &self.record, cx, &mut orders.before.borrow_mut()))?;
        let mut instead = orders.instead.borrow_mut();
        let Some((bytes, ending)) = instead.as_mut() else {
            return Poll::Ready(Ok(orders.swallow.get()));
        };
        ready!(Self::send(&mut self.socket, &self.record, cx, bytes))?;
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        match *ending {
            Some(Ending::Stall) => Poll::Pending, // hyper's reading side wakes us when the client leaves
            Some(ending) => {
                orders.ending.set(Some(ending));
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            None => {
                *instead = None;
                orders.swallow.set(true);
                Poll::Ready(Ok(true))
            }
        }
    }
}

impl AsyncRead for Tamperer {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.orders.swallow.set(false); // the next request: hyper's answers count again
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tamperer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.orders.idle() && ready!(this.follow(cx))? {
            return Poll::Ready(Ok(buf.len()));
        }
        let sent = ready!(Pin::new(&mut this.socket).poll_write(cx, buf))?;
        this.record.add_bytes(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.orders.idle() && ready!(this.follow(cx))? {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let sent = ready!(Pin::new(&mut this.socket).poll_write_vectored(cx, bufs))?;
        this.record.add_bytes(sent);
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_flush(cx))?;
        match this.orders.ending.get() {
            Some(Ending::Close | Ending::Reset) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Some(Ending::Stall) | None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
