//! What one model costs, by kind of token, context length, service tier and piece.

use crate::bedrock::usage::ServiceTier;
use crate::units::{PicoUsd, Tokens};

/// Kinds of tokens that have a price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Part {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
}

impl Part {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 5] =
        [Self::Input, Self::Output, Self::CacheRead, Self::CacheWrite5m, Self::CacheWrite1h];

    /// Its name in our table.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"][self as usize]
    }

    /// Its field in LiteLLM's price map.
    fn litellm(self) -> &'static str {
        [
            "input_cost_per_token",
            "output_cost_per_token",
            "cache_read_input_token_cost",
            "cache_creation_input_token_cost",
            "cache_creation_input_token_cost_above_1hr",
        ][self as usize]
    }
}

/// Pieces other than tokens that have a price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Piece {
    InputImage,
    OutputImage,
    VideoSecond,
    AudioSecond,
    Query,
}

impl Piece {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 5] =
        [Self::InputImage, Self::OutputImage, Self::VideoSecond, Self::AudioSecond, Self::Query];

    /// Its name in our table.
    #[must_use]
    pub fn name(self) -> &'static str {
        [
            "usd_per_input_image",
            "usd_per_output_image",
            "usd_per_input_video_second",
            "usd_per_input_audio_second",
            "usd_per_query",
        ][self as usize]
    }

    /// Its field in LiteLLM's price map.
    fn litellm(self) -> &'static str {
        [
            "input_cost_per_image",
            "output_cost_per_image",
            "input_cost_per_video_per_second",
            "input_cost_per_audio_per_second",
            "input_cost_per_query",
        ][self as usize]
    }
}

/// One price of a [`Rate`], by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name {
    /// Per token.
    Token {
        /// Served how.
        tier: ServiceTier,
        /// For requests with more input tokens than these only.
        above: Option<Tokens>,
        /// Of this kind.
        part: Part,
    },
    /// Per piece.
    Piece(Piece),
}

/// Suffixes of LiteLLM's fields for service tiers.
const TIER_SUFFIXES: [(&str, ServiceTier); 4] = [
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
    ("_ultrafast", ServiceTier::Ultrafast),
    ("_batches", ServiceTier::Batch),
];

impl Name {
    /// From a field of LiteLLM's price map, such as `input_cost_per_token_above_200k_tokens_flex`.
    /// `None`: no field that prices what Bedrock serves.
    #[must_use]
    pub fn from_litellm(field: &str) -> Option<Self> {
        if let Some(piece) = Piece::ALL.into_iter().find(|piece| piece.litellm() == field) {
            return Some(Self::Piece(piece));
        }
        let suffix = TIER_SUFFIXES
            .iter()
            .find_map(|(suffix, tier)| Some((field.strip_suffix(suffix)?, *tier)));
        let (field, tier) = suffix.unwrap_or((field, ServiceTier::Standard));
        let (field, above) =
            match field.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_")) {
                Some((field, thousands)) => {
                    (field, Some(Tokens(u64::from(thousands.parse::<u32>().ok()?) * 1000)))
                }
                None => (field, None),
            };
        let part = Part::ALL.into_iter().find(|part| part.litellm() == field)?;
        Some(Self::Token { tier, above, part })
    }

    /// The field of LiteLLM's price map that [`Self::from_litellm`] takes for this.
    #[must_use]
    pub fn litellm(self) -> String {
        match self {
            Self::Piece(piece) => piece.litellm().to_owned(),
            Self::Token { tier, above, part } => {
                let mut field = part.litellm().to_owned();
                if let Some(Tokens(above)) = above {
                    field += &format!("_above_{}k_tokens", above / 1000);
                }
                let suffix = TIER_SUFFIXES.iter().find(|(_, known)| *known == tier);
                field + suffix.map_or("", |(suffix, _)| suffix)
            }
        }
    }
}

/// Prices per token, by [`Part`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TokenRates([Option<PicoUsd>; Part::ALL.len()]);

impl TokenRates {
    /// The price of one token; `None` if nobody published it.
    #[must_use]
    pub fn of(&self, part: Part) -> Option<PicoUsd> {
        self.0[part as usize]
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// Prices per token under one service tier.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bracket {
    /// Up to the threshold.
    pub base: TokenRates,
    /// Above these input tokens in all, every token of the request has these prices.
    pub long: Option<(Tokens, TokenRates)>,
}

/// Tiers that may have prices of their own.
const TIERS: [ServiceTier; 5] = [
    ServiceTier::Standard,
    ServiceTier::Flex,
    ServiceTier::Priority,
    ServiceTier::Ultrafast,
    ServiceTier::Batch,
];

/// What one model costs. About 1 KB; a deployment keeps one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    brackets: [Bracket; TIERS.len()],
    pieces: [Option<PicoUsd>; Piece::ALL.len()],
}

impl Rate {
    /// The prices under `tier`; `None` if nobody published any.
    #[must_use]
    pub fn bracket(&self, tier: ServiceTier) -> Option<&Bracket> {
        let bracket = &self.brackets[TIERS.iter().position(|known| *known == tier)?];
        let is_there =
            tier == ServiceTier::Standard || !bracket.base.is_empty() || bracket.long.is_some();
        is_there.then_some(bracket)
    }

    /// Whether a service tier besides the standard one has prices.
    #[must_use]
    pub fn has_tiers(&self) -> bool {
        TIERS.iter().any(|tier| *tier != ServiceTier::Standard && self.bracket(*tier).is_some())
    }

    /// The price of one piece.
    #[must_use]
    pub fn piece(&self, piece: Piece) -> Option<PicoUsd> {
        self.pieces[piece as usize]
    }

    /// Whether nothing has a price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets one price. A long-context price above another threshold than before voids those before.
    pub fn set(&mut self, name: Name, price: PicoUsd) {
        match name {
            Name::Piece(piece) => self.pieces[piece as usize] = Some(price),
            Name::Token { tier, above, part } => {
                let at = TIERS.iter().position(|known| *known == tier);
                let Some(bracket) = at.map(|at| &mut self.brackets[at]) else { return };
                let rates = match (above, &mut bracket.long) {
                    (None, _) => &mut bracket.base,
                    (Some(above), Some((before, rates))) if *before == above => rates,
                    (Some(above), long) => &mut long.insert((above, TokenRates::default())).1,
                };
                rates.0[part as usize] = Some(price);
            }
        }
    }

    /// Every price, named.
    pub fn prices(&self) -> Vec<(Name, PicoUsd)> {
        let mut all = Vec::new();
        for (tier, bracket) in TIERS.into_iter().zip(&self.brackets) {
            let long = bracket.long.map(|(above, rates)| (Some(above), rates));
            for (above, rates) in [(None, bracket.base)].into_iter().chain(long) {
                all.extend(
                    Part::ALL.into_iter().filter_map(|part| {
                        Some((Name::Token { tier, above, part }, rates.of(part)?))
                    }),
                );
            }
        }
        let pieces = Piece::ALL.into_iter();
        all.extend(pieces.filter_map(|piece| Some((Name::Piece(piece), self.piece(piece)?))));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellms_fields_have_a_meaning() {
        let token = |tier, above: Option<u64>, part| {
            Some(Name::Token { tier, above: above.map(Tokens), part })
        };
        let check =
            |field: &str, expected| assert_eq!(Name::from_litellm(field), expected, "{field}");
        use ServiceTier::{Batch, Flex, Standard};
        check("input_cost_per_token", token(Standard, None, Part::Input));
        check("output_cost_per_token_batches", token(Batch, None, Part::Output));
        check(
            "cache_read_input_token_cost_above_200k_tokens",
            token(Standard, Some(200_000), Part::CacheRead),
        );
        check(
            "input_cost_per_token_above_272k_tokens_flex",
            token(Flex, Some(272_000), Part::Input),
        );
        check(
            "cache_creation_input_token_cost_above_1hr",
            token(Standard, None, Part::CacheWrite1h),
        );
        check(
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
            token(Standard, Some(200_000), Part::CacheWrite1h),
        );
        check("output_cost_per_image", Some(Name::Piece(Piece::OutputImage)));
        check("input_cost_per_query", Some(Name::Piece(Piece::Query)));
        for field in [
            "",
            "mode",
            "max_tokens",
            "input_cost_per_token_above_k_tokens",
            "input_cost_per_token_x",
        ] {
            check(field, None);
        }
    }
}
