//! A database that is away, full, locked, or made by a newer Outcrop: what is said, and that nothing is lost.

use std::os::unix::fs::PermissionsExt as _;

use outcrop::control_plane::store::{Access, Reaction, SQLITE_FILE, Store};
use outcrop::secret::Secret;

use super::place::{Place, entries, on_both, record, run, store};
use super::{sums, total};
use crate::postgres::{PASSWORD, PASSWORD_IN_URL, Postgres};
use crate::running::scratch;

on_both!(
    tables_of_a_newer_outcrop_are_left_alone,
    a_reader_changes_nothing,
    a_call_may_be_cancelled
);

fn tables_of_a_newer_outcrop_are_left_alone(place: &Place) {
    run(async {
        store(place).check().await.expect("it opens");
        place.script("INSERT INTO outcrop_schema (version) VALUES (99)").await;
        for access in [Access::Write, Access::Read] {
            let store = Store::open(&place.accounting, access).expect("a store");
            let error = record(&store, &entries(20, 2), &place.names).await.expect_err("a refusal");
            assert_eq!(error.reaction, Reaction::Broken, "{error}");
            let text = error.to_string();
            assert!(text.contains("version 99, made by a newer Outcrop"), "{text}");
            assert!(text.starts_with(store.shown()), "{text}");
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM spend_logs").await, 0);
    });
}

fn a_reader_changes_nothing(place: &Place) {
    run(async {
        let reader = Store::open(&place.accounting, Access::Read).expect("a store");
        let error = reader.report(&super::ALL).await.expect_err("there is nothing to read");
        assert_eq!(error.reaction, Reaction::Broken, "{error}");
        assert!(!place.accounting.data_dir.join(SQLITE_FILE).exists(), "no file was made");
        let writer = store(place);
        let all = entries(21, 5);
        record(&writer, &all[..4], &place.names).await.expect("recorded");
        assert_eq!(total(&reader).await, sums(&all[..4]), "while the writer has it open");
        let error = record(&reader, &all, &place.names).await.expect_err("read-only");
        assert!(!error.to_string().is_empty());
        assert_eq!(total(&reader).await, sums(&all[..4]));
    });
}

fn a_call_may_be_cancelled(place: &Place) {
    run(async {
        let store = store(place);
        store.check().await.expect("it opens");
        let all = entries(22, 1000);
        for turn in 0..40_u32 {
            // So many turns of the event loop later, whatever it waits for then is dropped.
            let cut = async {
                for _ in 0..turn {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = cut => {}
                result = record(&store, &all, &place.names) => result.expect("recorded"),
            }
        }
        record(&store, &all, &place.names).await.expect("recorded");
        assert_eq!(total(&store).await, sums(&all));
    });
}

#[test]
fn a_server_that_stops_comes_back() {
    let Some(mut server) = Postgres::start() else {
        return crate::skip(
            "a_server_that_stops_comes_back",
            "PostgreSQL is not in /usr/lib/postgresql",
        );
    };
    server.create("litellm");
    let place = Place::at(server.url("litellm"));
    let all = entries(23, 900);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    server.stop();
    let store = store(&place);
    let away = |what: &str| {
        let error = runtime.block_on(record(&store, &all, &place.names)).expect_err(what);
        let text = format!("{error} {error:?}");
        assert!(error.is_away(), "{what}: {text}");
        assert!(text.contains("127.0.0.1") && text.contains("database litellm"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains(PASSWORD_IN_URL), "{text}");
    };
    away("away at start");
    server.start_again();
    runtime.block_on(record(&store, &all[..300], &place.names)).expect("it is back");
    assert_eq!(runtime.block_on(total(&store)), sums(&all[..300]));
    server.crash();
    away("away later");
    away("and still");
    assert!(runtime.block_on(store.report(&super::ALL)).is_err());
    server.start_again();
    runtime.block_on(record(&store, &all, &place.names)).expect("it is back");
    assert_eq!(runtime.block_on(total(&store)), sums(&all));
    // A restart that nobody noticed: a question is asked again.
    server.stop();
    server.start_again();
    assert_eq!(runtime.block_on(total(&store)), sums(&all));
}

#[test]
fn a_wrong_password_is_for_somebody_to_mend() {
    let Some(place) = Place::postgres() else {
        return crate::skip(
            "a_wrong_password_is_for_somebody_to_mend",
            "PostgreSQL is not in /usr/lib/postgresql",
        );
    };
    let mut wrong = place.accounting.clone();
    let url = wrong.database_url.take().expect("PostgreSQL's");
    wrong.database_url = Some(Secret::new(url.expose().replace(PASSWORD_IN_URL, "not-that")));
    let error = run(Store::open(&wrong, Access::Write).unwrap().check()).expect_err("refused");
    assert_eq!(error.reaction, Reaction::Broken, "{error}");
    assert!(error.cause.contains("password authentication failed"), "{error}");
    assert!(!format!("{error:?}").contains("not-that"));
    wrong.database_url = Some(Secret::new("mysql://u:hush@h/d".into()));
    let error = Store::open(&wrong, Access::Write).err().expect("no PostgreSQL");
    assert!(error.to_string().contains("database_url") && !error.to_string().contains("hush"));
}

#[test]
fn a_schema_of_its_own_is_made() {
    let Some(mut place) = Place::postgres() else {
        return crate::skip(
            "a_schema_of_its_own_is_made",
            "PostgreSQL is not in /usr/lib/postgresql",
        );
    };
    let url = place.accounting.database_url.take().expect("PostgreSQL's");
    place.accounting.database_url =
        Some(Secret::new(format!("{}&schema=my%20spend", url.expose())));
    run(async {
        record(&store(&place), &entries(24, 3), &place.names).await.expect("recorded");
        assert_eq!(place.number("SELECT COUNT(*) FROM \"my spend\".spend_logs").await, 3);
        assert_eq!(
            place.text("SELECT COALESCE(to_regclass('public.spend_logs')::TEXT, 'none')").await,
            "none"
        );
    });
}

#[test]
fn a_full_disk_takes_a_batch_whole_or_not_at_all() {
    let place = Place::sqlite();
    run(async {
        let mut store = store(&place);
        store.limit_pages(30);
        let all = entries(25, 5000);
        let mut stored = 0;
        let error = loop {
            match record(&store, &all[stored..stored + 100], &place.names).await {
                Ok(()) => stored += 100,
                Err(error) => break error,
            }
        };
        assert!(stored > 0, "the first fit");
        assert_eq!(error.reaction, Reaction::Broken, "{error}");
        assert!(error.to_string().contains("full"), "{error}");
        let rows = place.number("SELECT COUNT(*) FROM spend_logs").await;
        assert_eq!(usize::try_from(rows), Ok(stored), "nothing half-written");
        let roomy = self::store(&place);
        assert_eq!(total(&roomy).await, sums(&all[..stored]));
        record(&roomy, &all, &place.names).await.expect("there is room again");
        assert_eq!(total(&roomy).await, sums(&all));
    });
}

#[test]
fn a_file_that_another_process_holds_is_away() {
    let place = Place::sqlite();
    run(async {
        use sqlx::{Connection as _, SqliteConnection};
        let all = entries(26, 10);
        let store = store(&place);
        record(&store, &all[..5], &place.names).await.expect("recorded");
        let file = place.accounting.data_dir.join(SQLITE_FILE);
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else's to read");
        let url = format!("sqlite://{}", file.display());
        let mut holder = SqliteConnection::connect(&url).await.expect("a second connection");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.expect("held");
        let error = record(&store, &all, &place.names).await.expect_err("held");
        assert!(error.is_away() && error.to_string().contains("another process"), "{error}");
        assert_eq!(total(&store).await, sums(&all[..5]), "readers do not wait");
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("let go");
        record(&store, &all, &place.names).await.expect("recorded");
        assert_eq!(total(&store).await, sums(&all));
    });
}

#[test]
fn a_missing_folder_is_named() {
    let mut place = Place::sqlite();
    place.accounting.data_dir = scratch("no-such-folder");
    let error = run(store(&place).check()).expect_err("no folder");
    assert_eq!(error.reaction, Reaction::Broken);
    assert!(
        error.to_string().contains("no-such-folder") && error.to_string().contains("No such file"),
        "{error}"
    );
}
