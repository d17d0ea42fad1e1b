//! TCP over completion I/O: buffers are lent to the kernel whole and come back with the result.
//!
//! Rule (monoio): dropping a receive or send in flight cancels it, and the kernel may have moved bytes
//! that nobody saw. So whoever drops one must not use that connection again.
#![expect(
    unsafe_code,
    reason = "two operations of one socket at a time; borrowed descriptors for socket options"
)]

use std::{
    cell::UnsafeCell,
    future::Future,
    io,
    mem::MaybeUninit,
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    pin::pin,
    time::Duration,
};

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
    net::TcpStream,
};
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use crate::buffer::Buffer;

/// Connections that the kernel queues for a listener before it turns new ones away.
const BACKLOG: i32 = 4096;

/// A bound socket that does not listen on a core yet. Several may share one address (`SO_REUSEPORT`).
#[derive(Debug)]
pub struct Bound(std::net::TcpListener);

impl Bound {
    /// Binds and listens; connections queue in the kernel from here on. Port 0 takes a free one.
    ///
    /// # Errors
    /// The kernel's: address in use, not available, permission for a low port.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let socket =
            RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self(socket.into()))
    }

    /// Whether `address` is free: binds it without sharing, and lets go.
    ///
    /// # Errors
    /// The kernel's: address in use, not available, permission for a low port.
    pub fn probe(address: SocketAddr) -> io::Result<()> {
        let socket =
            RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    }

    /// One that somebody else has made, and that listens.
    pub(super) fn from_listening(socket: OwnedFd) -> Self {
        Self(socket.into())
    }

    /// The same socket once more, with the queue of connections that it has.
    ///
    /// # Errors
    /// The kernel's: out of descriptors.
    pub fn share(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Whether a process that is started next gets it, and by which number.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pass_on(&self, is_passed: bool) -> io::Result<RawFd> {
        SockRef::from(&self.0).set_cloexec(!is_passed)?;
        Ok(self.0.as_raw_fd())
    }

    /// The address bound, with the port the kernel chose.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A listener on the calling core.
///
/// It waits for readiness and then accepts without waiting, under either driver: so a wait can be given up
/// without losing a connection, and two processes may share the socket while one takes over from the other.
pub struct Listener {
    /// Listening; monoio polls any socket by this type.
    socket: TcpStream,
    /// Of the sockets accepted: io_uring waits by itself and wants blocking ones, epoll others.
    flags: libc::c_int,
}

impl Listener {
    /// Hands a bound socket to the calling core's event loop.
    ///
    /// # Errors
    /// When the event loop refuses the descriptor.
    pub fn new(bound: Bound, driver: super::runtime::Driver) -> io::Result<Self> {
        bound.0.set_nonblocking(true)?;
        let socket = TcpStream::from_std(OwnedFd::from(bound.0).into())?;
        let nonblocking = match driver {
            super::runtime::Driver::Epoll => libc::SOCK_NONBLOCK,
            super::runtime::Driver::IoUring(_) => 0,
        };
        Ok(Self { socket, flags: libc::SOCK_CLOEXEC | nonblocking })
    }

    /// Waits until a connection may be waiting. Dropping this future is harmless.
    pub async fn arrival(&self) {
        // An error is the next accept's to tell.
        let _ = self.socket.readable(false).await;
    }

    /// The next connection that waits, if one does. One system call.
    ///
    /// # Errors
    /// The kernel's; `EMFILE` and the like pass.
    pub fn take(&self) -> io::Result<Option<(Socket, SocketAddr)>> {
        let accepted = with_descriptor(&self.socket, |socket| socket.accept4(self.flags));
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        // It fails only if the peer has gone already, which its first receive will tell.
        let _ = socket.set_tcp_nodelay(true);
        let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some((Socket(UnsafeCell::new(TcpStream::from_std(socket.into())?)), peer)))
    }
}

/// A connected socket of the calling core. One receive and one send may be in flight at a time.
pub struct Socket(UnsafeCell<TcpStream>);

impl Socket {
    /// Connects to one address. Bound it with a time-out: the kernel's own is minutes.
    ///
    /// # Errors
    /// The kernel's: refused, unreachable, out of descriptors.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?; // a frame leaves when it is written, not when the last one was acknowledged
        Ok(Self(UnsafeCell::new(stream)))
    }

    /// Appends what arrives next to `buffer`, into the room that it has (at least one byte). 0 is the
    /// peer's end.
    pub fn receive(
        &self,
        mut buffer: Buffer,
    ) -> impl Future<Output = (io::Result<usize>, Buffer)> + use<> {
        let storage = std::mem::take(buffer.storage_mut());
        let (filled, capacity) = (storage.len(), storage.capacity());
        assert!(filled < capacity, "a receive needs room");
        // SAFETY: monoio builds the operation from a clone of the descriptor when called and keeps no
        // reference to the stream (its own `into_split` relies on the same), and this thread is the
        // only one that can hold `self`, so no other reference is alive during the call.
        let operation = unsafe { &mut *self.0.get() }.read(storage.slice_mut(filled..capacity));
        async move {
            let (result, slice) = operation.await;
            *buffer.storage_mut() = slice.into_inner();
            (result, buffer)
        }
    }

    /// Waits until something can be received, or the peer's end, or an error. Dropping this future is
    /// harmless: no byte moves.
    pub async fn readable(&self) {
        // SAFETY: as in `receive`; a poll reads the descriptor alone.
        let stream = unsafe { &*self.0.get() };
        // An error is the next receive's to tell.
        let _ = stream.readable(false).await;
    }

    /// Sends `bytes[from..]`, all of it. A stall of `stall` with no byte taken is an error.
    pub async fn send(
        &self,
        mut bytes: Vec<u8>,
        mut from: usize,
        stall: Duration,
    ) -> (io::Result<()>, Vec<u8>) {
        while from < bytes.len() {
            let end = bytes.len();
            // SAFETY: as in `receive`; reads and writes of a stream are independent.
            let operation = unsafe { &mut *self.0.get() }.write(bytes.slice(from..end));
            match super::runtime::timeout(stall, pin!(operation)).await {
                // The bytes stay with the cancelled operation until the kernel is done with them.
                Err(super::runtime::Elapsed) => {
                    return (Err(io::ErrorKind::TimedOut.into()), Vec::new());
                }
                Ok((Ok(0), slice)) => {
                    return (Err(io::ErrorKind::WriteZero.into()), slice.into_inner());
                }
                Ok((Ok(sent), slice)) => {
                    bytes = slice.into_inner();
                    from += sent;
                }
                Ok((Err(error), slice)) => return (Err(error), slice.into_inner()),
            }
        }
        (Ok(()), bytes)
    }

    /// Whether an idle connection can carry a request: no byte to read, no end, no error. One system
    /// call that does not wait.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let peeked = self.options(|socket| socket.recv_with_flags(&mut byte, flags));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Says that no more will be sent, and keeps reading possible.
    pub fn finish_sending(&self) {
        // An error means that the peer is gone already, which is what this is about to bring about.
        let _ = self.options(|socket| socket.shutdown(Shutdown::Write));
    }

    /// Makes the coming close a reset, so that the peer cannot take what it got for the whole.
    pub fn reset_on_close(&self) {
        let _ = self.options(|socket| socket.set_linger(Some(Duration::ZERO)));
    }

    fn options<R>(&self, call: impl FnOnce(&SockRef<'_>) -> R) -> R {
        // SAFETY: as in `receive`; only the descriptor is read.
        with_descriptor(unsafe { &*self.0.get() }, call)
    }
}

fn with_descriptor<R>(owner: &impl AsRawFd, call: impl FnOnce(&SockRef<'_>) -> R) -> R {
    // SAFETY: `owner` is borrowed for the whole call, and keeps the descriptor open.
    let descriptor = unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) };
    call(&SockRef::from(&descriptor))
}
