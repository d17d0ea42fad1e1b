//! The store, the same tests over a real SQLite and a real PostgreSQL: what is recorded counts once.

mod failing;
mod place;
mod reading;
mod speed;

use outcrop::boundary::ledger::entry::{Charge, DeploymentRef, Entry, KeyRef, Outcome};
use outcrop::control_plane::names::Names;
use outcrop::control_plane::spend::{GroupBy, LogsQuery, ReportQuery, Totals, in_dollars};
use outcrop::control_plane::store::{Access, SQLITE_FILE, Store};
use outcrop::units::{PicoUsd, RequestId, Tokens, UnixSeconds};

use place::{DAY, Place, entries, on_both, record, run, store};

on_both!(
    the_tables_are_made_once,
    an_entry_counts_once,
    writers_at_the_same_time_count_once,
    daily_sums_are_the_sums_of_rows,
    nothing_wraps,
    without_rows_an_entry_still_counts_once,
    rows_go_and_sums_stay,
    what_never_reached_aws_has_no_row,
);

pub const ALL: ReportQuery = ReportQuery { group_by: GroupBy::Model, start: None, end: None };

async fn total(store: &Store) -> Totals {
    store.report(&ALL).await.expect("a report").total
}

/// What the rows of these entries add up to.
fn sums(entries: &[Entry]) -> Totals {
    let mut sums = Totals::default();
    for entry in entries {
        let tokens = |count: Option<Tokens>| count.map_or(0, |tokens| tokens.0);
        let usage = entry.usage;
        let writes = [usage.cache_write_5m, usage.cache_write_1h, usage.cache_write_unsplit];
        sums.add(&Totals {
            spend: entry.charge.known().map_or(0, |amount| amount.0.into()),
            requests: 1,
            input_tokens: tokens(usage.input),
            output_tokens: tokens(usage.output),
            cache_read_tokens: tokens(usage.cache_read),
            cache_write_tokens: writes.into_iter().map(tokens).sum(),
            unknown: u64::from(entry.charge.known().is_none()),
        });
    }
    sums
}

fn the_tables_are_made_once(place: &Place) {
    run(async {
        for _ in 0..2 {
            let store = store(place);
            store.check().await.expect("it opens");
            record(&store, &entries(1, 3), &place.names).await.expect("it records");
        }
        assert_eq!(place.number("SELECT MAX(version) FROM outcrop_schema").await, 4);
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 3);
        // Several at once, from nothing, is the integrator's start after an upgrade.
        place.script("DROP TABLE daily_spend; DROP TABLE outcrop_schema").await;
        let more = if place.is_postgres() {
            "DROP TABLE spend_logs; DROP TABLE seen_requests"
        } else {
            "DROP VIEW spend_logs; DROP TABLE spend_names; DROP TABLE spend_chunks; DROP TABLE spend_calls"
        };
        place.script(more).await;
        let (one, other) = (store(place), store(place));
        let (one, other) = tokio::join!(one.check(), other.check());
        assert_eq!((one, other), (Ok(()), Ok(())));
    });
}

fn an_entry_counts_once(place: &Place) {
    run(async {
        let store = store(place);
        let all = entries(2, 6000);
        let check = async |count: usize, what: &str| {
            let rows = place.number("SELECT COUNT(*) FROM spend_logs").await;
            assert_eq!(usize::try_from(rows), Ok(count), "{what}");
            assert_eq!(total(&store).await, sums(&all[..count]), "{what}");
        };
        for (part, count, what) in [
            (&all[..1000], 1000, "a batch"),
            (&all[..1000], 1000, "the same again"),
            (&all[..500], 1000, "half of it"),
            (&all[700..1400], 1400, "one that overlaps"),
            (&all[1399..1401], 1401, "one old, one new"),
            (&all[..], 6000, "all, in several transactions"),
            (&[], 6000, "none"),
        ] {
            record(&store, part, &place.names).await.expect(what);
            check(count, what).await;
        }
    });
    run(async {
        place.script("DELETE FROM @; DELETE FROM daily_spend").await;
        let store = store(place);
        let one = entries(3, 10);
        let twice = [&one[..], &one[..]].concat();
        record(&store, &twice, &place.names).await.expect("twice in one batch");
        assert_eq!(total(&store).await, sums(&one));
    });
}

fn writers_at_the_same_time_count_once(place: &Place) {
    run(async {
        let all = entries(4, 4000);
        let reversed: Vec<Entry> = all.iter().rev().copied().collect();
        let stores = [store(place), store(place)];
        let write = async |store: &Store, entries: &[Entry]| {
            for part in entries.chunks(333) {
                // A writer that another one held up for too long says so, and tries again.
                let mut tries = 0;
                while let Err(error) = record(store, part, &place.names).await {
                    tries += 1;
                    assert!(error.is_away() && tries < 20, "{error}");
                }
            }
        };
        tokio::join!(write(&stores[0], &all), write(&stores[1], &reversed));
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 4000);
        assert_eq!(total(&stores[0]).await, sums(&all));
    });
}

fn daily_sums_are_the_sums_of_rows(place: &Place) {
    run(async {
        let store = store(place);
        let all = entries(5, 2000);
        record(&store, &all, &place.names).await.expect("recorded");
        let report = total(&store).await;
        assert_eq!(report, sums(&all));
        assert!(report.unknown > 0 && report.spend % 2 == 1, "the sample is odd: {report:?}");
        for group_by in [GroupBy::Model, GroupBy::Deployment, GroupBy::ApiKey, GroupBy::Day] {
            let report = store.report(&ReportQuery { group_by, ..ALL }).await.expect("a report");
            let mut again = Totals::default();
            report.data.iter().for_each(|row| again.add(&row.totals));
            assert_eq!((again, report.total), (sums(&all), sums(&all)), "{group_by:?}");
            assert!(report.data.len() > 1, "{group_by:?}");
        }
        for (rows, daily) in [
            (
                "SELECT SUM(cost_pico) FROM spend_logs",
                "SELECT SUM(cost_pico) + SUM(cost_usd) * 1000000000000 FROM daily_spend",
            ),
            (
                "SELECT COUNT(*) FROM spend_logs WHERE status = 'failure'",
                "SELECT SUM(failures) FROM daily_spend",
            ),
            (
                "SELECT COUNT(*) FROM spend_logs WHERE cost_pico IS NULL AND unknown_cost IS NOT NULL",
                "SELECT SUM(unknown) FROM daily_spend",
            ),
            (
                "SELECT SUM(prompt_tokens) FROM spend_logs",
                "SELECT SUM(input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_write_unsplit_tokens) FROM daily_spend",
            ),
            (
                "SELECT SUM(total_tokens) - SUM(prompt_tokens) FROM spend_logs",
                "SELECT SUM(output_tokens) FROM daily_spend",
            ),
            (
                "SELECT SUM(completion_tokens) FROM spend_logs",
                "SELECT SUM(output_tokens) FROM daily_spend",
            ),
        ] {
            let (left, right) = (place.number(rows).await, place.number(daily).await);
            assert!(left > 0 && left == right, "{rows}: {left}; {daily}: {right}");
        }
        if place.is_postgres() {
            let spend = place.text("SELECT trim_scale(SUM(spend))::TEXT FROM spend_logs").await;
            assert_eq!(spend, in_dollars(report.spend), "`spend` is exact");
            let spend = place.text("SELECT trim_scale(SUM(spend))::TEXT FROM daily_spend").await;
            assert_eq!(spend, in_dollars(report.spend));
        }
    });
}

fn nothing_wraps(place: &Place) {
    run(async {
        let store = store(place);
        let mut all = entries(6, 4);
        for entry in &mut all {
            entry.started.0 = u64::MAX;
            entry.charge = Charge::Known(PicoUsd(i64::MAX.unsigned_abs()));
            entry.usage.input = Some(Tokens(u64::MAX));
            entry.usage.cache_read = Some(Tokens(u64::MAX));
            entry.answer_bytes = u64::MAX;
            (entry.key, entry.deployment) = (KeyRef(1), DeploymentRef(1));
        }
        all[3].charge = Charge::Known(PicoUsd(u64::MAX));
        // One by one: each is added to the sum before.
        for entry in &all {
            record(&store, std::slice::from_ref(entry), &place.names).await.expect("recorded");
        }
        let total = total(&store).await;
        let most = u128::from(i64::MAX.unsigned_abs());
        assert_eq!((total.spend, total.unknown), (3 * most, 1));
        assert_eq!(total.input_tokens, i64::MAX.unsigned_abs(), "it is full");
        let sql = "SELECT COUNT(*) FROM spend_logs WHERE unknown_cost = 'too_large' AND cost_pico IS NULL AND spend IS NULL";
        assert_eq!(place.number(sql).await, 1);
        let sql = "SELECT COUNT(*) FROM spend_logs WHERE prompt_tokens = 9223372036854775807 AND total_tokens = prompt_tokens AND answer_bytes = prompt_tokens";
        assert_eq!(place.number(sql).await, 4);
    });
}

fn without_rows_an_entry_still_counts_once(place: &Place) {
    run(async {
        let all = entries(7, 1500);
        let mut settings = place.accounting.clone();
        settings.disable_spend_logs = true;
        let open = |settings| Store::open(settings, Access::Write).expect("a store");
        let lean = open(&settings);
        for part in [&all[..800], &all[..800], &all[400..1000]] {
            record(&lean, part, &place.names).await.expect("recorded");
        }
        assert_eq!(total(&lean).await, sums(&all[..1000]));
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 0);
        let seen = if place.is_postgres() {
            "SELECT COUNT(*) FROM seen_requests"
        } else {
            "SELECT SUM(length(ids)) / 36 FROM spend_chunks WHERE rows IS NULL"
        };
        assert_eq!(place.number(seen).await, 1000);
        // The setting is changed, and what was stored before is replayed.
        let full = store(place);
        record(&full, &all[500..1200], &place.names).await.expect("recorded");
        assert_eq!(total(&full).await, sums(&all[..1200]));
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 200);
        let lean = open(&settings);
        record(&lean, &all, &place.names).await.expect("recorded");
        assert_eq!(total(&lean).await, sums(&all));
    });
}

fn rows_go_and_sums_stay(place: &Place) {
    run(async {
        let mut all = entries(8, 5000);
        for (at, entry) in (0_u64..).zip(&mut all) {
            entry.started.0 = (DAY.start().0 + at) * 1_000_000;
            entry.request_id = RequestId::new(entry.started, at.into());
        }
        let mut settings = place.accounting.clone();
        settings.retention_s = Some(1000);
        let store = Store::open(&settings, Access::Write).expect("a store");
        record(&store, &all, &place.names).await.expect("recorded");
        let now = UnixSeconds(DAY.start().0 + 5500);
        // SQLite's go by chunks of 256, each when the last of it is old enough.
        let gone = if place.is_postgres() { 4500 } else { 4500 / 256 * 256 };
        assert_eq!(store.prune(now).await, Ok(gone), "more than one transaction's worth");
        assert_eq!(store.prune(now).await, Ok(0));
        let oldest = place.number("SELECT MIN(started_us) / 1000000 FROM spend_logs").await;
        assert_eq!(u64::try_from(oldest), Ok(DAY.start().0 + gone));
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 5000 - gone as i64);
        if !place.is_postgres() {
            let old = "SELECT COUNT(*) FROM spend_calls c WHERE NOT EXISTS \
                 (SELECT 1 FROM spend_logs l WHERE l.request_id = c.request_id)";
            assert_eq!(place.number(old).await, 0, "clients' ids go with their calls");
        }
        assert_eq!(total(&store).await, sums(&all));
        let keeping = self::store(place);
        assert_eq!(keeping.prune(UnixSeconds(now.0 * 2)).await, Ok(0), "for good by default");
    });
}

fn what_never_reached_aws_has_no_row(place: &Place) {
    run(async {
        let store = store(place);
        let mut all = entries(9, 4);
        all[0].outcome = Outcome::Refused;
        all[1].outcome = Outcome::Page;
        all[2].outcome = Outcome::NotSent;
        all[3].outcome = Outcome::Interrupted;
        record(&store, &all, &Names::in_memory()).await.expect("recorded");
        assert_eq!(place.text("SELECT outcome FROM spend_logs").await, "interrupted");
        assert_eq!(total(&store).await.requests, 1);
        record(&store, &all[..3], &place.names).await.expect("nothing to do");
    });
}

/// The tables of version 2, with a row for each request, become those of today, and nothing counts twice.
#[test]
fn what_an_older_outcrop_has_written_moves_along() {
    let place = Place::sqlite();
    std::fs::write(place.accounting.data_dir.join(SQLITE_FILE), "").expect("a writable folder");
    run(async {
        place.script(include_str!("../../src/control_plane/store/schema/sqlite_1.sql")).await;
        place.script(include_str!("../../src/control_plane/store/schema/sqlite_2.sql")).await;
        let all = entries(10, 700);
        let text =
            |entry: &Entry| String::from_utf8(entry.request_id.text().to_vec()).expect("ASCII");
        let row = |(at, entry): (usize, &Entry)| {
            let (call, started) = (if at == 5 { "'a \"call\"'" } else { "NULL" }, entry.started.0);
            let detail =
                format!("[{started},1,2,3,4,\"invoke\",null,null,\"success\",\"whole\",200,{at}]");
            format!("('{}', {}, {call}, '{detail}')", text(entry), 1 + at % 2)
        };
        let rows: Vec<String> = all[..600].iter().enumerate().map(row).collect();
        let seen: Vec<String> = all[600..].iter().map(|it| format!("('{}')", text(it))).collect();
        let tables = "CREATE TABLE outcrop_schema (version BIGINT NOT NULL PRIMARY KEY); \
             INSERT INTO outcrop_schema VALUES (1), (2); \
             INSERT INTO spend_names VALUES (1, 'k', '', 'm', 'd1', 'g', 'r', 'b'), (2, 'k', '', 'm', 'd2', 'g', 'r', 'b');";
        place
            .script(&format!(
                "{tables} INSERT INTO spend_rows VALUES {}; INSERT INTO seen_requests VALUES {}",
                rows.join(", "),
                seen.join(", ")
            ))
            .await;
        let store = store(&place);
        store.check().await.expect("it moves them");
        assert_eq!(place.number("SELECT COUNT(DISTINCT request_id) FROM spend_logs").await, 600);
        assert_eq!(place.number("SELECT SUM(cost_pico) FROM spend_logs").await, 599 * 300);
        let odd =
            "SELECT SUM(cost_pico) FROM spend_logs WHERE model_id = 'd2' AND http_status = 200";
        assert_eq!(place.number(odd).await, 300 * 300, "each has its own names");
        let one =
            LogsQuery { request_id: Some("a \"call\"".into()), limit: 9, ..LogsQuery::default() };
        for query in
            [one, LogsQuery { request_id: Some(text(&all[5])), limit: 9, ..LogsQuery::default() }]
        {
            let found = store.logs(&query).await.expect("rows");
            let [row] = &found[..] else { panic!("{found:?}") };
            assert_eq!((&row["request_id"], &row["cost_pico"]), (&text(&all[5]).into(), &5.into()));
            assert_eq!(row["litellm_call_id"], "a \"call\"");
        }
        record(&store, &all, &place.names).await.expect("nothing is new");
        assert_eq!(total(&store).await.requests, 0);
    });
}
