//! A store that takes nothing, beside a disk that takes nothing: `on_full`, and how it is over again.
//!
//! The disk is full by a limit on the size of files, which is set and lifted while the proxy runs: neither
//! SQLite's file nor a segment can grow then, and the rings, which are mapped, go on.

use std::process::{Command, Stdio};

use super::{Rig, get, metric, settle};
use crate::{
    http::{Answer, Client, request},
    proxy::{BEARER, INVOKE},
    running::{Running, within},
};

/// Becomes its arguments, with the signal ignored that a file that grows too large would bring: a disk that
/// is full sends none.
const WRAPPER: [&str; 3] = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
/// Pages that are asked for at once.
const PAGES: usize = 500;
/// More than a ring has entries.
const BATCHES_MAX: usize = 100;
const LOST: &str = "outcrop_ledger_lost_total";

/// Sets the limit; false if that cannot be done here.
fn limit(running: &Running, fsize: &str) -> bool {
    let pid = running.pid().to_string();
    let limit = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={fsize}")])
        .stderr(Stdio::null())
        .status();
    limit.is_ok_and(|status| status.success())
}

fn ask(running: &Running, id: &str) -> Answer {
    let fields = format!("{BEARER}X-Litellm-Call-Id: {id}\r\n");
    let mut client = Client::connect(([127, 0, 0, 1], running.port).into());
    client.ask(request(INVOKE, &fields, b"{}"))
}

/// A proxy whose ring is full to its last place, behind a request of AWS's with the id `first` that nobody
/// takes; `None` if there can be no such thing here.
fn full(test: &str, on_full: &str) -> Option<(Rig, Running)> {
    let mut rig = Rig::new(test, None, &format!("  ledger:\n    on_full: {on_full}\n"));
    rig.cores = "1";
    let running = rig.start_by(&WRAPPER);
    // The tables are made while there is room.
    assert_eq!(ask(&running, "before").head.status, 200);
    settle(&running);
    if !limit(&running, "0:unlimited") {
        crate::skip(test, "prlimit(1) cannot limit the size of a process's files");
        return None;
    }
    assert_eq!(ask(&running, "first").head.status, 200);
    assert!(within(|| metric(&running, "outcrop_ledger_depth") > 0));
    let page = "GET /health/liveliness HTTP/1.1\r\nHost: x\r\n\r\n".repeat(PAGES);
    let mut client = Client::connect(([127, 0, 0, 1], running.port).into());
    for _ in 0..BATCHES_MAX {
        client.send(&page);
        (0..PAGES).for_each(|_| assert_eq!(client.answer().head.status, 200));
    }
    // Counted at the next look at the ring.
    assert!(within(|| metric(&running, LOST) > 0), "the ring is not full:\n{}", running.said());
    assert_eq!(metric(&running, "outcrop_spill_bytes"), 0, "the disk takes segments");
    Some((rig, running))
}

fn ids(rig: &Rig) -> Vec<String> {
    rig.tables.lines("SELECT litellm_call_id FROM spend_logs ORDER BY started_us")
}

#[test]
fn what_cannot_be_accounted_for_is_refused() {
    let Some((rig, running)) = full("what_cannot_be_accounted_for_is_refused", "refuse") else {
        return;
    };
    let sent = rig.stand_in.record().requests();
    ask(&running, "refused").check_fault(503, "ServiceUnavailableException");
    assert_eq!(rig.stand_in.record().requests(), sent, "AWS saw nothing of it");
    assert_eq!(get(&running, "/health/readiness").head.status, 200, "pages are served");
    assert!(limit(&running, "unlimited:unlimited"));
    assert!(within(|| ask(&running, "after").head.status == 200), "it does not recover");
    settle(&running);
    assert_eq!(ids(&rig), ["before", "first", "after"]);
    running.kill();
}

#[test]
fn what_is_served_without_account_is_counted() {
    let test = "what_is_served_without_account_is_counted";
    let Some((mut rig, running)) = full(test, "serve") else { return };
    let lost = metric(&running, LOST);
    assert_eq!(ask(&running, "lost").head.status, 200);
    assert!(within(|| metric(&running, LOST) > lost), "{}", running.said());
    // What is in the ring outlives the process, and is recorded when there is room.
    running.kill();
    let running = rig.start();
    settle(&running);
    assert_eq!(ids(&rig), ["before", "first"]);
    assert!(metric(&running, LOST) > lost, "a loss is not forgotten with the process");
    assert_eq!(ask(&running, "after").head.status, 200);
    settle(&running);
    assert_eq!(ids(&rig), ["before", "first", "after"]);
    running.kill();
}
