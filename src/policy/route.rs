//! Which group a model's name means: exact match, or none.

use std::collections::HashMap;

/// Places of the groups, by name.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    by_name: HashMap<Box<[u8]>, usize>,
}

impl Routes {
    /// From names (decoded) and places. Of a name that comes twice the first counts.
    pub fn new(groups: impl IntoIterator<Item = (String, usize)>) -> Self {
        let mut by_name = HashMap::new();
        for (name, group) in groups {
            by_name.entry(name.into_bytes().into_boxed_slice()).or_insert(group);
        }
        Self { by_name }
    }

    /// The place of the group of this name, decoded, byte for byte.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_exactly() {
        let name = || "team/claude:1".to_owned();
        let routes = Routes::new([(name(), 4), (name(), 5)]);
        assert_eq!(routes.find(b"team/claude:1"), Some(4));
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
}
