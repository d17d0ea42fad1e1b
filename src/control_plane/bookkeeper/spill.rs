//! The segments of a folder: where entries go when the store does not take them, and come back from.
//!
//! Several processes may share the folder. A segment that is appended to or read is locked by who does so;
//! any other may be read by any of them, the oldest number first.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::segment::{Appending, Replaying};
use crate::{
    boundary::ledger::entry::Entry,
    limits::{SEGMENT_BYTES_MAX, STORE_ENTRIES_MAX},
};

/// How a new file is made: an argument, so that a test can have a disk that is full.
pub(super) type Create = fn(&Path) -> io::Result<File>;

pub(super) struct Spill {
    folder: PathBuf,
    create: Create,
    appending: Option<Appending>,
    /// Numbers of segments that nobody of us has open, and their sizes; the oldest first.
    waiting: VecDeque<(u64, u64)>,
    replaying: Option<Replaying>,
    /// Its number.
    replaying_number: u64,
    /// Those that cannot be read or deleted: another start may.
    refused: Vec<u64>,
    /// Read from it, and not yet recorded.
    chunk: Option<Rc<Vec<Entry>>>,
    next_number: u64,
    /// Entries in segments that are broken.
    pub(super) torn: u64,
}

/// A new file, and its owner's alone.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Numbers and sizes of the folder's segments, the oldest first.
fn segments(folder: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("spill-")?.strip_suffix(".seg"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, entry.metadata().map_or(0, |it| it.len())));
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Spill {
    /// Finds what was left.
    pub(super) fn open(folder: PathBuf, create: Create) -> io::Result<Self> {
        let found = segments(&folder)?;
        let next_number = found.last().map_or(1, |(number, _): &(u64, _)| number.saturating_add(1));
        Ok(Self {
            folder,
            create,
            appending: None,
            waiting: found.into(),
            replaying: None,
            replaying_number: 0,
            refused: Vec::new(),
            chunk: None,
            next_number,
            torn: 0,
        })
    }

    /// Finds what others have left since: what we have open or know of already is passed over, and what is
    /// another's will be, when it is its turn.
    pub(super) fn look_again(&mut self) {
        let Ok(found) = segments(&self.folder) else { return };
        let open = [
            self.appending.as_ref().map(|_| self.next_number - 1),
            self.replaying.as_ref().map(|_| self.replaying_number),
        ];
        let is_new = |number: &u64| {
            let waits = self.waiting.iter().any(|(waiting, _)| waiting == number);
            !waits && !open.contains(&Some(*number)) && !self.refused.contains(number)
        };
        let new: Vec<_> = found.into_iter().filter(|(number, _)| is_new(number)).collect();
        self.waiting.extend(new);
    }

    /// On disk, that we know of.
    pub(super) fn bytes(&self) -> u64 {
        self.waiting.iter().map(|(_, bytes)| bytes).sum::<u64>()
            + self.appending.as_ref().map_or(0, Appending::bytes)
            + self.replaying.as_ref().map_or(0, Replaying::bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.appending.is_none() && self.replaying.is_none()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("spill-{number}.seg"))
    }

    /// All are on disk when this is `Ok`. Else some may be, and come twice.
    pub(super) fn append<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> io::Result<()> {
        let mut segment = match self.appending.take() {
            Some(segment) => segment,
            None => self.begin()?,
        };
        if let Err(error) = segment.append(entries) {
            let bytes = segment.bytes();
            if segment.abandon() {
                self.waiting.push_back((self.next_number - 1, bytes));
            }
            return Err(error);
        }
        self.appending = Some(segment);
        if self.appending.as_ref().is_some_and(|segment| segment.bytes() >= SEGMENT_BYTES_MAX) {
            self.rotate();
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<Appending> {
        loop {
            let path = self.path(self.next_number);
            self.next_number += 1;
            match (self.create)(&path) {
                Ok(file) => {
                    if let Some(segment) = Appending::begin(file, path)? {
                        // Its name must outlast a power failure, as its content does.
                        File::open(&self.folder)?.sync_all()?;
                        return Ok(segment);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rotate(&mut self) {
        if let Some(segment) = self.appending.take() {
            self.waiting.push_back((self.next_number - 1, segment.bytes()));
        }
    }

    /// The oldest entries, to be recorded; the same again until [`Self::recorded`]. `None`: no segment
    /// is left that we may read. Of a file that cannot be read, `tell` learns; it stays for another start.
    pub(super) fn next(
        &mut self,
        tell: &mut dyn FnMut(&Path, &io::Error),
    ) -> Option<Rc<Vec<Entry>>> {
        while self.chunk.is_none() {
            if self.replaying.is_none() {
                if self.waiting.is_empty() {
                    self.rotate();
                }
                let (number, _) = self.waiting.pop_front()?;
                let path = self.path(number);
                match Replaying::open(path.clone()) {
                    Ok(segment) => (self.replaying, self.replaying_number) = (segment, number),
                    Err(error) => {
                        self.refused.push(number);
                        tell(&path, &error);
                    }
                }
            }
            let Some(segment) = &mut self.replaying else { continue };
            match segment.read(STORE_ENTRIES_MAX) {
                Ok((entries, torn)) => {
                    self.torn += torn;
                    self.chunk = Some(Rc::new(entries));
                }
                Err(error) => {
                    tell(segment.path(), &error);
                    self.refused.push(self.replaying_number);
                    self.replaying = None;
                }
            }
        }
        self.chunk.clone()
    }

    /// What [`Self::next`] gave is recorded.
    pub(super) fn recorded(&mut self, tell: &mut dyn FnMut(&Path, &io::Error)) {
        self.chunk = None;
        if let Some(segment) = self.replaying.take_if(|segment| segment.is_at_end()) {
            let path = segment.path().to_owned();
            if let Err(error) = segment.remove() {
                self.refused.push(self.replaying_number);
                tell(&path, &error);
            }
        }
    }
}
