//! AWS's list prices, built in: `table.tsv`, one line per model, sorted by key.
//!
//! Read at start only, so it is searched as text and one line is parsed: no memory, no start-up cost.
//! Made by `table.py`; a key is a model id, a profile id, or `REGION/id`.

use super::decimal::{usd, usd_per_million};
use super::rate::{Name, Part, Piece, Rate};
use crate::bedrock::usage::ServiceTier;
use crate::units::Tokens;

const TABLE: &str = include_str!("table.tsv");

/// The prices of the entry `key`.
pub(super) fn find(key: &str) -> Option<Rate> {
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        let middle = low.midpoint(high);
        let start = TABLE[low..middle].rfind('\n').map_or(low, |end| low + end + 1);
        let end = TABLE[start..].find('\n').map_or(TABLE.len(), |end| start + end);
        let (name, rest) = TABLE[start..end].split_once('\t')?;
        match key.cmp(name) {
            std::cmp::Ordering::Less => high = start,
            std::cmp::Ordering::Greater => low = end + 1,
            std::cmp::Ordering::Equal => {
                return Some(parse(rest).expect("the table is tested whole"));
            }
        }
    }
    None
}

/// The models and profiles that have a price, by their ids, in order.
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter_map(|line| line.split('\t').next()).filter(|key| !key.contains('/'))
}

/// `mode`, a tab, `name=price` with spaces between.
fn parse(line: &str) -> Option<Rate> {
    let (_mode, fields) = line.split_once('\t')?;
    let (mut rate, mut threshold) = (Rate::default(), None);
    for field in fields.split(' ') {
        let (name, text) = field.split_once('=')?;
        if name == "above" {
            threshold = Some(Tokens(text.parse().ok()?));
            continue;
        }
        if let Some(piece) = Piece::ALL.into_iter().find(|piece| piece.name() == name) {
            rate.set(Name::Piece(piece), usd(text).ok()?);
            continue;
        }
        let (scope, part) = name.split_once('.').unwrap_or(("standard", name));
        let part = Part::ALL.into_iter().find(|known| known.name() == part)?;
        let name = match scope {
            "above" => Name::Token { tier: ServiceTier::Standard, above: Some(threshold?), part },
            _ => match ServiceTier::from_word(scope) {
                ServiceTier::Other => return None,
                tier => Name::Token { tier, above: None, part },
            },
        };
        rate.set(name, usd_per_million(text).ok()?);
    }
    Some(rate)
}

#[cfg(test)]
mod tests;
