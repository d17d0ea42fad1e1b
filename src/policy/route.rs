//! Which group a model's name means: exact match, or none.

use std::collections::HashMap;

use super::balance::Group;

/// The groups, by name.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    by_name: HashMap<Box<[u8]>, Group>,
}

impl Routes {
    /// From names (decoded) and groups.
    pub fn new(groups: impl IntoIterator<Item = (String, Group)>) -> Self {
        let by_name =
            groups.into_iter().map(|(name, group)| (name.into_bytes().into_boxed_slice(), group));
        Self { by_name: by_name.collect() }
    }

    /// The group of this name, decoded, byte for byte.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_exactly() {
        let routes = Routes::new([("team/claude:1".to_owned(), Group::new(&[(4, 1)]))]);
        assert_eq!(routes.find(b"team/claude:1").unwrap().deployments(), [4]);
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
