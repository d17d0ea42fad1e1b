//! Usage × price, exact: integer pico-dollars, or the honest word "unknown" and why.
//!
//! ```text
//! at start:     model, region, overrides, price map ── lookup ──▶ Rate (or why there is none)
//! per request:  Usage × Rate ── price ──▶ Cost::Known(Bill) | Cost::Unknown(Unpriced)
//! ```
//!
//! # The rules of [`price()`]
//!
//! - Every published price is a whole number of pico-dollars, per token or per piece; nothing is rounded.
//! - Tokens that are not known, at a price that is not 0, make the cost unknown. So do known tokens
//!   without a published price. Cache counts that no source reported are the exception: models without
//!   a cache report none, so they cost nothing.
//! - More input in all (cache included) than the model's threshold: every token of the request is charged
//!   at the long-context price, output too.
//! - A model with a price per image, second or query is not charged for tokens that have no price.
//! - A service tier has its own prices, and none is borrowed from another tier: where lists have both, a
//!   tier's cache reads are scaled as its input is. Above the threshold likewise.
//! - An hour's cache write without a price of its own is unknown, never the five minutes' price. A write
//!   of unknown lifetime is charged as five minutes', AWS's default, and the bill says so.
//! - A sum above $18.4 M is unknown: a lying answer must not be billed wrapped.

mod decimal;
mod explain;
mod litellm;
mod lookup;
mod rate;
mod table;
#[cfg(test)]
mod tests;

pub use decimal::{NotAPrice, usd, usd_per_million};
pub use explain::{Explanation, Row, explain};
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use litellm::fuzz_litellm;
pub use litellm::{MapError, PriceMap};
pub use lookup::{NoRate, Overrides, Priced, Question, Rule, lookup, priced_ids};
pub use rate::{Bracket, Name, Part, Piece, Rate, TokenRates};

use super::usage::{ServiceTier, Usage};
use crate::units::{PicoUsd, Tokens};

/// What an answer cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cost {
    /// Exactly this.
    Known(Bill),
    /// Cannot be told.
    Unknown(Unpriced),
}

/// An exact cost, by part. The parts add up to the total.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bill {
    /// All parts.
    pub total: PicoUsd,
    /// Input tokens outside the cache.
    pub input: PicoUsd,
    /// Output tokens.
    pub output: PicoUsd,
    /// Tokens read from the cache.
    pub cache_read: PicoUsd,
    /// Tokens written to the cache, however long.
    pub cache_write: PicoUsd,
    /// Images, seconds, queries.
    pub pieces: PicoUsd,
    /// The long-context prices applied.
    pub is_long: bool,
    /// Cache writes of unknown lifetime were charged as five minutes'.
    pub assumes_5m: bool,
}

/// Why an answer's cost is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unpriced {
    /// These tokens have a price, but their number is not known.
    NoCount(Part),
    /// These pieces have a price, but their number is not known.
    NoPieceCount(Piece),
    /// These tokens were used, but have no price.
    NoPrice(Part),
    /// These pieces were used, but have no price.
    NoPiecePrice(Piece),
    /// The model has no prices under this service tier.
    NoTier(ServiceTier),
    /// The tier has no price for a context this long.
    NoLongTier(ServiceTier),
    /// Above $18.4 M.
    TooLarge,
}

/// What `usage` costs at `rate`.
#[must_use]
pub fn price(usage: &Usage, rate: &Rate) -> Cost {
    bill(usage, rate).map_or_else(Cost::Unknown, Cost::Known)
}

fn bill(usage: &Usage, rate: &Rate) -> Result<Bill, Unpriced> {
    if rate.is_empty() {
        return Err(Unpriced::NoPrice(Part::Input));
    }
    let (rates, is_long) = rates(usage, rate)?;
    let by_piece = Piece::ALL.into_iter().any(|piece| rate.piece(piece).is_some());
    let must = |count: Option<Tokens>, part| match (count, rates.of(part)) {
        (Some(Tokens(0)), _) | (None, None | Some(PicoUsd(0))) => Ok(PicoUsd(0)),
        (Some(_), None) if by_piece => Ok(PicoUsd(0)),
        (None, Some(_)) => Err(Unpriced::NoCount(part)),
        (Some(_), None) => Err(Unpriced::NoPrice(part)),
        (Some(tokens), Some(price)) => price.times(tokens.0).ok_or(Unpriced::TooLarge),
    };
    let may = |count: Option<Tokens>, part| must(Some(count.unwrap_or_default()), part);
    let plus = |one: PicoUsd, other: PicoUsd| one.plus(other).ok_or(Unpriced::TooLarge);

    let mut bill = Bill { is_long, ..Bill::default() };
    bill.input = must(usage.input, Part::Input)?;
    bill.output = must(usage.output, Part::Output)?;
    bill.cache_read = may(usage.cache_read, Part::CacheRead)?;
    bill.cache_write = plus(
        plus(
            may(usage.cache_write_5m, Part::CacheWrite5m)?,
            may(usage.cache_write_1h, Part::CacheWrite1h)?,
        )?,
        may(usage.cache_write_unsplit, Part::CacheWrite5m)?,
    )?;
    bill.assumes_5m = usage.cache_write_unsplit.is_some_and(|tokens| tokens.0 > 0);
    for piece in Piece::ALL {
        bill.pieces = plus(bill.pieces, pieces(usage, rate, piece)?)?;
    }
    let parts = [bill.input, bill.output, bill.cache_read, bill.cache_write, bill.pieces];
    bill.total = parts.into_iter().try_fold(PicoUsd(0), plus)?;
    Ok(bill)
}

/// The prices per token that apply, and whether they are those of a long context.
fn rates(usage: &Usage, rate: &Rate) -> Result<(TokenRates, bool), Unpriced> {
    let tier = usage.service_tier.unwrap_or_default();
    let standard = rate.bracket(ServiceTier::Standard).ok_or(Unpriced::NoTier(tier))?;
    let bracket = rate.bracket(tier).ok_or(Unpriced::NoTier(tier))?;
    let exceeded =
        |bracket: &Bracket| bracket.long.filter(|(above, _)| usage.input_total() > *above);
    match (exceeded(bracket), exceeded(standard)) {
        (Some((_, rates)), _) => Ok((rates, true)),
        (None, Some(_)) => Err(Unpriced::NoLongTier(tier)),
        (None, None) => Ok((bracket.base, false)),
    }
}

fn pieces(usage: &Usage, rate: &Rate, piece: Piece) -> Result<PicoUsd, Unpriced> {
    let count = match piece {
        Piece::InputImage => usage.input_images,
        Piece::OutputImage => usage.images,
        Piece::VideoSecond => usage.video_seconds,
        Piece::AudioSecond => usage.audio_seconds,
        Piece::Query => usage.search_queries,
    };
    match (count, rate.piece(piece)) {
        (Some(0), _) | (None, None | Some(PicoUsd(0))) => Ok(PicoUsd(0)),
        (None, Some(_)) => Err(Unpriced::NoPieceCount(piece)),
        (Some(_), None) => Err(Unpriced::NoPiecePrice(piece)),
        (Some(count), Some(price)) => price.times(count).ok_or(Unpriced::TooLarge),
    }
}
