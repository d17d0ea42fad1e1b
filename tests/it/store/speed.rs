//! What recording costs: CPU time per row. Not a test of speed, which a shared machine would break; run
//! it by `cargo test --release --test it -- --ignored --nocapture store::speed`.

use std::io::Write as _;

use outcrop::boundary::ledger::entry::{Charge, DeploymentRef, Entry, KeptCallId, KeyRef, Outcome};
use outcrop::control_plane::bookkeeper::Before;
use outcrop::control_plane::names::Names;
use outcrop::units::{PicoUsd, Tokens};

use super::place::{Place, deployment_name, entries, key_name, run, store};
use crate::postgres::Postgres;

const BATCH: usize = 4096;
const BATCHES: usize = 25;

#[test]
#[ignore = "measures; see above"]
fn cpu_per_row() {
    let sqlite = Place::sqlite();
    let (names, all) = traffic();
    say("SQLite, rows", measure(&sqlite, (&names, &all), Before::Never));
    say("SQLite, the same rows again", measure(&sqlite, (&names, &all), Before::Perhaps));
    let mut lean = Place::sqlite();
    lean.accounting.disable_spend_logs = true;
    say("SQLite, disable_spend_logs", measure(&lean, (&names, &all), Before::Never));
    let Some(server) = Postgres::start() else {
        return crate::skip("cpu_per_row", "PostgreSQL is not in /usr/lib/postgresql");
    };
    server.create("speed");
    let before = server.cpu_s();
    say(
        "PostgreSQL, our process",
        measure(&Place::at(server.url("speed")), (&names, &all), Before::Never),
    );
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let rows = all.len() as f64;
    say("PostgreSQL, the server", (server.cpu_s() - before) / rows * 1e6);
}

/// Answers as production has them: good, known, of twenty keys and ten deployments, in order of time.
fn traffic() -> (Names, Vec<Entry>) {
    let mut names = Names::in_memory();
    let keys: Vec<KeyRef> =
        (0..20).map(|it| names.add_key(&key_name(it)).expect("no file")).collect();
    let deployments: Vec<DeploymentRef> =
        (0..10).map(|it| names.add_deployment(&deployment_name(it)).expect("no file")).collect();
    let mut all = entries(40, BATCH * BATCHES);
    all.sort_by_key(|entry| entry.request_id);
    for (at, entry) in all.iter_mut().enumerate() {
        (entry.key, entry.deployment) = (keys[at % 20], deployments[at % 7]);
        (entry.outcome, entry.status, entry.call_id) = (Outcome::Whole, 200, KeptCallId::default());
        entry.usage = outcrop::bedrock::usage::Usage {
            input: Some(Tokens(1000)),
            output: Some(Tokens(300)),
            ..outcrop::bedrock::usage::Usage::default()
        };
        entry.charge = Charge::Known(PicoUsd(7_500_000_000));
    }
    (names, all)
}

/// Microseconds of this process's CPU time per row: our thread, and the driver's.
fn measure(place: &Place, (names, all): (&Names, &[Entry]), before: Before) -> f64 {
    run(async {
        let store = store(place);
        store.check().await.expect("it opens");
        let spent = cpu_us();
        for batch in all.chunks(BATCH) {
            store.record(&batch.iter().collect::<Vec<_>>(), names, before).await.expect("recorded");
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rows = all.len() as f64;
        (cpu_us() - spent) / rows
    })
}

/// From the scheduler's own account of each thread, in nanoseconds; clock ticks are too coarse.
fn cpu_us() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let spent = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / 1000.0
}

fn say(what: &str, us: f64) {
    let _ = writeln!(std::io::stdout(), "{what:32} {us:6.2} us of CPU per row");
}
