//! How often each deployment of a group is picked.
//!
//! LiteLLM's simple-shuffle: the first of `weight`, `rpm`, `tpm` that any deployment of the group has
//! decides for the whole group; none: all alike.

use std::collections::BTreeMap;

use super::document::Node;
use super::problem::{Place, Problems};

/// The keys, the first one that is set decides.
const KEYS: [&str; 3] = ["weight", "rpm", "tpm"];
/// Keeps the sum over a group in 64 bits.
const AMOUNT_MAX: f64 = 1e12;
/// Millionths: what a fraction is rounded to.
const SCALE: f64 = 1e6;

/// What one entry says, in the order of [`KEYS`].
pub(super) type Amounts = [Option<f64>; 3];

/// Reads the three keys of an entry; `None`: an error is noted.
pub(super) fn read(params: &Node, problems: &mut Problems) -> Option<Amounts> {
    let mut amounts = [None; 3];
    let mut good = true;
    for (amount, node) in amounts.iter_mut().zip(KEYS.map(|key| params.get(key))) {
        let Some(node) = node else { continue };
        *amount = node.amount(problems).filter(|amount| {
            let fits = *amount <= AMOUNT_MAX;
            if !fits {
                problems.error(&node.place, "must be at most 10^12");
            }
            fits
        });
        good &= amount.is_some();
    }
    good.then_some(amounts)
}

/// Weights for entries of (group, amounts, place of its parameters), in the same order.
pub(super) fn settle(entries: &[(&str, Amounts, &Place)], problems: &mut Problems) -> Vec<u64> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (group, ..)) in entries.iter().enumerate() {
        groups.entry(group).or_default().push(index);
    }
    let mut weights = vec![1; entries.len()];
    for (group, members) in groups {
        let amount = |member: usize, key: usize| entries[member].1[key];
        let Some(key) = (0..KEYS.len())
            .find(|key| members.iter().any(|member| amount(*member, *key).is_some()))
        else {
            continue;
        };
        let fraction =
            |member: &usize| amount(*member, key).is_some_and(|amount| amount.fract() > 0.0);
        let scale = if members.iter().any(fraction) { SCALE } else { 1.0 };
        for member in members {
            let Some(amount) = amount(member, key) else {
                let name = KEYS[key];
                let message = format!(
                    "has no `{name}`, which others of `{}` have: it is never picked",
                    group.escape_debug()
                );
                problems.warning(entries[member].2, message);
                weights[member] = 0;
                continue;
            };
            let scaled = (amount * scale).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 10^18, whole"
            )]
            let whole = scaled as u64;
            weights[member] = if amount > 0.0 { whole.max(1) } else { 0 };
        }
    }
    weights
}
