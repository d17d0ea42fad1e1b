//! The tables, as a list of versions that are applied in order, each in one transaction with its number.
//!
//! Our own list and not sqlx's migrator: that one names versions by checksums in a table which any other
//! sqlx program in a shared database claims too, and tells an operator of a newer schema only that a
//! migration "is missing". A number in a table of our name says which Outcrop is needed.
//! Never edit a version that was released: append one.

use super::error::Failure;
use super::session::{Session, Value};
use super::{Access, chunk, columns::Cell, columns::Kind};

/// The version that this Outcrop reads and writes.
pub(super) fn newest() -> i64 {
    i64::try_from(SQLITE.len()).expect("a handful")
}

const SQLITE: [&str; 4] = [
    include_str!("schema/sqlite_1.sql"),
    include_str!("schema/sqlite_2.sql"),
    include_str!("schema/sqlite_3.sql"),
    include_str!("schema/sqlite_4.sql"),
];
const POSTGRES: [&str; 4] = [
    include_str!("schema/postgres_1.sql"),
    include_str!("schema/postgres_2.sql"),
    include_str!("schema/postgres_3.sql"),
    include_str!("schema/postgres_4.sql"),
];
const _: () = assert!(SQLITE.len() == POSTGRES.len());

/// PostgreSQL's lock for who makes the tables: "outcrop" in bytes.
const LOCK: i64 = 0x006f_7574_6372_6f70;

/// Brings the tables up to [`newest`], or, if only reading, sees that they are there.
pub(super) async fn ensure(session: &mut Session, access: Access) -> Result<(), Failure> {
    let found = version(session).await?;
    if found == newest() {
        return Ok(());
    }
    judge(found)?;
    if access == Access::Read {
        let cause = if found == 0 {
            "it holds no spend yet: Outcrop has not recorded into it".to_owned()
        } else {
            format!(
                "its tables are of version {found}; start Outcrop once to bring them to {}",
                newest()
            )
        };
        return Err(Failure::Schema(cause));
    }
    if let Session::Postgres(_) = session {
        make_search_path(session).await?;
    }
    session.begin().await?;
    if let Session::Postgres(_) = session {
        session.execute("SELECT pg_advisory_xact_lock(?)", vec![Cell::Int(LOCK)]).await?;
    }
    session
        .script("CREATE TABLE IF NOT EXISTS outcrop_schema (version BIGINT NOT NULL PRIMARY KEY)")
        .await?;
    // Again, now that nobody else can be at it.
    let found = version(session).await?;
    judge(found)?;
    let scripts = match session {
        Session::Sqlite(_) => SQLITE,
        Session::Postgres(_) => POSTGRES,
    };
    for (script, number) in scripts.into_iter().zip(1..).filter(|(_, number)| *number > found) {
        session.script(script).await?;
        let number = vec![Cell::Int(number)];
        session.execute("INSERT INTO outcrop_schema (version) VALUES (?)", number).await?;
    }
    if let Session::Sqlite(_) = session {
        session.script(&chunk::view()).await?;
    }
    session.commit().await
}

fn judge(found: i64) -> Result<(), Failure> {
    if found <= newest() {
        return Ok(());
    }
    Err(Failure::Schema(format!(
        "its tables are of version {found}, made by a newer Outcrop; this one knows up to {}: \
         upgrade this process, or give it a database of its own",
        newest()
    )))
}

/// 0: no tables.
async fn version(session: &mut Session) -> Result<i64, Failure> {
    let is_there = match session {
        Session::Sqlite(_) => {
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'outcrop_schema'"
        }
        Session::Postgres(_) => {
            "SELECT CAST(to_regclass('outcrop_schema') IS NOT NULL AS INTEGER)::BIGINT"
        }
    };
    if number(session, is_there).await? == 0 {
        return Ok(0);
    }
    number(session, "SELECT COALESCE(MAX(version), 0) FROM outcrop_schema").await
}

async fn number(session: &mut Session, sql: &str) -> Result<i64, Failure> {
    let rows = session.rows(sql, Vec::new(), &[Kind::Int]).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Int(number)]) => Ok(*number),
        _ => Err(Failure::Schema("it gives no number where one must be".into())),
    }
}

/// The schema that `?schema=` names, if it is not there yet. Nothing to do for the default path.
async fn make_search_path(session: &mut Session) -> Result<(), Failure> {
    let sql = "SELECT CAST(current_schema() IS NULL AS INTEGER)::BIGINT";
    if number(session, sql).await? == 0 {
        return Ok(());
    }
    // quote_ident inside the server: the name is never pasted here.
    session
        .script(
            "DO $$ BEGIN EXECUTE 'CREATE SCHEMA IF NOT EXISTS ' \
             || (SELECT current_setting('search_path')); END $$",
        )
        .await
}
