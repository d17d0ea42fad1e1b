//! What others may ask of the bookkeeper, from anywhere in the control plane.

use tokio::sync::{mpsc, oneshot};

use crate::limits::ASKS_MAX;

/// What is asked.
pub(super) enum Wish {
    /// That all that was written before is shown to log and metrics.
    Shown,
    /// That it is on disk outside of the ring, too: in the store, or in a segment.
    Settled,
}

pub(super) struct Ask {
    pub(super) wish: Wish,
    pub(super) answer: oneshot::Sender<()>,
}

/// Asks the bookkeeper; as many as one likes.
#[derive(Clone)]
pub struct Asker(mpsc::Sender<Ask>);

pub(super) fn channel() -> (Asker, mpsc::Receiver<Ask>) {
    let (sender, receiver) = mpsc::channel(ASKS_MAX);
    (Asker(sender), receiver)
}

impl Asker {
    /// Returns when all that the cores had written was shown to log and metrics; at once if there is no
    /// bookkeeper any more.
    pub async fn shown(&self) {
        self.ask(Wish::Shown).await;
    }

    /// Returns when all that the cores had written is in the store, or in a segment if the store is away.
    pub async fn settled(&self) {
        self.ask(Wish::Settled).await;
    }

    async fn ask(&self, wish: Wish) {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Ask { wish, answer }).await.is_ok() {
            let _ = answered.await;
        }
    }
}
