//! The ledger's folder: a file for each core of each process that uses it, and what earlier ones left.
//!
//! A file belongs to who holds its lock (flock: it ends with the process, however that ends). A start makes
//! new files and takes up every file without an owner, to be read to its end and deleted. So a process with
//! fewer cores, another shape, or beside a living one needs no rules of its own.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    mapping::{Mapping, Shape, prepare},
    reader::Reader,
    recover::recover,
    writer::Writer,
};
use crate::limits::{LEDGER_FILE_BYTES_MAX, LEDGER_FILES_MAX};

/// What a start finds and makes.
pub struct Opened {
    /// For each core.
    pub rings: Vec<(Writer, Reader)>,
    /// What processes that are no more have left, the oldest name first.
    pub leftovers: Vec<Reader>,
    /// Files that cannot be read as they should; to be told.
    pub damaged: Vec<Damaged>,
}

/// A file that is not as we left it.
#[derive(Debug)]
pub struct Damaged {
    /// Which.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damaged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ledger file {}: {}", self.path.display(), self.what)
    }
}

/// Makes a file for each of `cores` in `folder`, which is made if need be, and takes up what others left.
///
/// # Errors
/// What the file system says: above all, that the disk has no room for the new files. A file that
/// somebody left is never a reason.
pub fn open(folder: &Path, cores: usize, shape: Shape) -> io::Result<Opened> {
    if !shape.is_possible() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no ledger has this shape"));
    }
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    let mut opened = Opened { rings: Vec::new(), leftovers: Vec::new(), damaged: Vec::new() };
    for (_, path) in files(folder).map_err(|error| at(folder, &error))? {
        match take_up(&path, &mut opened.damaged) {
            Ok(reader) => opened.leftovers.extend(reader),
            // Its owner has ended since we looked, and all of it is recorded.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => opened.damaged.push(Damaged {
                path,
                what: format!("{error}; what it holds is not recorded until a start can read it"),
            }),
        }
    }
    let mut number = 0;
    for _ in 0..cores {
        opened.rings.push(create(folder, &mut number, shape)?);
    }
    // The names themselves must outlast a power failure.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, &error))?;
    Ok(opened)
}

/// An error that says where.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// `core-<number>.ring`, by their numbers.
fn files(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("core-")?.strip_suffix(".ring"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A file that somebody left; `None` if it has an owner, or holds nothing at all.
fn take_up(path: &Path, damaged: &mut Vec<Damaged>) -> io::Result<Option<Reader>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if !is_ours(&file)? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    (&file).take(LEDGER_FILE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    if bytes.iter().all(|byte| *byte == 0) {
        // A start that was cut: a file gets its header last, and its entries later.
        fs::remove_file(path)?;
        return Ok(None);
    }
    let found = recover(&bytes, 0);
    if let Some(damage) = found.damage {
        damaged.push(Damaged { path: path.to_owned(), what: format!(
            "{damage}; the {} entries that can be read are recorded, then it is renamed to …damaged-1",
            found.entries.len()
        ) });
    }
    Ok(Some(Reader::of_left(file, path.to_owned(), found)))
}

/// Takes the file's lock. `false` if somebody has it, or has had it and deleted the file.
///
/// # Errors
/// What the file system says, as one that has no locks.
pub fn is_ours(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new file, from `number` on.
fn create(folder: &Path, number: &mut u32, shape: Shape) -> io::Result<(Writer, Reader)> {
    while *number < LEDGER_FILES_MAX {
        let path = folder.join(format!("core-{number}.ring"));
        *number += 1;
        let options =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = match options {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(at(&path, &error)),
        };
        // Another process that starts may see the file before it is locked: then it is theirs to delete.
        if !is_ours(&file).map_err(|error| at(&path, &error))? {
            continue;
        }
        let map = prepare(&file, shape).and_then(|()| Mapping::new(file, shape));
        let map = Arc::new(map.map_err(|error| {
            let _ = fs::remove_file(&path);
            let needs_kib = shape.file_bytes() / 1024;
            let what =
                format!("{}: {error}; the ledger takes {needs_kib} KiB per core", path.display());
            io::Error::new(error.kind(), what)
        })?);
        return Ok((Writer::new(map.clone()), Reader::of_core(map, path)));
    }
    Err(io::Error::other(format!(
        "{}: {LEDGER_FILES_MAX} ledger files are there already; is the folder shared by too many?",
        folder.display()
    )))
}
