//! The event loop of one core: io_uring where the kernel grants it, epoll where it does not.
//!
//! Containers' default seccomp profiles refuse io_uring, so the choice is made at start by trying,
//! once, and the answer is told to the operator. Ring flags matter: `SINGLE_ISSUER | DEFER_TASKRUN`
//! (Linux 6.1) keeps completions from interrupting the thread that will reap them anyway, up to 1.3×
//! less CPU than monoio's default; older kernels get the nearest they know.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Submission queue entries per core. The kernel keeps what overflows the completion queue of twice that.
const RING_ENTRIES: u32 = 4096;

/// Which system interface the event loop runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// io_uring with the given set of flags.
    IoUring(RingFlags),
    /// epoll.
    Epoll,
}

/// What this kernel grants beyond a plain ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RingFlags {
    /// `SINGLE_ISSUER | DEFER_TASKRUN`, Linux 6.1.
    DeferTaskrun,
    /// `COOP_TASKRUN`, Linux 5.19.
    CoopTaskrun,
    /// None.
    Plain,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring(RingFlags::DeferTaskrun) => "io_uring (SINGLE_ISSUER, DEFER_TASKRUN)",
            Self::IoUring(RingFlags::CoopTaskrun) => "io_uring (COOP_TASKRUN)",
            Self::IoUring(RingFlags::Plain) => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

impl Driver {
    /// `io_uring` or `epoll`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::IoUring(_) => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

impl RingFlags {
    fn builder(self) -> io_uring::Builder {
        let mut builder = io_uring::IoUring::builder();
        match self {
            Self::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Self::CoopTaskrun => {
                builder.setup_coop_taskrun();
            }
            Self::Plain => {}
        }
        builder
    }
}

/// Tries what io_uring this kernel grants, by setting the rings of `count` cores up and dropping them:
/// before Linux 5.12 their memory counts against `RLIMIT_MEMLOCK`, so that one may do and all may not.
///
/// # Errors
/// The kernel's reason: `EPERM` under a seccomp profile or `kernel.io_uring_disabled`, `ENOSYS` without
/// it, `ENOMEM` at that limit.
pub fn probe_io_uring(count: usize) -> io::Result<RingFlags> {
    let mut refusal = io::Error::from(io::ErrorKind::Unsupported);
    for flags in [RingFlags::DeferTaskrun, RingFlags::CoopTaskrun, RingFlags::Plain] {
        let rings: io::Result<Vec<_>> =
            (0..count.max(1)).map(|_| flags.builder().build(RING_ENTRIES)).collect();
        match rings {
            Ok(rings) => return probe_operations(&rings[0]).map(|()| flags),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// A kernel may grant a ring and lack an operation (before 5.6).
fn probe_operations(ring: &io_uring::IoUring) -> io::Result<()> {
    use io_uring::opcode;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [
        opcode::Accept::CODE,
        opcode::Connect::CODE,
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::Close::CODE,
        opcode::AsyncCancel::CODE,
    ];
    if needed.iter().all(|code| probe.is_supported(*code)) {
        Ok(())
    } else {
        Err(io::Error::other(
            "this kernel's io_uring lacks an operation that we need (Linux 5.6 has them)",
        ))
    }
}

/// Runs `future` to its end on the calling thread, on a runtime built for it there.
///
/// # Errors
/// When the ring or the epoll instance cannot be made.
pub fn run<F: Future>(driver: Driver, future: F) -> io::Result<F::Output> {
    match driver {
        Driver::IoUring(flags) => {
            let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES);
            Ok(builder.uring_builder(flags.builder()).enable_timer().build()?.block_on(future))
        }
        Driver::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new().with_entries(RING_ENTRIES);
            Ok(builder.enable_timer().build()?.block_on(future))
        }
    }
}

/// Starts `future` as a task of the calling core.
pub fn spawn<F: Future<Output = ()> + 'static>(future: F) {
    drop(monoio::spawn(future));
}

/// Ends after `duration`.
pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}

/// Lets every other task that is ready take its turn.
pub async fn take_turns() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The time was up before the future ended; the future was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Elapsed;

/// `future`'s output, unless `duration` passes first.
///
/// Takes a pinned reference, as from `pin!`: a future given by value would lie twice in the state of
/// every function it passes through, and a connection's state is what an idle client costs us.
/// A read or write inside is cancelled when dropped; its connection must not be used again, since the
/// kernel may have moved bytes that nobody saw.
///
/// # Errors
/// [`Elapsed`] when the time was up.
pub async fn timeout<F: Future + Unpin>(
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    monoio::time::timeout(duration, future).await.map_err(|_| Elapsed)
}

/// As [`timeout`], until a moment.
///
/// # Errors
/// [`Elapsed`] when the moment came first.
pub async fn timeout_at<F: Future + Unpin>(
    deadline: Instant,
    future: F,
) -> Result<F::Output, Elapsed> {
    monoio::time::timeout_at(deadline.into(), future).await.map_err(|_| Elapsed)
}

/// A future whose panic ends it alone: monoio does not catch panics, and one would take the core along.
pub struct Contained<F>(pub F);

impl<F: Future<Output = ()> + Unpin> Future for Contained<F> {
    /// Whether the future ended by itself; false when it panicked.
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let future = Pin::new(&mut self.0);
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(true),
            Err(_panic) => Poll::Ready(false),
        }
    }
}
