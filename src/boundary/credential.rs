//! A credential that may change while deployments use it: the control plane issues, the cores read.
//!
//! A core reads it once for each attempt, without a lock. One that AWS calls expired is asked to be renewed;
//! the control plane looks for that, so that nobody waits for a core or is woken by one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;

use super::snapshot::Credential;

/// What is in force now.
#[derive(Debug)]
pub struct Issued {
    /// It.
    pub credential: Credential,
    /// No other that was issued in this process has it.
    pub version: u64,
}

/// The place where a deployment's credential is found. Shared by all that have the same source.
#[derive(Debug)]
pub struct CredentialCell {
    issued: ArcSwapOption<Issued>,
    /// It comes from a source that can be asked again.
    is_renewable: bool,
    is_wanted: AtomicBool,
}

impl CredentialCell {
    /// One that stays as it is.
    #[must_use]
    pub fn fixed(credential: Credential) -> Self {
        let cell = Self::renewable();
        cell.issue(credential);
        Self { is_renewable: false, ..cell }
    }

    /// One that is empty until its source has answered.
    #[must_use]
    pub fn renewable() -> Self {
        Self {
            issued: ArcSwapOption::empty(),
            is_renewable: true,
            is_wanted: AtomicBool::new(false),
        }
    }

    /// What is in force; `None`: nothing is.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<Issued>> {
        self.issued.load_full()
    }

    /// Whether something is in force.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.issued.load().is_some()
    }

    /// From now on this is in force.
    pub fn issue(&self, credential: Credential) {
        static VERSIONS: AtomicU64 = AtomicU64::new(1);
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        self.issued.store(Some(Arc::new(Issued { credential, version })));
    }

    /// From now on nothing is: what was has expired.
    pub fn withdraw(&self) {
        self.issued.store(None);
    }

    /// Asks for another one than `version`. Whether one may come.
    pub fn want_other_than(&self, version: u64) -> bool {
        if self.is_renewable && self.newest().is_none_or(|issued| issued.version == version) {
            self.is_wanted.store(true, Ordering::Relaxed);
        }
        self.is_renewable
    }

    /// Whether another one was asked for since the last call.
    #[must_use]
    pub fn take_wanted(&self) -> bool {
        self.is_wanted.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn key(text: &str) -> Credential {
        Credential::ApiKey(Secret::new(text.to_owned()))
    }

    #[test]
    fn what_is_fixed_is_there_and_cannot_be_renewed() {
        let cell = CredentialCell::fixed(key("a"));
        let issued = cell.newest().unwrap();
        assert!(!cell.want_other_than(issued.version) && !cell.take_wanted());
    }

    #[test]
    fn another_is_asked_for_once_and_only_while_the_refused_one_is_in_force() {
        let cell = CredentialCell::renewable();
        assert!(!cell.is_filled() && cell.newest().is_none());
        cell.issue(key("a"));
        let first = cell.newest().unwrap();
        assert!(cell.want_other_than(first.version));
        assert!(cell.take_wanted() && !cell.take_wanted());
        cell.issue(key("b"));
        assert_ne!(cell.newest().unwrap().version, first.version);
        assert!(cell.want_other_than(first.version), "it has come already");
        assert!(!cell.take_wanted());
        cell.withdraw();
        assert!(!cell.is_filled());
    }
}
