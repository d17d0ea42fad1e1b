//! Finds a few numbers in JSON that flows by, without building a tree or holding the text.
//!
//! An answer of several megabytes holds perhaps five numbers that matter. A [`Scanner`] is told their
//! [`Path`]s, is fed the answer in whatever pieces arrive, and keeps the numbers alone:
//!
//! ```text
//! {"content":[{"text":"…"}],"usage":{"input_tokens":4,"cache_creation":{…}}}
//!  └─ no path begins so: skipped at     └─ looked into: each key is compared with the paths
//!     memchr's speed, brackets counted     that agree with all keys above it
//! ```
//!
//! Invariants: how the text was cut changes nothing; a scanner has a fixed size, never recurses, and
//! never allocates; of equal keys the last wins, as in serde_json. What is not watched is not judged:
//! that a skipped value is JSON is the reader's business. Where watched structure is broken, the scanner
//! stops and vouches for nothing ([`Scanner::value`] is `None` throughout).
//! Source: RFC 8259.

mod member;
mod number;
#[cfg(any(test, fuzzing))]
mod oracle;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
mod scan;
mod slots;
mod top;

pub use member::string_member;
pub use scan::Scanner;
pub use top::top_level_string;

use crate::limits::{JSON_PATHS_MAX, JSON_STEPS_MAX};

/// One step down into a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Into the member of an object that has this name. Plain ASCII.
    Key(&'static str),
    /// Into every element of an array. Once per path at most.
    Each,
}

/// What is kept of the values at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Take {
    /// The number; below [`Step::Each`] the sum over the elements that have one.
    Number,
    /// As [`Take::Number`], but of those elements only whose path labelled `guard` gave `equals`.
    NumberIf {
        /// The label of a path in the same array.
        guard: u8,
        /// What it must have given.
        equals: u64,
    },
    /// How many elements the array has. The path ends with [`Step::Each`].
    Count,
    /// Which of these words the string is: its index, or their number if it is none of them. Below
    /// [`Step::Each`] it serves as a guard.
    Word(&'static [&'static str]),
}

/// A place in a document and what is wanted there.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// From the root; at most [`JSON_STEPS_MAX`].
    pub steps: &'static [Step],
    /// What to keep.
    pub take: Take,
    /// What the caller calls it; labels of guards are unique in their table.
    pub label: u8,
}

impl Path {
    /// The place of its [`Step::Each`].
    fn each(&self) -> Option<usize> {
        self.steps.iter().position(|step| *step == Step::Each)
    }
}

/// Paths that a scanner can look for, checked. Make it in a `const`, so that the check is the compiler's.
#[derive(Clone, Copy, Debug)]
pub struct Paths(&'static [Path]);

impl Paths {
    /// A table of paths.
    ///
    /// # Panics
    /// If it exceeds [`JSON_PATHS_MAX`] or [`JSON_STEPS_MAX`], or a path has two [`Step::Each`].
    #[must_use]
    pub const fn new(paths: &'static [Path]) -> Self {
        assert!(paths.len() <= JSON_PATHS_MAX, "too many paths for a scanner");
        let mut path = 0;
        while path < paths.len() {
            let steps = paths[path].steps;
            assert!(
                !steps.is_empty() && steps.len() <= JSON_STEPS_MAX,
                "path too short or too long"
            );
            let (mut step, mut eaches) = (0, 0);
            while step < steps.len() {
                eaches += matches!(steps[step], Step::Each) as usize;
                step += 1;
            }
            assert!(eaches <= 1, "a path sums over one array");
            path += 1;
        }
        Self(paths)
    }

    /// The paths.
    #[must_use]
    pub const fn list(self) -> &'static [Path] {
        self.0
    }
}
