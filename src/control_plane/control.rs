//! The control thread: what the control plane does by itself, from the first core's start to after the
//! last one's end.
//!
//! It runs beside whoever started the proxy, so that a proxy that nobody waits for (a test's) has its
//! addresses and pages, too. It is told to end, ends its work in order, and is joined; or it is dropped
//! and told nothing more.

use std::{future::Future, io, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{sync::oneshot, time::sleep};

use super::resolver;
use crate::{
    boundary::snapshot::{Endpoint, Published},
    limits::{RESOLVE_AGAIN_MS, RESOLVE_EVERY_MS},
};

/// Resolves, whatever with, when the thread is to end.
pub type Stop = oneshot::Receiver<()>;

/// The thread. Dropping it tells it to end, and does not wait for that.
pub struct Control {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Control {
    /// Runs what `work` returns on a thread and a runtime of its own. The future is made on that thread,
    /// so it need not be `Send`, and may open what needs the runtime. It must end soon after its [`Stop`];
    /// tasks that it leaves behind are dropped.
    ///
    /// # Errors
    /// No thread, or no runtime.
    pub fn start<F, Fut>(work: F) -> io::Result<Self>
    where
        F: FnOnce(Stop) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("outcrop-control".to_owned()).spawn(move || {
                let result = runtime.block_on(async { work(stopped).await });
                runtime.shutdown_background(); // or a look-up that hangs would hold us until it is over
                result
            })?;
        Ok(Self { stop, thread })
    }

    /// Whether it has ended, which it does by itself only when it cannot go on.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells it to end, and waits until its work is done.
    ///
    /// # Errors
    /// Its work's own; or that it panicked.
    pub fn end(self) -> io::Result<()> {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_panic| Err(io::Error::other("the control thread panicked")))
    }
}

/// Keeps the addresses of the endpoints in force fresh, for ever: sooner while one has none.
pub async fn keep_resolving(published: Arc<Published>) {
    loop {
        resolver::resolve_all(&in_force(&published)).await;
        let mut waited_ms = 0;
        while waited_ms < RESOLVE_EVERY_MS {
            sleep(Duration::from_millis(RESOLVE_AGAIN_MS)).await;
            waited_ms += RESOLVE_AGAIN_MS;
            if in_force(&published).iter().any(|endpoint| endpoint.addresses().is_empty()) {
                break;
            }
        }
    }
}

/// Each endpoint of the newest snapshot once.
fn in_force(published: &Published) -> Vec<Arc<Endpoint>> {
    let snapshot = published.newest();
    let mut all: Vec<_> = snapshot.deployments.iter().map(|it| it.endpoint.clone()).collect();
    all.sort_unstable_by_key(|endpoint| endpoint.index);
    all.dedup_by_key(|endpoint| endpoint.index);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_told_and_not_before() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let control = Control::start(|stop| async move {
            let _ = stop.await;
            sender.send("ended").unwrap();
            Err(io::Error::other("the books do not close"))
        })
        .unwrap();
        assert!(!control.is_finished());
        assert!(receiver.try_recv().is_err());
        assert_eq!(control.end().unwrap_err().to_string(), "the books do not close");
        assert_eq!(receiver.recv().unwrap(), "ended");
    }

    #[test]
    fn dropped_it_ends_too() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let control = Control::start(|stop| async move {
            let _ = stop.await;
            drop(sender);
            Ok(())
        });
        drop(control.unwrap());
        assert!(receiver.recv().is_err(), "what it holds is dropped with it");
    }

    #[test]
    fn a_panic_is_an_error() {
        let control = Control::start(|_stop| async { panic!("of a test") }).unwrap();
        assert!(control.end().unwrap_err().to_string().contains("panicked"));
    }
}
