//! PostgreSQL: one database for many machines, by LiteLLM's `database_url`.
//!
//! Rows go in as one array per column (`UNNEST`): one statement, prepared once, whatever the number of
//! rows, and no limit on parameters is met. LiteLLM's URLs are Prisma's: what only Prisma knows is
//! let pass, apart from `schema`, which is PostgreSQL's search path.

use std::str::FromStr as _;

use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _,
    postgres::{PgArguments, PgConnectOptions, PgRow},
};

use super::columns::{Cell, Kind};
use super::error::Failure;
use super::session::{Bulk, Value};
use crate::secret::Secret;
use crate::wire::percent;

/// Where a server is, and as whom to go there.
#[derive(Clone)]
pub(super) struct Target {
    options: PgConnectOptions,
}

pub(super) struct Session {
    connection: PgConnection,
}

/// Parameters of a URL that the driver understands as PostgreSQL's own tools do.
const PASSED_ON: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

impl Target {
    /// # Errors
    /// What is wrong with the URL, without the URL.
    pub(super) fn parse(url: &Secret, read_only: bool) -> Result<Self, String> {
        let (base, query) = url.expose().split_once('?').unwrap_or((url.expose(), ""));
        if !base.starts_with("postgresql://") && !base.starts_with("postgres://") {
            return Err("it does not begin with postgresql://; no other database is known".into());
        }
        let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
        // Prisma's `sslcert` is the authority's certificate; PostgreSQL's is the client's, beside its key.
        let has_key = pairs().any(|(name, _)| name == "sslkey");
        let mut kept = String::new();
        let (mut schema, mut is_pooled) = (None, false);
        for (name, value) in pairs() {
            match name {
                "schema" => schema = Some(decoded(value)?),
                "pgbouncer" => is_pooled = value == "true",
                name if PASSED_ON.contains(&name) => {
                    let name = if name == "sslcert" && !has_key { "sslrootcert" } else { name };
                    kept.push_str(if kept.is_empty() { "?" } else { "&" });
                    kept.push_str(&format!("{name}={value}"));
                }
                _prismas_own => {}
            }
        }
        let url = Secret::new(format!("{base}{kept}"));
        let mut options = PgConnectOptions::from_str(url.expose())
            .map_err(|error| error.to_string())?
            .disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("outcrop");
        }
        if let Some(schema) = schema {
            options = options.options([("search_path", quoted(&schema))]);
        }
        if read_only {
            options = options.options([("default_transaction_read_only", "on")]);
        }
        if is_pooled {
            // Behind PgBouncer the next transaction may be another server connection's.
            options = options.statement_cache_capacity(0);
        }
        Ok(Self { options })
    }

    /// Where it is, for people: no user, no password.
    pub(super) fn shown(&self) -> String {
        let name = self.options.get_database().unwrap_or_else(|| self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("PostgreSQL at {}, database {name}", socket.display()),
            None => {
                let (host, port) = (self.options.get_host(), self.options.get_port());
                format!("PostgreSQL at {host}:{port}, database {name}")
            }
        }
    }

    pub(super) async fn connect(&self) -> Result<Session, Failure> {
        Ok(Session { connection: self.options.connect().await? })
    }
}

fn decoded(value: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    percent::decode(value.as_bytes(), &mut bytes)
        .ok()
        .and_then(|()| String::from_utf8(bytes).ok())
        .ok_or_else(|| "its parameter `schema` is not percent-encoded UTF-8".into())
}

/// As an identifier; the driver escapes it for the start-up message.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Session {
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: &str, cells: Vec<Cell>) -> Result<u64, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(cells)?);
        Ok(query.persistent(false).execute(&mut self.connection).await?.rows_affected())
    }

    pub(super) async fn rows(
        &mut self,
        sql: &str,
        cells: Vec<Cell>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(cells)?);
        let rows = query.persistent(false).fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| values(row, kinds)).collect()
    }

    pub(super) async fn insert(&mut self, bulk: &Bulk, cells: &[Cell]) -> Result<u64, Failure> {
        let query = sqlx::query_with(AssertSqlSafe(unnest(bulk)), columns(bulk, cells)?);
        Ok(query.execute(&mut self.connection).await?.rows_affected())
    }

    pub(super) async fn insert_and_tell(
        &mut self,
        bulk: &Bulk,
        cells: &[Cell],
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let sql = format!("{} RETURNING request_id", unnest(bulk));
        let query = sqlx::query_with(AssertSqlSafe(sql), columns(bulk, cells)?);
        let rows = query.fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| values(row, &[Kind::Text])).collect()
    }
}

fn unnest(bulk: &Bulk) -> String {
    let array = |(at, (_, kind)): (usize, &(&str, Kind))| {
        let element = match kind {
            Kind::Int => "BIGINT",
            Kind::Bool => "BOOLEAN",
            Kind::Text => "TEXT",
        };
        format!("${}::{element}[]", at + 1)
    };
    let arrays: Vec<String> = bulk.columns.iter().enumerate().map(array).collect();
    format!(
        "{} SELECT * FROM UNNEST({}) {}",
        bulk.head(|_| true),
        arrays.join(", "),
        bulk.on_conflict
    )
}

/// Rows turned into columns.
fn columns(bulk: &Bulk, cells: &[Cell]) -> Result<PgArguments, Failure> {
    let width = bulk.columns.len();
    let mut arguments = PgArguments::default();
    arguments.reserve(width, cells.len() * 16);
    for (at, (_, kind)) in bulk.columns.iter().enumerate() {
        let column = cells.iter().skip(at).step_by(width);
        match kind {
            Kind::Int => arguments.add(column.map(Cell::int).collect::<Vec<Option<i64>>>()),
            Kind::Bool => arguments.add(column.map(Cell::bool).collect::<Vec<Option<bool>>>()),
            Kind::Text => arguments.add(column.map(Cell::str).collect::<Vec<Option<&str>>>()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn arguments(cells: Vec<Cell>) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for cell in cells {
        match cell {
            Cell::Null => arguments.add(None::<i64>),
            Cell::Int(number) => arguments.add(number),
            Cell::Bool(truth) => arguments.add(truth),
            Cell::Text(text) => arguments.add(&*text),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// `?` as `$1`, `$2`, …. No statement of ours holds one in a text.
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.zip(1..).fold(first, |sql, (part, number)| format!("{sql}${number}{part}"))
}

fn values(row: &PgRow, kinds: &[Kind]) -> Result<Vec<Value>, Failure> {
    let value = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(at)?.map_or(Value::Null, Value::Int),
            Kind::Bool => row.try_get::<Option<bool>, _>(at)?.map_or(Value::Null, Value::Bool),
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Value::Null, Value::Text),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, shown: &str, options: Option<&str>) {
        let target = Target::parse(&Secret::new(url.into()), false).unwrap();
        assert_eq!(target.shown(), shown, "{url}");
        assert_eq!(target.options.get_options(), options, "{url}");
    }

    #[test]
    fn litellms_urls_are_understood_and_never_shown() {
        let plain = "PostgreSQL at db.internal:5432, database litellm";
        check("postgresql://u:p%40ss@db.internal/litellm", plain, None);
        check("postgres://u:hush@db.internal:5432/litellm?sslmode=require", plain, None);
        check(
            "postgresql://u:hush@db.internal:5432/litellm?schema=out%63rop&connection_limit=10&pool_timeout=60&pgbouncer=true&sslaccept=strict",
            plain,
            Some("-c search_path=\"outcrop\""),
        );
        check(
            "postgresql://u:hush@localhost/litellm?host=/run/postgresql",
            "PostgreSQL at /run/postgresql, database litellm",
            None,
        );
        for bad in [
            "mysql://u:hush@h/d",
            "hush",
            "",
            "postgresql://u:hush@h:port/d",
            "postgresql://u:hush@h/d?schema=%zz",
            "postgresql://u:p@h/d?sslmode=hush",
        ] {
            let error = Target::parse(&Secret::new(bad.into()), false).err().expect(bad);
            assert!(!error.contains("u:hush") && !error.is_empty(), "{error}");
        }
    }

    #[test]
    fn values_are_numbered() {
        assert_eq!(numbered("a = ? AND b IN (?, ?)"), "a = $1 AND b IN ($2, $3)");
        assert_eq!(numbered("none"), "none");
    }
}
