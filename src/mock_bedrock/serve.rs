//! Accepts connections, makes TLS, and lets hyper speak HTTP/1.1 on them.

use super::directive::Place;
use super::service::{Desk, serve};
use super::socket::{Ending, Orders, Socket, Tamperer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::HandshakeKind;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A handshake may take this long. Hit: the connection closes.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A closing connection may take this long to say so. Hit: it is dropped.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);
/// Pause after a failed accept (no more file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// hyper holds this much of an answer that the client does not take; then it asks for no more.
const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// Accepts until dropped.
pub async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, desk: Rc<Desk>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn_local(connection(stream, tls.clone(), Rc::clone(&desk)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Rc<Desk>, u64);

impl Open {
    fn new(desk: Rc<Desk>) -> Self {
        let ordinal = desk.shared.record.connection_opened();
        Self(desk, ordinal)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.record.connection_closed();
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, desk: Rc<Desk>) {
    let open = Open::new(Rc::clone(&desk));
    // Without it frames are only later; the tests that look at writes would notice.
    let _ = stream.set_nodelay(true);
    if let Some((Place::Accept, ending)) = desk.shared.directives.load().cut {
        if ending == Ending::Reset {
            Socket::Plain(stream).reset_on_close();
        }
        return;
    }
    let socket = match tls {
        None => Socket::Plain(stream),
        Some(acceptor) => match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                    desk.shared.record.session_resumed();
                }
                Socket::Tls(Box::new(stream))
            }
            Ok(Err(_)) | Err(_) => return,
        },
    };
    let orders = Rc::new(Orders::default());
    let socket = speak(socket, &desk, open.1, &orders).await;
    close(socket, orders.ending()).await;
}

/// HTTP/1.1 until either side has enough; the socket is given back to be closed as ordered.
async fn speak(socket: Socket, desk: &Rc<Desk>, ordinal: u64, orders: &Rc<Orders>) -> Socket {
    let io = TokioIo::new(Tamperer::new(socket, Rc::clone(orders), desk.shared.record.clone()));
    let service =
        service_fn(|request| Box::pin(serve(Rc::clone(desk), ordinal, Rc::clone(orders), request)));
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(io, service);
    // Other errors are the client's leaving, or an order.
    let outcome = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if outcome.is_err_and(|error| error.is_parse()) {
        desk.shared.record.head_refused();
    }
    connection.into_parts().io.into_inner().into_socket()
}

async fn close(mut socket: Socket, ending: Option<Ending>) {
    if ending == Some(Ending::Reset) {
        socket.reset_on_close();
        return;
    }
    // The client may be gone already: then there is nobody to tell.
    let _: Result<io::Result<()>, _> = timeout(SHUTDOWN_MAX, socket.shutdown()).await;
}
