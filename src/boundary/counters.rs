//! What a core counts that no entry says: connections, bytes, how busy it is.
//!
//! One thread writes, at the cost of a plain load and store each: no locked instruction, no shared cache
//! line. Any thread reads, and sees each number as it was a moment ago. That only one writes is kept by
//! [`CoreWriter`], of which there is one per core: it cannot be cloned, and not be used by two threads.

use std::{
    cell::Cell,
    marker::PhantomData,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// More by `n`; wraps after 2^64.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Less by `n`. Taking more than was added is our own bug; it shows as 0.
    #[inline]
    pub fn sub(&self, n: u64) {
        let now = self.0.load(Relaxed);
        debug_assert!(now >= n, "nothing ends that did not begin");
        self.0.store(now.saturating_sub(n), Relaxed);
    }

    /// As it is, or was a moment ago.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$what:meta])+ $name:ident,)+) => {
        /// A core's numbers, alone on their cache lines (two, since processors fetch them in pairs).
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct CoreCounters {
            $($(#[$what])+ pub $name: Count,)+
        }

        /// A core's numbers at one moment.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct CoreCounts {
            $($(#[$what])+ pub $name: u64,)+
        }

        impl CoreReader {
            /// The numbers now.
            #[must_use]
            pub fn read(&self) -> CoreCounts {
                CoreCounts { $($name: self.0.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// The core's thread, by the kernel's number; 0 before it runs.
    thread,
    /// Turns of its own clock, ever: it lives, and has seen what was published before the last but one.
    ticks,
    /// Exchanges that panicked, ever.
    panics,
    /// Accepting failed for want of descriptors or memory, ever.
    accepts_failed,
    /// Requests refused because as much was under way as may be, ever.
    requests_shed,
    /// Connections refused because as many were open as may be, ever.
    connections_refused,
    /// Client connections, now.
    connections_open,
    /// Client connections, ever.
    connections_accepted,
    /// Requests whose head is whole and whose end has not come, now.
    in_flight,
    /// Requests whose head was whole, ever.
    requests,
    /// Connections made to upstream, ever.
    upstream_connects,
    /// Requests sent on an upstream connection that had carried one before, ever.
    upstream_reuses,
}

/// The core's end: the only one that changes anything.
#[derive(Debug)]
pub struct CoreWriter(Arc<CoreCounters>, PhantomData<Cell<()>>);

/// The control plane's end.
#[derive(Clone, Debug)]
pub struct CoreReader(Arc<CoreCounters>);

/// Both ends of one core's counters.
#[must_use]
pub fn channel() -> (CoreWriter, CoreReader) {
    let counters = Arc::new(CoreCounters::default());
    (CoreWriter(counters.clone(), PhantomData), CoreReader(counters))
}

impl Deref for CoreWriter {
    type Target = CoreCounters;

    fn deref(&self) -> &CoreCounters {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_and_another_reads() {
        const ROUNDS: u64 = 100_000;
        let (writer, reader) = channel();
        let core = std::thread::spawn(move || {
            for _ in 0..ROUNDS {
                writer.in_flight.add(2);
                writer.requests.add(1);
                writer.in_flight.sub(2);
            }
        });
        let mut last = 0;
        while last < ROUNDS {
            let now = reader.read();
            assert!(now.requests >= last && now.in_flight <= 2, "{now:?}");
            last = now.requests;
        }
        core.join().unwrap();
        assert_eq!(reader.read(), CoreCounts { requests: ROUNDS, ..CoreCounts::default() });
    }

    #[test]
    fn two_cores_share_no_cache_line() {
        assert_eq!(align_of::<CoreCounters>(), 128);
        assert_eq!(size_of::<CoreCounters>() % 128, 0);
    }
}
