//! The thread that writes the access log, and the queue in front of it.
//!
//! Buffers of whole lines, each in one `write(2)`; what the kernel takes only in part is continued before
//! anything else is written. A write that fails is tried again for as long as the process lives, so that
//! nothing in the queue is lost to a disk that was full for an hour; lines that find no room in the
//! queue meanwhile are. The order of the queue is the order of the file, and reopening stands in it.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use crate::limits::{
    ACCESS_LOG_FULL_PIPE_MS, ACCESS_LOG_QUEUE_BYTES_MAX, ACCESS_LOG_RETRY_MS,
    ACCESS_LOG_SPARE_BUFFERS_MAX, ACCESS_LOG_WORDS_MAX, ACCESS_LOG_WRITE_BYTES,
};

/// Read and written by the owner, read by its group: lines hold addresses.
const MODE: u32 = 0o640;
/// Longer than nearly all lines.
const LINE_BYTES: usize = 4096;

/// Where lines end up.
pub(super) struct Sink {
    file: File,
    /// `None`: stdout, which has no name to be opened by.
    path: Option<PathBuf>,
}

impl Sink {
    /// # Errors
    /// What the file system says; a FIFO without a reader is refused.
    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        Ok(Self { file: open(&path)?, path: Some(path) })
    }

    /// # Errors
    /// There is no stdout.
    pub(super) fn stdout() -> io::Result<Self> {
        // A file of our own: Rust's stdout holds lines back and is locked by who prints.
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { file, path: None })
    }

    #[cfg(test)]
    pub(super) fn pipe(pipe: io::PipeWriter) -> Self {
        Self { file: File::from(std::os::fd::OwnedFd::from(pipe)), path: None }
    }

    fn place(&self) -> String {
        self.path.as_ref().map_or("stdout".to_owned(), |path| path.display().to_string())
    }
}

/// Without blocking: a FIFO must stop neither the start nor the writer's end. Files know no such thing.
fn open(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

enum Message {
    Lines { bytes: Vec<u8>, count: u64 },
    Reopen,
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
    write_errors: AtomicU64,
    /// So that a writer that is stuck in its retries learns of it before its turn.
    reopens_asked: AtomicU64,
    is_closing: AtomicBool,
}

/// The control plane's end.
pub(super) struct Writer {
    messages: Sender<Message>,
    spares: Receiver<Vec<u8>>,
    words: Receiver<String>,
    shared: Arc<Shared>,
    thread: Thread,
    place: String,
}

impl Writer {
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(sink: Sink) -> io::Result<Self> {
        let (messages, inbox) = channel();
        let (spare_sender, spares) = sync_channel(ACCESS_LOG_SPARE_BUFFERS_MAX);
        let (words_sender, words) = sync_channel(ACCESS_LOG_WORDS_MAX);
        let shared = Arc::new(Shared::default());
        let place = sink.place();
        let worker = Worker {
            sink,
            inbox,
            spares: spare_sender,
            words: words_sender,
            shared: shared.clone(),
            reopens_done: 0,
            rescued_at: 0,
            is_failing: false,
        };
        let builder = thread::Builder::new().name("outcrop-log".to_owned());
        let thread = builder.spawn(move || worker.run())?.thread().clone();
        Ok(Self { messages, spares, words, shared, thread, place })
    }

    /// Whether there is no room for another buffer.
    pub(super) fn is_full(&self) -> bool {
        let queued = self.shared.queued_bytes.load(Relaxed);
        queued + ACCESS_LOG_WRITE_BYTES + LINE_BYTES > ACCESS_LOG_QUEUE_BYTES_MAX
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.queued_bytes.load(Relaxed) == 0
    }

    /// An empty buffer, used before if one is there; with room for one more line than is needed.
    pub(super) fn spare(&self) -> Vec<u8> {
        let fresh = || Vec::with_capacity(ACCESS_LOG_WRITE_BYTES + LINE_BYTES);
        self.spares.try_recv().unwrap_or_else(|_| fresh())
    }

    /// Whole lines; dropped and counted if they find no room.
    pub(super) fn send(&self, bytes: Vec<u8>, count: u64) {
        let length = bytes.len();
        let queued = self.shared.queued_bytes.fetch_add(length, Relaxed) + length;
        let has_room = queued <= ACCESS_LOG_QUEUE_BYTES_MAX;
        if !has_room || self.messages.send(Message::Lines { bytes, count }).is_err() {
            self.shared.queued_bytes.fetch_sub(length, Relaxed);
            self.count_dropped(count);
        }
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.shared.dropped.fetch_add(lines, Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    pub(super) fn write_errors(&self) -> u64 {
        self.shared.write_errors.load(Relaxed)
    }

    pub(super) fn reopen(&self) {
        self.shared.reopens_asked.fetch_add(1, Relaxed);
        let _ = self.messages.send(Message::Reopen); // no writer: lines are counted as dropped
        self.thread.unpark();
    }

    pub(super) fn flush(&self, within: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        self.messages.send(Message::Flush(done)).is_ok() && is_done.recv_timeout(within).is_ok()
    }

    pub(super) fn next_words(&self) -> Option<String> {
        self.words.try_recv().ok()
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl Drop for Writer {
    /// Does not wait for the thread: it may be in a write that never ends.
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Relaxed);
        self.thread.unpark();
    }
}

/// The thread's own.
struct Worker {
    sink: Sink,
    inbox: Receiver<Message>,
    spares: SyncSender<Vec<u8>>,
    words: SyncSender<String>,
    shared: Arc<Shared>,
    reopens_done: u64,
    /// The `reopens_asked` for which a stuck buffer was saved: once each.
    rescued_at: u64,
    is_failing: bool,
}

impl Worker {
    fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            match message {
                Message::Lines { mut bytes, count } => {
                    if !self.write(&bytes) {
                        self.shared.dropped.fetch_add(count, Relaxed);
                    }
                    self.shared.queued_bytes.fetch_sub(bytes.len(), Relaxed);
                    bytes.clear();
                    let _ = self.spares.try_send(bytes); // enough are there: it is freed
                }
                Message::Reopen => {
                    self.reopens_done += 1;
                    self.rescued_at = self.rescued_at.max(self.reopens_done);
                    self.reopen();
                }
                Message::Flush(done) => {
                    let _ = done.send(()); // or who asked waits no longer
                }
            }
        }
    }

    /// All of it, however long it takes; false only if the log was closed meanwhile.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let mut written = 0;
        while written < bytes.len() {
            let error = match self.sink.file.write(&bytes[written..]) {
                Ok(0) => io::Error::from(ErrorKind::WriteZero),
                Ok(more) => {
                    written += more;
                    self.note_success();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if self.shared.is_closing.load(Relaxed) {
                return false;
            }
            let pause_ms = self.note_failure(&error);
            if self.is_rescued() {
                // What the old file has of the line at hand stays torn there; the new one gets it whole.
                let before = &bytes[..written];
                written = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                continue;
            }
            thread::park_timeout(Duration::from_millis(pause_ms));
        }
        true
    }

    /// Whether the file that takes nothing was just replaced by a fresh one, as was asked for.
    fn is_rescued(&mut self) -> bool {
        let asked = self.shared.reopens_asked.load(Relaxed);
        if asked == self.rescued_at || self.sink.path.is_none() {
            return false;
        }
        self.rescued_at = asked;
        self.reopen()
    }

    fn reopen(&mut self) -> bool {
        let Some(path) = &self.sink.path else { return false };
        match open(path) {
            Ok(file) => {
                self.sink.file = file;
                true
            }
            Err(error) => {
                self.say(format!(
                    "access log: cannot reopen {}: {error}; the file opened before is written on",
                    self.sink.place()
                ));
                false
            }
        }
    }

    /// How long to wait, in milliseconds. A pipe that is full is no failure.
    fn note_failure(&mut self, error: &io::Error) -> u64 {
        if error.kind() == ErrorKind::WouldBlock {
            return ACCESS_LOG_FULL_PIPE_MS;
        }
        self.shared.write_errors.fetch_add(1, Relaxed);
        if !self.is_failing {
            self.is_failing = true;
            let place = self.sink.place();
            self.say(format!("access log: cannot write to {place}: {error}; trying again"));
        }
        ACCESS_LOG_RETRY_MS
    }

    fn note_success(&mut self) {
        if self.is_failing {
            self.is_failing = false;
            let place = self.sink.place();
            self.say(format!("access log: writing to {place} again"));
        }
    }

    /// Words beyond what the control plane reads are of what it was told already.
    fn say(&self, words: String) {
        let _ = self.words.try_send(words);
    }
}
