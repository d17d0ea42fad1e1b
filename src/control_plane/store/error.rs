//! What a store may fail with, in words for an operator at 3 am; never with a password in them.

use std::fmt;

/// What is to be done about a [`StoreError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reaction {
    /// The database cannot be reached, or is busy: try again later, nothing is lost meanwhile.
    Away,
    /// Somebody must act: a full disk, a wrong password, tables of a newer Outcrop.
    Broken,
}

/// Nothing of the call was done: a batch is stored whole or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreError {
    /// Which database: a path, or host, port and name.
    pub database: String,
    /// What was being done.
    pub doing: &'static str,
    /// What went wrong, as the database or the system says it.
    pub cause: String,
    /// What to do.
    pub reaction: Reaction,
}

impl StoreError {
    /// Whether to try again later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.reaction == Reaction::Away
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, doing, cause, reaction } = self;
        let advice = match reaction {
            Reaction::Away => {
                "it is tried again later, and the ledger keeps the entries until then"
            }
            Reaction::Broken => {
                "this needs somebody to act; the ledger keeps the entries until then"
            }
        };
        write!(out, "{database}: {doing}: {cause}; {advice}")
    }
}

impl std::error::Error for StoreError {}

/// What a session failed with, before it is known where and in doing what.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(sqlx::Error),
    /// No answer in time.
    TimedOut,
    /// The tables are not what this version can use.
    Schema(String),
    /// The file system's.
    File(std::io::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    pub(super) fn in_doing(self, doing: &'static str, database: &str) -> StoreError {
        let (cause, reaction) = match self {
            Self::Sql(error) => judge(&error),
            Self::TimedOut => ("no answer in time".into(), Reaction::Away),
            Self::Schema(cause) => (cause, Reaction::Broken),
            Self::File(error) => (error.to_string(), Reaction::Broken),
        };
        StoreError { database: database.into(), doing, cause, reaction }
    }

    /// Whether a connection that had been kept for long may be all that is wrong.
    pub(super) fn is_of_the_connection(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed)
            || matches!(code(error).as_deref(), Some("57P01" | "57P02" | "08006" | "08003"))
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// The cause in words, and whether waiting helps. PostgreSQL's codes have five characters (its manual,
/// appendix A); SQLite's are numbers whose lowest byte is the primary one (sqlite.org/rescode.html).
fn judge(error: &sqlx::Error) -> (String, Reaction) {
    use sqlx::Error;
    let Some(found) = error.as_database_error() else {
        return match error {
            Error::Io(cause) => (cause.to_string(), Reaction::Away),
            Error::Tls(cause) => (format!("TLS: {cause}"), Reaction::Away),
            Error::Protocol(_) | Error::WorkerCrashed => (error.to_string(), Reaction::Away),
            other => (other.to_string(), Reaction::Broken),
        };
    };
    let code = code(error).unwrap_or_default();
    let text = format!("{} (code {code})", found.message());
    if let Ok(number) = code.parse::<u32>()
        && code.len() != 5
    {
        return match number & 0xff {
            5 | 6 => (format!("{text}: another process holds the file"), Reaction::Away),
            13 => (format!("{text}: make room"), Reaction::Broken),
            _ => (text, Reaction::Broken),
        };
    }
    // Connection, roll-back, shutdown or start of the server, too many connections, a lock, a standby.
    let passes = ["08", "40", "57P", "53300", "55P03", "25006"];
    let away = passes.iter().any(|start| code.starts_with(start));
    (text, if away { Reaction::Away } else { Reaction::Broken })
}
