//! Text that must not be shown: credentials and client keys.
//!
//! Invariant: no `Debug` or `Display` of anything that holds a [`Secret`] shows it; who needs the
//! text says so with [`Secret::expose`]. The bytes are overwritten when the value is dropped, so
//! that a core dump or a reused page is less likely to hold them. That is best effort: a copy that
//! the parser made may remain.

use std::{fmt, hint};

/// A credential or client key.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text` from now on.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for a signature, a field of a request or a comparison.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        hint::black_box(&bytes); // else the compiler may drop a write that nothing reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_only_when_asked_for() {
        let secret = Secret::new("hush".into());
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[redacted] [redacted] Some([redacted])"
        );
        assert_eq!(secret.clone().expose(), "hush");
    }
}
