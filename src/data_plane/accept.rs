//! Who takes connections from the kernel: at a core's listening sockets, until a drain begins.
//!
//! A socket may be shared: by the cores of this process, and with the process that takes over from it. So
//! nothing is done to it that others would notice, and a wait that is given up takes no connection along.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use crate::{
    boundary::{notice::Event, orders::Orders},
    data_plane::{
        connection,
        worker::{Room, Worker},
    },
    limits::{ACCEPT_LAST_ROUNDS_MAX, ACCEPT_PAUSE_MS, ACCEPTS_AT_ONCE_MAX},
    net::{
        runtime::{self, Contained, sleep},
        tcp::Listener,
    },
};

/// A task that the core's end waits for, from before its first turn on.
pub struct Alive(Rc<Worker>);

impl Alive {
    /// Counted from here on.
    pub fn new(worker: &Rc<Worker>) -> Self {
        worker.begin_task();
        Self(worker.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end_task();
    }
}

/// Takes connections until a drain begins, and then those that wait already, if nobody else will.
pub async fn accept(listener: Listener, alive: Alive, orders: Arc<Orders>) {
    let worker = &alive.0;
    poll_fn(|context| {
        worker.enter_acceptor(context.waker().clone());
        Poll::Ready(())
    })
    .await;
    while !worker.is_draining() {
        let mut arrival = pin!(listener.arrival());
        let arrived = poll_fn(|context| match arrival.as_mut().poll(context) {
            Poll::Pending if worker.is_draining() => Poll::Ready(false),
            polled => polled.map(|()| true),
        });
        if arrived.await && !worker.is_draining() && !take_waiting(&listener, worker) {
            sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
        }
        runtime::take_turns().await;
    }
    if !orders.leaves_queue.load(Ordering::Relaxed) {
        let mut rounds = 0..ACCEPT_LAST_ROUNDS_MAX;
        while worker.has_accepted(|| take_waiting(&listener, worker)) && rounds.next().is_some() {}
    }
}

/// Takes what waits, up to a bound; false if there is no room for more.
fn take_waiting(listener: &Listener, worker: &Rc<Worker>) -> bool {
    for _ in 0..ACCEPTS_AT_ONCE_MAX {
        match listener.take() {
            Ok(Some((socket, peer))) => {
                let is_let_in = match worker.room() {
                    Room::ForOne => true,
                    Room::ToRefuse => false,
                    Room::None => continue, // and the socket is closed
                };
                let alive = Alive::new(worker);
                runtime::spawn(async move {
                    let (worker, peer) = (&alive.0, (peer.ip(), is_let_in));
                    let connection: Pin<Box<_>> =
                        Box::pin(connection::serve(socket, peer, worker.clone()));
                    if !Contained(connection).await {
                        worker.counters.panics.add(1);
                        worker.notices.tell(None, Event::Panicked);
                    }
                });
            }
            Ok(None) => return true,
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                worker.counters.accepts_failed.add(1);
                worker.notices.tell(None, Event::AcceptFailed(error));
                return false;
            }
        }
    }
    true
}

/// The connection failed before we got it; the listener is well.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
