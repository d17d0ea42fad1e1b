//! The content of answers as hyper takes it: whole, or frames paced, gated, stalled, cut.
//!
//! Content goes in pieces, so that a client that leaves or stalls is noticed before the end. Each
//! frame is a chunk and a write of its own: between frames hyper gets to flush.

use super::record::{Answered, Record, Seen};
use super::socket::{Ending, Orders};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

/// Whole content is given to hyper in pieces of this.
const PIECE_BYTES: usize = 64 * 1024;

/// Called when an answer has ended.
pub type OnRequest = Arc<dyn Fn(&Seen) + Send + Sync>;

/// Follows one answer; records how it ended when dropped, which hyper does at its end or when the
/// client has gone.
pub struct Account {
    /// Where to record.
    pub record: Arc<Record>,
    /// Whom to tell.
    pub on_request: Option<OnRequest>,
    /// Of the request.
    pub ordinal: u64,
    /// The answer's status, once known.
    pub status: u16,
    /// Frames given to the connection.
    pub frames_sent: u64,
    /// As it would be if the answer ended now.
    pub answered: Answered,
}

impl Drop for Account {
    fn drop(&mut self) {
        let seen = self.record.ended(self.ordinal, self.status, self.frames_sent, self.answered);
        if let (Some(seen), Some(on_request)) = (&seen, &self.on_request) {
            on_request(seen);
        }
    }
}

/// An answer's content.
pub struct Content {
    what: What,
    account: Account,
    orders: Rc<Orders>,
    /// What happens to the connection after the end.
    afterwards: Option<Ending>,
}

enum What {
    Whole { bytes: Bytes, chunked: bool },
    Stream(Box<Pace>),
}

impl Content {
    /// `bytes`, whose length is told unless `chunked`.
    pub fn whole(
        bytes: Bytes,
        chunked: bool,
        account: Account,
        orders: Rc<Orders>,
        afterwards: Option<Ending>,
    ) -> Self {
        let empty = bytes.is_empty() && !chunked;
        let mut content =
            Self { what: What::Whole { bytes, chunked }, account, orders, afterwards };
        if empty {
            content.end(); // hyper does not ask for content that has none
        }
        content
    }

    /// Frames at their pace.
    pub fn stream(
        pace: Pace,
        account: Account,
        orders: Rc<Orders>,
        afterwards: Option<Ending>,
    ) -> Self {
        Self { what: What::Stream(Box::new(pace)), account, orders, afterwards }
    }

    /// For content that something else sends: the account stays as it is.
    pub fn placeholder(account: Account, orders: Rc<Orders>) -> Self {
        Self {
            what: What::Whole { bytes: Bytes::new(), chunked: false },
            account,
            orders,
            afterwards: None,
        }
    }

    fn end(&mut self) {
        self.account.answered = Answered::Finished;
        if let Some(ending) = self.afterwards {
            self.orders.end_when_sent(ending);
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = match &mut this.what {
            What::Whole { bytes, chunked } => {
                let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
                let last = bytes.is_empty() && !*chunked;
                if last || piece.is_empty() {
                    this.end();
                }
                (!piece.is_empty()).then_some(piece)
            }
            What::Stream(pace) => match ready!(pace.poll_next(cx)) {
                Next::Frames(bytes, count) => {
                    this.account.frames_sent += count;
                    this.account.record.add_frames(count);
                    Some(bytes)
                }
                Next::End => {
                    this.end();
                    None
                }
                Next::Cut(ending) => {
                    this.account.answered = Answered::Cut;
                    this.orders.end_when_sent(ending);
                    return Poll::Pending; // hyper flushes now, and the flush ends the connection
                }
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.what, What::Whole { bytes, chunked: false } if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.what {
            What::Whole { bytes, chunked: false } => SizeHint::with_exact(bytes.len() as u64),
            What::Whole { .. } | What::Stream(_) => SizeHint::default(),
        }
    }
}

/// When the frames of a stream go.
pub struct Pace {
    /// The frames.
    pub frames: Rc<[Bytes]>,
    /// Frames in one chunk, at least 1.
    pub per_write: usize,
    /// Before the first frame.
    pub first_gap: Duration,
    /// Before each other write.
    pub gap: Duration,
    /// Each frame takes a permit from it.
    pub gate: Option<Arc<Semaphore>>,
    /// After this many frames, this happens instead of the rest.
    pub cut: Option<(usize, Ending)>,
    /// Frames given so far.
    pub sent: usize,
    /// What the next write waits for.
    pub wait: Wait,
}

/// What stands before the next write.
#[derive(Default)]
pub enum Wait {
    /// Nothing has been awaited for it yet.
    #[default]
    Fresh,
    /// Its time.
    Time(Pin<Box<Sleep>>),
    /// Its release.
    Gate(Pin<Box<dyn Future<Output = ()>>>),
    /// hyper's flush of the write before.
    Flush,
    /// Nothing any more.
    Over,
}

enum Next {
    Frames(Bytes, u64),
    End,
    Cut(Ending),
}

impl Pace {
    /// Content that never comes, and never ends.
    pub fn stalled() -> Self {
        Self {
            frames: Rc::new([]),
            per_write: 1,
            first_gap: Duration::ZERO,
            gap: Duration::ZERO,
            gate: None,
            cut: Some((0, Ending::Stall)),
            sent: 0,
            wait: Wait::Fresh,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let end = self.cut.map_or(self.frames.len(), |(after, _)| after.min(self.frames.len()));
        if self.sent == end {
            return match self.cut {
                Some((_, Ending::Stall)) => Poll::Pending, // hyper's reading side notices the client leave
                Some((_, ending)) => Poll::Ready(Next::Cut(ending)),
                None => Poll::Ready(Next::End),
            };
        }
        ready!(self.poll_wait(cx));
        self.wait = Wait::Fresh;
        let until = (self.sent + self.per_write.max(1)).min(end);
        let frames = &self.frames[self.sent..until];
        let count = frames.len() as u64;
        let bytes = if let [frame] = frames { frame.clone() } else { frames.concat().into() };
        self.sent = until;
        Poll::Ready(Next::Frames(bytes, count))
    }

    /// Waits for the time, then for the gate, else only for hyper to flush.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.wait = match &mut self.wait {
                Wait::Fresh => {
                    let gap = if self.sent == 0 { self.first_gap } else { self.gap };
                    match (gap.is_zero(), self.sent) {
                        (false, _) => Wait::Time(Box::pin(tokio::time::sleep(gap))),
                        (true, 0) => self.at_gate(),
                        (true, _) => {
                            self.wait = Wait::Flush;
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                }
                Wait::Time(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.at_gate()
                }
                Wait::Flush => self.at_gate(),
                Wait::Gate(permit) => {
                    ready!(permit.as_mut().poll(cx));
                    Wait::Over
                }
                Wait::Over => return Poll::Ready(()),
            };
        }
    }

    fn at_gate(&self) -> Wait {
        let Some(gate) = self.gate.clone() else { return Wait::Over };
        Wait::Gate(Box::pin(async move {
            // Never closed; were it, the stream would go on ungated.
            if let Ok(permit) = gate.acquire_owned().await {
                permit.forget();
            }
        }))
    }
}
