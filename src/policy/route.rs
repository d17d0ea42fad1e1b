//! Which group a request is for: by its model's name, exactly or by a pattern; or, without a model, by the
//! service that is asked.
//!
//! ```text
//!   model's name ─┬─ model_name, alias, deployment's id      exact
//!                 ├─ model_name with a `*`                    the longest that fits
//!                 └─ neither: no group, and no other credential than the configured one
//!   no model ────── outcrop.passthrough, if it lets the operation through
//! ```

use std::{collections::HashMap, ops::Range};

use crate::{
    bedrock::operation::{Action, ActionSet, Service},
    limits::MODEL_ID_BYTES_MAX,
};

/// LiteLLM's clients may put it in front of a model's name; a pattern may have it, too.
const PROVIDER: &[u8] = b"bedrock/";

/// Places of the groups, by name.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    by_name: HashMap<Box<[u8]>, usize>,
    by_id: HashMap<Box<[u8]>, usize>,
    /// The longest comes first.
    patterns: Vec<Pattern>,
    passthrough: Option<Passthrough>,
}

/// A `model_name` with a `*`, without its provider.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pattern {
    before: Box<[u8]>,
    after: Box<[u8]>,
    group: usize,
}

/// Where operations go that are for no model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passthrough {
    /// Places of the services' groups, in the order of [`Service::ALL`].
    pub groups: [usize; Service::ALL.len()],
    /// What may be asked.
    pub allowed: ActionSet,
    /// Whether a path that the table does not know goes to Bedrock's runtime.
    pub takes_unlisted_paths: bool,
}

/// A group, and what of the name its pattern's `*` stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its place.
    pub group: usize,
    /// Where in the name; empty if the name is known as it is.
    pub star: Range<usize>,
}

/// Why an operation without a model goes nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotPassed {
    /// `outcrop.passthrough` is not configured.
    NotConfigured,
    /// It does not allow this operation.
    NotAllowed,
}

impl Routes {
    /// From names (decoded) and places. Of a name that comes twice the first counts.
    pub fn new(groups: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self { by_name: first_counts(groups), ..Self::default() }
    }

    /// With groups for the ids that AWS knows models by.
    #[must_use]
    pub fn with_ids(self, groups: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self { by_id: first_counts(groups), ..self }
    }

    /// With names that hold one `*`; of equal ones the first counts.
    #[must_use]
    pub fn with_patterns<'p>(self, groups: impl IntoIterator<Item = (&'p str, usize)>) -> Self {
        let pattern = |(name, group): (&str, usize)| {
            let name = name.as_bytes();
            let name = name.strip_prefix(PROVIDER).unwrap_or(name);
            let star = name.iter().position(|byte| *byte == b'*')?;
            Some(Pattern { before: name[..star].into(), after: name[star + 1..].into(), group })
        };
        let mut patterns: Vec<_> = groups.into_iter().filter_map(pattern).collect();
        patterns.sort_by_key(|it| std::cmp::Reverse(it.before.len() + it.after.len()));
        Self { patterns, ..self }
    }

    /// With a place for what has no model.
    #[must_use]
    pub fn with_passthrough(self, passthrough: Option<Passthrough>) -> Self {
        Self { passthrough, ..self }
    }

    /// The group of this name, decoded, byte for byte; else of the pattern that it fits.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Found> {
        match self.by_name.get(name) {
            Some(group) => Some(Found { group: *group, star: 0..0 }),
            None => self.find_pattern(name),
        }
    }

    /// The group of the model that AWS knows by this id; else of the pattern that it fits.
    #[must_use]
    pub fn find_id(&self, id: &[u8]) -> Option<usize> {
        let by_id = self.by_id.get(id).copied();
        by_id.or_else(|| self.find_pattern(id).map(|found| found.group))
    }

    /// Whether a group is called so, whatever AWS calls its model.
    #[must_use]
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    fn find_pattern(&self, name: &[u8]) -> Option<Found> {
        let start = if name.starts_with(PROVIDER) { PROVIDER.len() } else { 0 };
        let rest = &name[start..];
        if !is_model_id(rest) {
            return None;
        }
        let fits = |it: &&Pattern| {
            rest.len() > it.before.len() + it.after.len()
                && rest.starts_with(&it.before)
                && rest.ends_with(&it.after)
        };
        let found = self.patterns.iter().find(fits)?;
        let star = start + found.before.len()..name.len() - found.after.len();
        Some(Found { group: found.group, star })
    }

    /// The group for an operation without a model.
    ///
    /// # Errors
    /// [`NotPassed`].
    pub fn pass(&self, action: Action) -> Result<usize, NotPassed> {
        let passthrough = self.passthrough.as_ref().ok_or(NotPassed::NotConfigured)?;
        if passthrough.allowed.has(action) {
            Ok(passthrough.groups[action.service() as usize])
        } else {
            Err(NotPassed::NotAllowed)
        }
    }

    /// Whether a path that the table does not know goes to AWS.
    #[must_use]
    pub fn takes_unlisted_paths(&self) -> bool {
        self.passthrough.is_some_and(|passthrough| passthrough.takes_unlisted_paths)
    }
}

fn first_counts(groups: impl IntoIterator<Item = (String, usize)>) -> HashMap<Box<[u8]>, usize> {
    let mut by_name = HashMap::new();
    for (name, group) in groups {
        by_name.entry(name.into_bytes().into_boxed_slice()).or_insert(group);
    }
    by_name
}

/// What may go to AWS as a model's id because a client says so: of the letters that ids have, no path, and
/// with a slash only if it is an ARN, so that no region or route of LiteLLM's is in front.
fn is_model_id(text: &[u8]) -> bool {
    (1..=MODEL_ID_BYTES_MAX).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/+=,@$".contains(byte))
        && (text.starts_with(b"arn:") || !text.contains(&b'/'))
        && !text.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_exactly() {
        let name = || "team/claude:1".to_owned();
        let routes = Routes::new([(name(), 4), (name(), 5)]);
        assert_eq!(routes.find(b"team/claude:1"), Some(Found { group: 4, star: 0..0 }));
        for other in [
            &b"team/claude"[..],
            b"Team/claude:1",
            b"team/claude:1 ",
            b"team/./claude:1",
            b"\xff",
            b"",
        ] {
            assert!(routes.find(other).is_none());
        }
    }

    #[test]
    fn patterns_take_what_is_not_named_and_the_longest_wins() {
        let patterns = [("bedrock/*", 1), ("us.*", 2), ("us.*-v2:0", 3), ("bedrock/*", 4)];
        let routes = Routes::new([("us.exact".to_owned(), 0)]).with_patterns(patterns);
        let check = |name: &str, expected: Option<(usize, &str)>| {
            let found = routes.find(name.as_bytes());
            let found = found.map(|found| (found.group, &name[found.star]));
            assert_eq!(found, expected, "{name}");
        };
        check("us.exact", Some((0, "")));
        check("anthropic.claude-v1:0", Some((1, "anthropic.claude-v1:0")));
        check("bedrock/anthropic.claude", Some((1, "anthropic.claude")));
        check("us.exact1", Some((2, "exact1")));
        check("bedrock/us.nova-v2:0", Some((3, "nova")));
        check("us.-v2:0", Some((2, "-v2:0")));
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1";
        check(arn, Some((1, arn)));
        for refused in [
            "",
            "bedrock/",
            "us-west-2/anthropic.claude",
            "bedrock/converse/x",
            "a%2fb",
            "a b",
            "arn:aws:x/../y",
            "arn:aws:x//y",
            "..",
            "a\r\nb",
            "a*b",
            "é",
        ] {
            check(refused, None);
        }
        check(&"x".repeat(MODEL_ID_BYTES_MAX + 1), None);
    }

    #[test]
    fn ids_are_apart_from_names() {
        let ids = [("openai.gpt-oss-20b-1:0".to_owned(), 7)];
        let routes = Routes::new([("gpt".to_owned(), 1)]).with_ids(ids);
        assert_eq!(routes.find_id(b"openai.gpt-oss-20b-1:0"), Some(7));
        assert_eq!(routes.find_id(b"gpt"), None);
        assert!(routes.has_name(b"gpt") && !routes.has_name(b"openai.gpt-oss-20b-1:0"));
        assert_eq!(routes.with_patterns([("*", 9)]).find_id(b"openai.else"), Some(9));
    }

    #[test]
    fn what_has_no_model_goes_where_it_is_let() {
        let allowed = ActionSet::default().with(Action::Retrieve).with(Action::ApplyGuardrail);
        let passthrough = Passthrough { groups: [3, 4, 5], allowed, takes_unlisted_paths: false };
        let routes = Routes::default().with_passthrough(Some(passthrough));
        assert_eq!(routes.pass(Action::Retrieve), Ok(4));
        assert_eq!(routes.pass(Action::ApplyGuardrail), Ok(3));
        assert_eq!(routes.pass(Action::InvokeAgent), Err(NotPassed::NotAllowed));
        assert_eq!(Routes::default().pass(Action::Retrieve), Err(NotPassed::NotConfigured));
        assert!(!routes.takes_unlisted_paths());
    }
}
