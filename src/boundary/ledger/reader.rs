//! The control plane's end of a ledger file: of one that a core writes, or of one that somebody left.
//!
//! Entries are read in order of their positions, and freed when they are on disk elsewhere. When the writer
//! is gone, the requests that were under way follow behind the last entry, as interrupted.
#![expect(unsafe_code, reason = "the file's blocks: see mapping.rs")]

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use super::{
    entry::Entry,
    mapping::{Counter, Mapping},
    recover::{Recovered, recover},
};

enum Source {
    /// In memory; a core writes it.
    Live(Arc<Mapping>),
    /// Somebody left it. Its lock is ours.
    Left(File),
}

/// The control plane's end: one thread at a time.
pub struct Reader {
    source: Source,
    path: PathBuf,
    /// The last position read.
    cursor: u64,
    /// What there is when nobody writes any more; `None` as long as somebody does.
    rest: Option<VecDeque<(u64, Entry)>>,
    logged: u64,
    torn: u64,
    /// Of a file that somebody left.
    lost: u64,
    is_damaged: bool,
}

/// Forces a file to disk, from a thread that may wait.
#[derive(Clone)]
pub struct Syncer(Arc<Mapping>);

impl Syncer {
    /// Waits until all that was written before the call is on disk.
    ///
    /// # Errors
    /// What the disk says: entries may not survive a power failure then.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Reader {
    pub(super) fn of_core(map: Arc<Mapping>, path: PathBuf) -> Self {
        Self {
            source: Source::Live(map),
            path,
            cursor: 0,
            rest: None,
            logged: 0,
            torn: 0,
            lost: 0,
            is_damaged: false,
        }
    }

    pub(super) fn of_left(file: File, path: PathBuf, found: Recovered) -> Self {
        Self {
            source: Source::Left(file),
            path,
            cursor: 0,
            rest: Some(found.entries.into()),
            logged: found.logged,
            torn: found.torn,
            lost: found.lost,
            is_damaged: found.damage.is_some(),
        }
    }

    /// Appends at most `max` entries, the next in order; `true` if there may be more. Then
    /// [`Self::position`] is that of the last, and all of them were logged before, or none.
    pub fn read(&mut self, max: usize, entries: &mut Vec<Entry>) -> bool {
        let mut left = max;
        if let Source::Live(map) = &self.source
            && self.rest.is_none()
        {
            // Before the ring is looked at: what was written before the writer went is seen.
            let is_last = map.writer_is_gone();
            let map = map.clone();
            left -= self.read_ring(&map, left, entries);
            if left > 0 && is_last {
                let bytes = map.copy().expect("the writer is gone");
                let found = recover(&bytes, self.cursor);
                self.torn += found.torn;
                self.rest = Some(found.entries.into());
            }
        }
        let Some(rest) = &mut self.rest else { return left == 0 };
        // What was shown and what was not are not given together.
        let shown = rest.partition_point(|(position, _)| *position <= self.logged);
        let next = if shown > 0 { shown } else { rest.len() };
        for (position, entry) in rest.drain(..left.min(next)) {
            self.cursor = position;
            entries.push(entry);
        }
        !rest.is_empty()
    }

    /// How many were read, at most `max`.
    fn read_ring(&mut self, map: &Mapping, max: usize, entries: &mut Vec<Entry>) -> usize {
        let before = entries.len();
        while entries.len() - before < max {
            let next = self.cursor + 1;
            let block = map.shape.block_of(next);
            if map.sequence(block) != next {
                let is_written = map.counter(Counter::Written, Ordering::Acquire) >= next;
                if !is_written || self.cursor >= self.freed(map) + map.shape.capacity() {
                    break;
                }
                if map.sequence(block) != next {
                    // Written, and yet not there: somebody else changed the file.
                    self.torn += 1;
                    self.cursor = next;
                    continue;
                }
            }
            // SAFETY: the block has the number of an entry that we have not freed, so that the writer
            // does not touch it; and only we free.
            let bytes = unsafe { map.block(block) };
            match Entry::decode(&bytes) {
                Ok((_, entry)) => entries.push(entry),
                Err(_) => self.torn += 1,
            }
            self.cursor = next;
        }
        entries.len() - before
    }

    fn freed(&self, map: &Mapping) -> u64 {
        map.counter(Counter::Freed, Ordering::Relaxed)
    }

    /// Of the last entry that was read; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.cursor
    }

    /// All up to `position` is on disk elsewhere: the core may use its room again. Of a file that somebody
    /// left nothing is freed but all, by [`Self::remove`].
    pub fn free(&mut self, position: u64) {
        assert!(position <= self.cursor, "only what was read is freed");
        if let Source::Live(map) = &self.source
            && position > self.freed(map)
        {
            // Positions of interrupted requests are beyond the ring's own.
            let written = map.counter(Counter::Written, Ordering::Relaxed);
            map.set_counter(Counter::Freed, position.min(written), Ordering::Release);
        }
    }

    /// Whether it is a file that somebody left, and not a core's of this process.
    #[must_use]
    pub fn is_left(&self) -> bool {
        matches!(self.source, Source::Left(_))
    }

    /// Up to here all was shown to log and metrics, in this process or in the one before.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.logged
    }

    /// All up to `position` was shown to log and metrics: after a restart it is not shown again.
    pub fn mark_logged(&mut self, position: u64) {
        self.logged = self.logged.max(position);
        match &self.source {
            Source::Live(map) => {
                map.set_counter(Counter::Logged, self.logged, Ordering::Relaxed);
            }
            // One that is not written shows a line twice after the next restart.
            Source::Left(file) if !self.is_damaged => {
                let _ = file.write_all_at(&self.logged.to_le_bytes(), Counter::Logged as u64);
            }
            Source::Left(_) => {}
        }
    }

    /// Entries that wait: written and not freed, or of a file that somebody left, not read.
    #[must_use]
    pub fn depth(&self) -> u64 {
        match &self.source {
            Source::Live(map) => {
                let written = map.counter(Counter::Written, Ordering::Relaxed);
                written.saturating_sub(self.freed(map))
            }
            Source::Left(_) => self.rest.as_ref().map_or(0, VecDeque::len) as u64,
        }
    }

    /// Positions that were read and not freed; 0 of a file that somebody left.
    #[must_use]
    pub fn unfreed(&self) -> u64 {
        match &self.source {
            Source::Live(map) => self.cursor.saturating_sub(self.freed(map)),
            Source::Left(_) => 0,
        }
    }

    /// Entries there is room for; 0: there is no writer.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        match &self.source {
            Source::Live(map) => map.shape.capacity(),
            Source::Left(_) => 0,
        }
    }

    /// Entries that had no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.source {
            Source::Live(map) => map.counter(Counter::Lost, Ordering::Relaxed),
            Source::Left(_) => self.lost,
        }
    }

    /// Entries that were written, and are broken: by a power failure, or by somebody else.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        match &self.source {
            Source::Live(map) if self.rest.is_none() => {
                map.counter(Counter::InFlight, Ordering::Relaxed)
            }
            Source::Live(_) | Source::Left(_) => 0,
        }
    }

    /// Whether nobody writes any more, and all was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.as_ref().is_some_and(VecDeque::is_empty)
    }

    /// What forces it to disk; `None` of a file that somebody left.
    #[must_use]
    pub fn syncer(&self) -> Option<Syncer> {
        match &self.source {
            Source::Live(map) => Some(Syncer(map.clone())),
            Source::Left(_) => None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it is on disk elsewhere: deletes the file, or sets it aside if it is damaged.
    ///
    /// # Errors
    /// What the file system says; the file is read again at the next start.
    pub fn remove(self) -> io::Result<()> {
        assert!(self.is_at_end(), "all was read");
        if !self.is_damaged {
            return fs::remove_file(&self.path);
        }
        set_aside(&self.path).map(|_| ())
    }
}

/// Renames `core-0.ring` to the first free of `core-0.ring.damaged-1`, …
///
/// # Errors
/// What the file system says.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let to = PathBuf::from(name);
        if !to.try_exists()? {
            fs::rename(path, &to)?;
            return Ok(to);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
