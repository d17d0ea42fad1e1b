//! A destination that is slow, full, gone or renamed.

use std::{
    fs,
    io::{Read as _, pipe},
    path::PathBuf,
};

use super::{
    super::{writer::Sink, *},
    entry,
};
use crate::{limits::ACCESS_LOG_QUEUE_BYTES_MAX, net::clock};

const PATIENCE: Duration = Duration::from_secs(30);

/// Entries whose `request_bytes` counts them.
fn numbered(range: std::ops::Range<u32>) -> Vec<Entry> {
    range.map(|number| Entry { request_bytes: number, ..entry() }).collect()
}

fn numbers(lines: &str) -> Vec<u32> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "whole lines");
    let number = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        u32::try_from(value["request_bytes"].as_u64().unwrap()).unwrap()
    };
    lines.lines().map(number).collect()
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("outcrop-log-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_pipe_that_nobody_reads_stops_nobody() {
    let (mut reader, writer) = pipe().unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::pipe(writer)).unwrap();
    let names = Names::in_memory();
    let batch = numbered(0..1000);
    let (mut recorded, started) = (0_u64, clock::now());
    while log.dropped() == 0 {
        log.record(&batch, &names);
        recorded += 1000;
    }
    log.record(&batch, &names);
    recorded += 1000;
    let took = clock::now().duration_since(started);
    assert!(took < PATIENCE, "{took:?} for {recorded} lines");
    assert!(!log.flush(Duration::from_millis(20)), "nobody reads, so nothing is done in time");
    let mut said = Vec::new();
    let now = clock::now();
    log.publish(now, &mut |line: &str| said.push(line.to_owned()));
    log.record(&batch, &names);
    recorded += 1000;
    log.publish(now, &mut |line: &str| said.push(line.to_owned()));
    assert_eq!(said.len(), 1, "{said:?}");
    let later = now + Duration::from_millis(NOTICES_EVERY_MS);
    log.publish(later, &mut |line: &str| said.push(line.to_owned()));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("access log: 1000 lines were dropped, for stdout"), "{said:?}");

    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    assert!(log.flush(PATIENCE), "somebody reads");
    let dropped = log.dropped();
    drop(log);
    let all = reading.join().unwrap();
    let lines = u64::try_from(all.lines().count()).unwrap();
    assert_eq!(lines + dropped, recorded, "written or counted");
    assert!(all.len() > ACCESS_LOG_QUEUE_BYTES_MAX / 2 && all.ends_with("}\n"));
}

#[test]
fn a_fifo_that_nobody_reads_stops_nobody() {
    let path = scratch("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(Sink::file(path.clone()).is_err(), "no reader: refused, not waited for");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::file(path.clone()).unwrap()).unwrap();
    log.record(&numbered(0..1000), &Names::in_memory());
    assert!(!log.flush(Duration::from_millis(20)));
    assert_eq!(log.write_errors(), 0, "a full pipe is no error");
    drop((log, reader));
    fs::remove_file(&path).unwrap();
}

#[test]
fn reopening_under_load_loses_and_repeats_nothing() {
    const ROTATIONS: u32 = 50;
    const LINES: u32 = 400;
    let path = scratch("rotated");
    let mut log = AccessLog::to(Form::Json, Sink::file(path.clone()).unwrap()).unwrap();
    let names = Names::in_memory();
    for rotation in 0..ROTATIONS {
        let first = rotation * 2 * LINES;
        log.record(&numbered(first..first + LINES), &names);
        // As logrotate does: rename, while lines are still being written, then tell.
        while !path.exists() {
            std::thread::yield_now(); // the rotation before is not done
        }
        fs::rename(&path, path.with_extension(rotation.to_string())).unwrap();
        log.record(&numbered(first + LINES..first + 2 * LINES), &names);
        log.reopen();
    }
    assert!(log.flush(PATIENCE));
    for rotation in 0..ROTATIONS {
        let old = path.with_extension(rotation.to_string());
        let first = rotation * 2 * LINES;
        let expected: Vec<u32> = (first..first + 2 * LINES).collect();
        assert_eq!(numbers(&fs::read_to_string(&old).unwrap()), expected, "before and not after");
        fs::remove_file(old).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    assert_eq!((log.dropped(), log.write_errors()), (0, 0));
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_cannot_be_reopened_is_written_on() {
    let folder = scratch("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("log");
    let mut log = AccessLog::to(Form::Json, Sink::file(path).unwrap()).unwrap();
    let names = Names::in_memory();
    let moved = folder.with_extension("moved");
    fs::rename(&folder, &moved).unwrap();
    log.reopen();
    log.record(&numbered(0..3), &names);
    assert!(log.flush(PATIENCE));
    assert_eq!(numbers(&fs::read_to_string(moved.join("log")).unwrap()), [0, 1, 2]);
    let mut said = Vec::new();
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 1 && said[0].contains("cannot reopen"), "{said:?}");
    fs::remove_dir_all(&moved).unwrap();
}

#[test]
fn a_full_disk_is_said_counted_and_left_by_reopening() {
    let link = scratch("full");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::file(link.clone()).unwrap()).unwrap();
    log.record(&numbered(0..500), &Names::in_memory());
    assert!(!log.flush(Duration::from_millis(50)), "it is full");
    assert!(log.write_errors() > 0);
    let mut said = Vec::new();
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 1 && said[0].contains("cannot write to"), "{said:?}");
    fs::remove_file(&link).unwrap();
    log.reopen();
    assert!(log.flush(PATIENCE), "the queue goes to the new file");
    assert_eq!(numbers(&fs::read_to_string(&link).unwrap()), (0..500).collect::<Vec<_>>());
    log.publish(clock::now(), &mut |line: &str| said.push(line.to_owned()));
    assert!(said.len() == 2 && said[1].contains("again"), "{said:?}");
    assert_eq!(log.dropped(), 0);
    fs::remove_file(&link).unwrap();
}

#[test]
fn lines_that_come_one_by_one_are_written_together() {
    let (reader, writer) = pipe().unwrap();
    let mut log = AccessLog::to(Form::Json, Sink::pipe(writer)).unwrap();
    let names = Names::in_memory();
    // More than a pipe holds: from then on the writer is behind.
    while log.writer.is_idle() {
        log.record(&numbered(0..1000), &names);
    }
    log.hand_over();
    log.record(&numbered(0..1), &names);
    let kept = log.buffer.len();
    assert!(kept > 0, "kept, not queued");
    log.record(&numbered(1..2), &names);
    assert!(log.buffer.len() >= 2 * kept);
    drop(reader);
}
