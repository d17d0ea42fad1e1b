//! A snapshot of environment variables: the environment is read once and passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Variables by name. A variable whose name or value is not UTF-8 is as if unset.
#[derive(Clone, Default)]
pub struct Environment {
    all: BTreeMap<String, String>,
    /// Those that the configuration set: the process, and what reads its environment, does not have them.
    configured: BTreeSet<String>,
}

impl Environment {
    /// The variables of this process: the only place that reads them.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { all: std::env::vars_os().filter_map(text).collect(), ..Self::default() }
    }

    /// These variables and no others.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let all = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { all, ..Self::default() }
    }

    /// The value of `name`, which may be empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str)
    }

    /// The value of `name`; an empty one counts as unset, as the AWS SDKs see it.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// From now on `name` has `value`: what `environment_variables:` of the configuration says wins.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.configured.insert(name.clone());
        self.all.insert(name, value.into());
    }

    /// What a flag says stands over what the process was given.
    pub fn override_with(&mut self, name: &str, value: String) {
        self.all.insert(name.into(), value);
    }

    /// Whether the configuration set `name`.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.configured.contains(name)
    }
}

impl fmt::Debug for Environment {
    /// Names only: a value may be a credential.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.all.keys()).finish()
    }
}
