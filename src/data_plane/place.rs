//! A request's place on its core: it is counted as under way, and so is the content that it holds, until it
//! ends, however it ends. What would be too much is refused before memory is short.

use std::cell::Cell;

use crate::{boundary::snapshot::Bounds, data_plane::worker::Worker};

/// See the file's comment.
pub struct Place<'w> {
    worker: &'w Worker,
    /// It goes to AWS, and counts against what may be under way.
    is_operation: Cell<bool>,
    content_bytes: Cell<u64>,
}

/// What a core has under way: sums of its places.
#[derive(Default)]
pub struct Load {
    operations: Cell<u64>,
    content_bytes: Cell<u64>,
}

/// It would be too much.
#[derive(Debug)]
pub struct Overloaded;

impl<'w> Place<'w> {
    /// A request has begun.
    #[must_use]
    pub fn new(worker: &'w Worker) -> Self {
        worker.counters.in_flight.add(1);
        Self { worker, is_operation: Cell::new(false), content_bytes: Cell::new(0) }
    }

    /// It is to go to AWS.
    ///
    /// # Errors
    /// [`Overloaded`]: as many are under way as may be.
    pub fn operate(&self, bounds: &Bounds) -> Result<(), Overloaded> {
        let operations = &self.worker.load.operations;
        if bounds.in_flight_max.is_some_and(|max| operations.get() >= max) {
            self.worker.counters.requests_shed.add(1);
            return Err(Overloaded);
        }
        operations.set(operations.get() + 1);
        self.is_operation.set(true);
        Ok(())
    }

    /// It holds so much content, or is about to; less than before is no news.
    ///
    /// # Errors
    /// [`Overloaded`]: all requests together would hold more than they may.
    pub fn hold(&self, bytes: u64, bounds: &Bounds) -> Result<(), Overloaded> {
        let more = bytes.saturating_sub(self.content_bytes.get());
        if more == 0 {
            return Ok(());
        }
        let all = &self.worker.load.content_bytes;
        let sum = all.get().saturating_add(more);
        if sum > bounds.content_bytes_max {
            self.worker.counters.requests_shed.add(1);
            return Err(Overloaded);
        }
        all.set(sum);
        self.content_bytes.set(bytes);
        Ok(())
    }

    /// It holds no content any more.
    pub fn release(&self) {
        let all = &self.worker.load.content_bytes;
        all.set(all.get() - self.content_bytes.take());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.release();
        let operations = &self.worker.load.operations;
        operations.set(operations.get() - u64::from(self.is_operation.get()));
        self.worker.counters.in_flight.sub(1);
    }
}
