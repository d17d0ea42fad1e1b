//! One segment file: entries that wait for the store, on disk, outside of any ring.
//!
//! A block of 256 bytes says what the file is; then come entries as the ring has them, numbered from 1. Each
//! is judged by its own checksum, so an append that was cut costs nothing but itself, and what it held is
//! in the ring still, which is freed only when the append is on disk.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::boundary::ledger::{
    entry::{ENTRY_BYTES, Entry},
    is_ours, set_aside,
};

/// Of a segment file, its layout included.
const MAGIC: &[u8; 16] = b"outcrop spill 1\n";

/// The segment that is appended to. Its lock is ours until it is dropped.
pub(super) struct Appending {
    file: File,
    path: PathBuf,
    /// Of these we know that they are on disk.
    bytes: u64,
}

impl Appending {
    /// Begins `file`, which is new. `None` if another process took it before we locked it.
    pub(super) fn begin(mut file: File, path: PathBuf) -> io::Result<Option<Self>> {
        if !is_ours(&file)? {
            return Ok(None);
        }
        let mut head = [0; ENTRY_BYTES];
        head[..MAGIC.len()].copy_from_slice(MAGIC);
        if let Err(error) = file.write_all(&head).and_then(|()| file.sync_all()) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Some(Self { file, path, bytes: head.len() as u64 }))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All are on disk when this is `Ok`. After an error the file takes no more: what the kernel says of a
    /// page that it failed to write is not to be trusted again.
    pub(super) fn append<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> io::Result<()> {
        let first = self.bytes / ENTRY_BYTES as u64;
        let encoded: Vec<u8> =
            (first..).zip(entries).flat_map(|(number, entry)| entry.encode(number)).collect();
        self.file.write_all(&encoded)?;
        self.file.sync_data()?;
        self.bytes += encoded.len() as u64;
        Ok(())
    }

    /// After an error: gives back the room of what was not synced; `true` if something stays.
    pub(super) fn abandon(self) -> bool {
        if self.bytes <= ENTRY_BYTES as u64 {
            let _ = fs::remove_file(&self.path);
            return false;
        }
        // What stays beyond is torn, or is in the ring still and comes twice.
        let _ = self.file.set_len(self.bytes);
        true
    }
}

/// A segment that is read. Its lock is ours until it is dropped.
pub(super) struct Replaying {
    file: File,
    path: PathBuf,
    at: u64,
    bytes: u64,
    is_damaged: bool,
}

impl Replaying {
    /// `None` if it has another owner, or is no more.
    pub(super) fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !is_ours(&file)? {
            return Ok(None);
        }
        let bytes = file.metadata()?.len();
        let mut head = [0; MAGIC.len()];
        let is_damaged = bytes > 0 && (file.read_exact_at(&mut head, 0).is_err() || head != *MAGIC);
        Ok(Some(Self { file, path, at: ENTRY_BYTES as u64, bytes, is_damaged }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes
    }

    /// The next `max` places: the entries that are whole, and how many are not.
    pub(super) fn read(&mut self, max: usize) -> io::Result<(Vec<Entry>, u64)> {
        let room = (max * ENTRY_BYTES) as u64;
        let length = room.min(self.bytes.saturating_sub(self.at));
        let mut blocks = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut blocks, self.at)?;
        self.at += length;
        let (whole, cut) = blocks.as_chunks::<ENTRY_BYTES>();
        let entries: Vec<Entry> =
            whole.iter().filter_map(|block| Some(Entry::decode(block).ok()?.1)).collect();
        let torn = (whole.len() - entries.len()) as u64 + u64::from(!cut.is_empty());
        Ok((entries, torn))
    }

    /// All of it is recorded: deletes it, or sets it aside if it is not one that we wrote.
    pub(super) fn remove(self) -> io::Result<()> {
        if self.is_damaged {
            set_aside(&self.path).map(|_| ())
        } else {
            fs::remove_file(&self.path)
        }
    }
}
