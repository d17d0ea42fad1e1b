//! A PostgreSQL URL: whether it is one, and what of it may be shown. Its password never is.
//!
//! ```text
//! postgresql://user:password@host:port/database?parameters
//!              ────          ──── ──── ────────             shown
//! ```
//!
//! Strict where a password that is not percent-encoded could be taken for another part: what is shown
//! is of characters that nobody has to encode. Source: PostgreSQL's manual, 34.1.1.2 Connection URIs.

use std::fmt::Write as _;

/// What may be shown of a URL.
#[derive(Debug, Eq, PartialEq)]
struct Shown<'u> {
    user: &'u str,
    /// With its port.
    host: &'u str,
    database: &'u str,
}

/// Whether `url` names a PostgreSQL database.
///
/// # Errors
/// What is wrong and what to do, after the key's name; never with a part of the URL.
pub(super) fn judge(url: &str) -> Result<(), &'static str> {
    parts(url).map(|_| ())
}

/// `postgresql://user@host:port/database`, as far as these are there.
pub(super) fn shown(url: &str) -> String {
    let mut text = "postgresql://".to_owned();
    if let Ok(Shown { user, host, database }) = parts(url) {
        if !user.is_empty() {
            write!(text, "{user}@").expect("a String takes all");
        }
        write!(text, "{host}/{database}").expect("a String takes all");
    }
    text
}

fn parts(url: &str) -> Result<Shown<'_>, &'static str> {
    const ENCODE: &str = "must be postgresql://user:password@host:port/database; percent-encode other characters \
                          than letters, digits, `-`, `.`, `_` and `~` in each part";
    if url.starts_with("sqlite:") {
        return Err(
            "names SQLite, which needs no key: remove it; outcrop.data_dir says where the file is",
        );
    }
    let rest = ["postgresql://", "postgres://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest =
        rest.ok_or("must begin with postgresql:// or postgres://; no other database is served")?;
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = user.split(':').next().unwrap_or_default();
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
    };
    // A password with a slash or question mark in it would end the authority early.
    let is_split = parameters.contains('@') && !authority.contains('@');
    if !plain(user) || !plain(database) || !is_host(host) || is_split || parameters.contains('#') {
        return Err(ENCODE);
    }
    Ok(Shown { user, host, database })
}

/// A name or address, and a port; either may be missing: a parameter may say it.
fn is_host(text: &str) -> bool {
    let (host, rest) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("", rest)
        }
        Some(None) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = rest.strip_prefix(':');
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte))
        && (rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_no_secret() {
        for (url, expected) in [
            ("postgresql://u:PASS@h.example:5432/db", "postgresql://u@h.example:5432/db"),
            ("postgres://u:PASS@h/db?sslmode=require&password=PASS", "postgresql://u@h/db"),
            ("postgres://h", "postgresql://h/"),
            ("postgresql://u:P:A@SS@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
            ("postgresql:///db?host=/run/postgresql", "postgresql:///db"),
            ("postgresql://us%40er:x%2Fy@h/d%20b", "postgresql://us%40er@h/d%20b"),
        ] {
            assert_eq!((judge(url), shown(url).as_str()), (Ok(()), expected));
        }
    }

    #[test]
    fn what_could_show_a_password_is_refused() {
        for url in [
            "postgresql://u:PA/SS@h/db",
            "postgresql://u:PA?SS@h/db",
            "postgresql://u:1/SS@h/db",
            "postgresql://u:1?SS@h/db",
            "postgresql://u:PA#SS@h/db?x#y",
            "postgresql://h:port/db",
            "postgresql://h:65536/db",
            "postgresql://h,i/db",
            "postgresql://[::1/db",
            "postgresql://[x]/db",
            "mysql://u:PASS@h/db",
            "host=h password=PASS",
            "sqlite://PASS.db",
            "",
        ] {
            assert!(judge(url).is_err_and(|why| !why.contains("PASS")), "{url}");
            assert_eq!(shown(url), "postgresql://");
        }
        assert!(judge("sqlite:PASS.db").unwrap_err().contains("needs no key"));
    }
}
