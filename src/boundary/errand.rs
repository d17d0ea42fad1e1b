//! A request for a page that only the control plane can make, on its way there; and the page's way back.
//!
//! ```text
//!   core                              control plane
//!   Errands::send ── bounded channel ──▶ ErrandReader::next ── Errand
//!        │                                                       │
//!   Awaited::look ◀──────────── slot for one page ───────── Errand::answer
//! ```
//!
//! A core never waits on a lock, nor can another thread wake it: it looks into the slot by its own timer.
//! Either side may go away at any time; the other one then learns so from its next call.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::limits::ERRANDS_MAX;

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// `GET` or `POST`; of a `HEAD` the core makes a `GET`, and drops the content.
    pub method: &'static str,
    /// Path and query of an origin-form target; a valid URI.
    pub target: String,
    /// The request's content; not shown anywhere.
    pub content: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// HTTP's.
    pub status: u16,
    /// A field's value: visible ASCII and spaces.
    pub content_type: String,
    /// The exception's name, if it is an error. As `content_type`.
    pub error_type: Option<String>,
    /// Whole.
    pub content: Bytes,
}

/// A question, and who waits for its page.
pub struct Errand {
    /// What is asked.
    pub question: Question,
    slot: oneshot::Sender<Page>,
}

impl Errand {
    /// Takes it apart: the question moves, the asker waits on.
    #[must_use]
    pub fn take(self) -> (Question, Asker) {
        (self.question, Asker(self.slot))
    }
}

/// Waits for one page. Dropped without an answer, it leaves the core a [`Lost::NoPage`].
pub struct Asker(oneshot::Sender<Page>);

impl Asker {
    /// Gives the page to who asked, if it still waits.
    pub fn answer(self, page: Page) {
        let _nobody_waits_any_more = self.0.send(page);
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// A core's end.
#[derive(Clone)]
pub struct Errands(mpsc::Sender<Errand>);

/// The control plane's end.
pub type ErrandReader = mpsc::Receiver<Errand>;

/// Why there will be no page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// [`ERRANDS_MAX`] others wait.
    Full,
    /// The control plane has ended, or gave up on this one.
    NoPage,
}

/// Both ends.
#[must_use]
pub fn channel() -> (Errands, ErrandReader) {
    let (sender, receiver) = mpsc::channel(ERRANDS_MAX);
    (Errands(sender), receiver)
}

impl Errands {
    /// Sends a question; never waits.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn send(&self, question: Question) -> Result<Awaited, Lost> {
        let (slot, page) = oneshot::channel();
        match self.0.try_send(Errand { question, slot }) {
            Ok(()) => Ok(Awaited(page)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Lost::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Lost::NoPage),
        }
    }
}

/// A page to come. Dropping it tells the control plane that nobody waits.
#[derive(Debug)]
pub struct Awaited(oneshot::Receiver<Page>);

impl Awaited {
    /// The page, if it is there by now; then no more.
    ///
    /// # Errors
    /// It will never be there.
    pub fn look(&mut self) -> Result<Option<Page>, Lost> {
        match self.0.try_recv() {
            Ok(page) => Ok(Some(page)),
            Err(oneshot::error::TryRecvError::Empty) => Ok(None),
            Err(oneshot::error::TryRecvError::Closed) => Err(Lost::NoPage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question { method: "GET", target: "/metrics".into(), content: Vec::new() }
    }

    fn page() -> Page {
        Page {
            status: 200,
            content_type: "text/plain".into(),
            error_type: None,
            content: Bytes::from_static(b"up 1\n"),
        }
    }

    #[test]
    fn a_page_comes_back_from_another_thread() {
        let (errands, mut reader) = channel();
        let mut awaited = errands.send(question()).unwrap();
        assert_eq!(awaited.look(), Ok(None));
        let other = std::thread::spawn(move || {
            let (question, asker) = reader.blocking_recv().unwrap().take();
            assert_eq!((question.method, question.target.as_str()), ("GET", "/metrics"));
            assert!(!asker.is_gone());
            asker.answer(page());
        });
        other.join().unwrap();
        assert_eq!(awaited.look(), Ok(Some(page())));
    }

    #[test]
    fn a_core_learns_that_the_control_plane_is_gone() {
        let (errands, mut reader) = channel();
        let mut given_up = errands.send(question()).unwrap();
        let mut unseen = errands.send(question()).unwrap();
        drop(reader.try_recv().unwrap());
        assert_eq!(given_up.look(), Err(Lost::NoPage));
        assert_eq!(unseen.look(), Ok(None));
        drop(reader);
        assert_eq!(unseen.look(), Err(Lost::NoPage));
        assert_eq!(errands.send(question()).err(), Some(Lost::NoPage));
    }

    #[test]
    fn the_control_plane_learns_that_a_core_is_gone() {
        let (errands, mut reader) = channel();
        drop(errands.send(question()).unwrap());
        let (_, asker) = reader.try_recv().unwrap().take();
        assert!(asker.is_gone());
        asker.answer(page());
        drop(errands);
        assert!(reader.blocking_recv().is_none());
    }

    #[test]
    fn too_many_are_refused_at_once() {
        let (errands, mut reader) = channel();
        let _all: Vec<_> = (0..ERRANDS_MAX).map(|_| errands.send(question()).unwrap()).collect();
        assert_eq!(errands.send(question()).err(), Some(Lost::Full));
        drop(reader.try_recv().unwrap());
        assert!(errands.send(question()).is_ok());
    }
}
