//! How much an answer used: tokens by kind, images, queries; and which source is believed.
//!
//! ```text
//! InvokeModel             fields x-amzn-bedrock-*-token-count ─ billed ┐
//!                         body, per family ─────────────────── told ──┤
//! …WithResponseStream     amazon-bedrock-invocationMetrics ─── billed ┼─▶ settle ─▶ Usage
//!                         message_start, usage, … ──────────── told ──┤
//! Converse, ConverseStream  usage ──────────────────────────── told ──┤
//! OpenAI's operations     usage, in the last event of a stream  told ──┤
//! agents                  usage of each trace, summed ──────── told ──┤
//! ApplyGuardrail          usage, of the policies that cost ─── told ──┘
//! ```
//!
//! # The rule
//!
//! What AWS bills by comes first: its header fields, and the metrics that it adds to a stream. What the
//! model's own body told fills what is missing there. Where both speak of the same count and differ, the
//! billed one counts, [`Usage::told`] records what the body told, and nothing is averaged. Two
//! refinements: cache writes are split in 5 m and 1 h by the body alone, and the split is believed only if
//! it adds up to the total; and a billed input that equals told input + told cache reads, with no billed
//! cache reads beside it, is those two unsplit, so the told ones count.
//!
//! Input never includes cached tokens (guide §3.1); OpenAI's `prompt_tokens` do, and are lessened.
//! Unknown is `None`, distinct from 0, throughout. All sums saturate: an answer may lie, not overflow us.

mod body;
mod counts;
mod family;
mod fields;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
mod shape;
mod sse;
mod stream;
#[cfg(test)]
mod tests;

pub use body::BodyUsage;
pub use counts::Counts;
pub use family::Family;
pub use fields::FieldUsage;
pub use sse::SseUsage;
pub use stream::StreamUsage;

use crate::units::Tokens;

/// How a request was served, which has its price. Source: Bedrock's service tiers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ServiceTier {
    /// `default`, `standard`, or not named.
    #[default]
    Standard,
    /// `flex`: cheaper, slower.
    Flex,
    /// `priority`: dearer, first.
    Priority,
    /// `ultrafast`: in the price list for some models.
    Ultrafast,
    /// `batch`: no answer of the runtime has it; the price list does.
    Batch,
    /// `reserved`: paid by the hour, not by the token.
    Reserved,
    /// A word that this version does not know.
    Other,
}

impl ServiceTier {
    /// The words, each at its place in [`Self::BY_WORD`].
    pub(crate) const WORDS: &'static [&'static str] =
        &["default", "standard", "auto", "flex", "priority", "ultrafast", "batch", "reserved"];
    const BY_WORD: [Self; 8] = [
        Self::Standard,
        Self::Standard,
        Self::Standard,
        Self::Flex,
        Self::Priority,
        Self::Ultrafast,
        Self::Batch,
        Self::Reserved,
    ];

    /// From a word of AWS's, any case.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let at = Self::WORDS.iter().position(|known| known.eq_ignore_ascii_case(word));
        at.map_or(Self::Other, |at| Self::BY_WORD[at])
    }

    fn from_place(place: u64) -> Self {
        usize::try_from(place)
            .ok()
            .and_then(|at| Self::BY_WORD.get(at).copied())
            .unwrap_or(Self::Other)
    }

    /// A number that stays the same from release to release, below 127.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Of [`Self::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::Standard,
            Self::Flex,
            Self::Priority,
            Self::Ultrafast,
            Self::Batch,
            Self::Reserved,
            Self::Other,
        ];
        all.into_iter().find(|tier| *tier as u8 == code)
    }

    /// As AWS writes it; `other` for what this version does not know.
    #[must_use]
    pub fn word(self) -> &'static str {
        let at = Self::BY_WORD.iter().position(|tier| *tier == self);
        at.map_or("other", |at| Self::WORDS[at])
    }
}

/// Token counts that the body told, where they differ from what is billed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Without cache.
    pub input: Option<Tokens>,
    /// Generated.
    pub output: Option<Tokens>,
    /// Read from a cache.
    pub cache_read: Option<Tokens>,
    /// Written to a cache, 5 m and 1 h together.
    pub cache_write: Option<Tokens>,
}

/// What one answer used. `None`: not known, or not reported; never 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Input tokens, without those read from or written to a cache.
    pub input: Option<Tokens>,
    /// Output tokens.
    pub output: Option<Tokens>,
    /// Input tokens read from a cache.
    pub cache_read: Option<Tokens>,
    /// Input tokens written to a cache for five minutes.
    pub cache_write_5m: Option<Tokens>,
    /// Input tokens written to a cache for an hour.
    pub cache_write_1h: Option<Tokens>,
    /// Input tokens written to a cache, nobody said for how long. Excludes the two above.
    pub cache_write_unsplit: Option<Tokens>,
    /// Images in the answer.
    pub images: Option<u64>,
    /// Images in the request. No answer says; for a caller that knows.
    pub input_images: Option<u64>,
    /// Seconds of video in the request. No answer says; for a caller that knows.
    pub video_seconds: Option<u64>,
    /// Seconds of audio in the request. No answer says; for a caller that knows.
    pub audio_seconds: Option<u64>,
    /// Search units of a rerank: at least one, one more per 100 results. More documents than results
    /// (`top_n`) do not show in the answer.
    pub search_queries: Option<u64>,
    /// Units of a guardrail's policies, of text and of images, those that cost nothing left out.
    pub guardrail_units: Option<u64>,
    /// `None`: the answer names none, which is AWS's default.
    pub service_tier: Option<ServiceTier>,
    /// What the body told, if it differs from what is billed.
    pub told: Option<Told>,
    /// The answer ended before its last word on usage: counts are what was said up to there.
    pub partial: bool,
}

impl Usage {
    /// Whether two sources differed.
    #[must_use]
    pub fn disagrees(&self) -> bool {
        self.told.is_some()
    }

    /// Whether nothing at all was told of what was used.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let counted = Self { service_tier: None, partial: false, ..*self };
        counted == Self::default()
    }

    /// LiteLLM's `prompt_tokens`: input, cache reads and cache writes, as far as they are known.
    #[must_use]
    pub fn prompt(&self) -> Option<Tokens> {
        let parts = [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.cache_write_unsplit,
        ];
        parts.iter().any(Option::is_some).then(|| self.input_total())
    }

    /// Prompt and output, as far as they are known.
    #[must_use]
    pub fn total(&self) -> Option<Tokens> {
        let parts = [self.prompt(), self.output];
        let known = parts.into_iter().flatten();
        known.reduce(|one, other| Tokens(one.0.saturating_add(other.0)))
    }

    /// All that went in: input, cache reads and cache writes. Decides on long-context prices.
    #[must_use]
    pub fn input_total(&self) -> Tokens {
        let parts = [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.cache_write_unsplit,
        ];
        Tokens(parts.iter().flatten().fold(0, |sum, part| part.0.saturating_add(sum)))
    }
}
