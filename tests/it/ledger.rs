//! The ledger of a process that is killed, and of one whose disk is full: this binary, run again as a child.
//!
//! Not beside the code: a child that is being started holds, for an instant, every lock its parent has.
#![expect(unsafe_code, reason = "setrlimit and signal have no safe form in std")]

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use outcrop::{
    boundary::ledger::{
        Shape,
        entry::{Entry, Outcome},
        open,
    },
    units::RequestId,
};

/// What the child is to do, and where.
const DO: &str = "OUTCROP_LEDGER_CHILD_DO";
const FOLDER: &str = "OUTCROP_LEDGER_CHILD_FOLDER";
const SHAPE: Shape = Shape { slots: 8, entries: 1 << 15 };
/// Requests under way at any time.
const OPEN: u64 = 3;
/// Requests between two acknowledgements, so that death finds the child at work on the file.
const BURST: u64 = 64;
/// An acknowledgement: a number of eight bytes, and as much besides as keeps the child from running ahead:
/// a pipe holds 64 KiB.
const SAID_BYTES: usize = 4096;

/// A folder of one test's own; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("outcrop-it-ledger-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn begun(id: u64) -> Entry {
    Entry { request_id: RequestId::from_bits(id.into()), ..Entry::default() }
}

fn ended(id: u64) -> Entry {
    Entry { outcome: Outcome::Whole, ..begun(id) }
}

fn child(what: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "ledger::the_child", "--ignored", "--nocapture"])
        .env(DO, what)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child")
}

#[test]
#[ignore = "is run by the tests below, as a process of its own"]
fn the_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    match std::env::var_os(DO).expect("is set, too").to_str().expect("a word") {
        "push" => push_until_killed(Path::new(&folder)),
        "full" => fill_the_disk(Path::new(&folder)),
        other => unreachable!("{other}"),
    }
}

/// Says on stderr up to which request all have ended.
fn push_until_killed(folder: &Path) {
    let (writer, _reader) = open(folder, 1, SHAPE).expect("room").rings.pop().expect("one");
    let mut tickets = std::collections::VecDeque::new();
    for id in 1.. {
        tickets.push_back((id, writer.begin(&begun(id))));
        if id > OPEN - 1 {
            let (id, ticket) = tickets.pop_front().expect("some are open");
            writer.update(&ticket, &Entry { attempts: 2, ..begun(id) });
            writer.finish(ticket, &ended(id));
            if id % BURST == 0 {
                let mut said = [0; SAID_BYTES];
                said[..8].copy_from_slice(&id.to_le_bytes());
                io::stderr().write_all(&said).expect("somebody listens");
            }
        }
        if !writer.has_room() {
            break;
        }
    }
    loop {
        std::thread::park(); // the ring is full; death comes
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let mut random = fastrand::Rng::new();
    let mut deaths_at_work = 0;
    for run in 0..20 {
        let folder = Folder::new(&format!("killed-{run}"));
        let mut child = child("push", &folder.0);
        let mut acknowledgements = child.stderr.take().unwrap();
        let mut said = [0; SAID_BYTES];
        acknowledgements.read_exact(&mut said).unwrap();
        let beside = open(&folder.0, 0, SHAPE).unwrap();
        assert!(beside.leftovers.is_empty() && beside.damaged.is_empty(), "it has an owner");
        for _ in 0..random.u32(20..400) {
            acknowledgements.read_exact(&mut said).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut more = Vec::new();
        acknowledgements.read_to_end(&mut more).unwrap();
        let last = more.chunks_exact(SAID_BYTES).next_back().unwrap_or(&said);
        let acknowledged = u64::from_le_bytes(last[..8].try_into().unwrap());

        let mut opened = open(&folder.0, 0, SHAPE).unwrap();
        let mut left = opened.leftovers.pop().unwrap();
        let mut entries = Vec::new();
        while left.read(1000, &mut entries) {}
        assert_eq!((left.torn(), left.lost(), opened.damaged.len()), (0, 0, 0));
        let ended = entries.iter().filter(|entry| entry.outcome == Outcome::Whole).count() as u64;
        assert!(ended >= acknowledged, "{ended} of {acknowledged}");
        deaths_at_work += u32::from(ended > acknowledged);
        // Each once, none missing; those behind the last that ended were under way.
        let mut ids: Vec<u64> =
            entries.iter().map(|entry| u64::try_from(entry.request_id.bits()).unwrap()).collect();
        assert!(ids[..usize::try_from(ended).unwrap()].iter().copied().eq(1..=ended));
        ids.sort_unstable();
        assert!(ids.iter().copied().eq(1..=ids.len() as u64), "{:?}", &ids[ids.len() - 9..]);
        let open = &entries[usize::try_from(ended).unwrap()..];
        assert!(open.iter().all(|entry| entry.outcome == Outcome::Interrupted));
        assert!((OPEN - 1..=OPEN).contains(&(open.len() as u64)), "{} under way", open.len());
    }
    assert!(deaths_at_work > 0, "each death came between two bursts: the test shows nothing");
}

/// Says on stderr what came of it.
fn fill_the_disk(folder: &Path) {
    // SAFETY: an ignored signal has no handler; both calls take plain values.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let limit = libc::rlimit { rlim_cur: 64 * 1024, rlim_max: 64 * 1024 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
    let error = open(folder, 1, SHAPE).map(|_| ()).expect_err("no room");
    io::stderr().write_all(error.to_string().as_bytes()).expect("somebody listens");
}

#[test]
fn a_disk_without_room_shows_at_start() {
    let folder = Folder::new("full");
    let output = child("full", &folder.0).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "an error, not a signal: {:?} {said}", output.status);
    assert!(said.contains("core-0.ring") && said.contains("KiB per core"), "{said}");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing half-made stays");
}
