//! Numbers with a bound: times in seconds, whole numbers, and LiteLLM's policies of numbers by class.

use super::document::{Content, Node};
use super::problem::Problems;
use crate::bedrock::failure::Class;

/// A time in seconds, fractions too, as milliseconds.
pub(super) fn seconds_ms(
    node: &Node,
    (least, most): (f64, f64),
    what: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let seconds = node.amount(problems)?;
    if !(least..=most).contains(&seconds) {
        problems.error(&node.place, format!("must be {what}, and at most {most}"));
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the most, which is days"
    )]
    let ms = (seconds * 1000.0).round() as u64;
    Some(ms)
}

/// A whole number from 0 to `most`.
pub(super) fn whole(node: &Node, most: u64, problems: &mut Problems) -> Option<u64> {
    let number = node.amount(problems)?;
    #[expect(clippy::cast_precision_loss, reason = "a bound of some millions")]
    let fits = number.fract() == 0.0 && number <= most as f64;
    if !fits {
        problems.error(&node.place, format!("must be a whole number, from 0 to {most}"));
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within the bound"
    )]
    let number = number as u64;
    Some(number)
}

/// `{RateLimitErrorRetries: 3, …}`: numbers by class, each key a class and `suffix`.
pub(super) fn class_numbers(
    node: &Node,
    suffix: &str,
    most: u64,
    problems: &mut Problems,
) -> [Option<u64>; Class::ALL.len()] {
    let mut numbers = [None; Class::ALL.len()];
    if !matches!(node.content, Content::Mapping(_)) {
        let message =
            format!("must be a mapping such as `RateLimit{suffix}: 3`, not {}", node.kind());
        problems.error(&node.place, message);
    }
    for (key, node) in node.entries() {
        let class = key.strip_suffix(suffix);
        let class = class.and_then(|name| Class::ALL.into_iter().find(|it| it.name() == name));
        match class {
            Some(class) => numbers[class as usize] = whole(node, most, problems),
            None => {
                let known: Vec<_> = Class::ALL.map(|it| format!("{}{suffix}", it.name())).into();
                problems
                    .warning(&node.place, format!("unknown key; there are {}", known.join(", ")));
            }
        }
    }
    numbers
}
