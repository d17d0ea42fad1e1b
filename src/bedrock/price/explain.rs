//! What would be charged, and by which rule: for `outcrop prices MODEL`.

use std::fmt;

use super::lookup::{NoRate, Priced, Question, lookup, search};
use super::rate::Name;
use crate::bedrock::usage::ServiceTier;
use crate::units::PicoUsd;

/// A look-up with the way it took. Its text is for people; its fields for `--json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The price and its rule, or why there is none.
    pub priced: Result<Priced, NoRate>,
    /// Keys that no list has, in the order of trying.
    pub tried: Vec<String>,
    /// Every price.
    pub rows: Vec<Row>,
}

/// One price, told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// `input`, `flex output`, `cache_read above 200000`, `usd_per_query`.
    pub name: String,
    /// Dollars per million tokens, or per piece.
    pub usd: PicoUsd,
    /// Whether it is per million tokens.
    pub per_million: bool,
    /// It is the deployment's own.
    pub is_overridden: bool,
}

/// Looks a price up and tells how.
#[must_use]
pub fn explain(question: &Question<'_>) -> Explanation {
    let (_, tried) = search(question);
    let priced = lookup(question);
    let prices = priced.as_ref().map(|priced| priced.rate.prices()).unwrap_or_default();
    let rows = prices.into_iter().map(|(name, price)| {
        let per_million = matches!(name, Name::Token { .. });
        // Above $18.4 per token there is no sum per million to show: it saturates.
        let usd =
            if per_million { price.times(1_000_000).unwrap_or(PicoUsd(u64::MAX)) } else { price };
        Row { name: label(name), usd, per_million, is_overridden: question.overrides.has(name) }
    });
    Explanation { rows: rows.collect(), priced, tried }
}

fn label(name: Name) -> String {
    match name {
        Name::Piece(piece) => piece.name().to_owned(),
        Name::Token { tier, above, part } => {
            let tier = match tier {
                ServiceTier::Standard => String::new(),
                tier => format!("{} ", tier.word()),
            };
            let above = above.map(|tokens| format!(" above {}", tokens.0)).unwrap_or_default();
            format!("{tier}{}{above}", part.name())
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.priced {
            Ok(priced) => writeln!(out, "rule: {}", priced.rule)?,
            Err(reason) => writeln!(out, "price unknown: {reason}")?,
        }
        for key in &self.tried {
            writeln!(out, "  not listed: {key}")?;
        }
        for row in &self.rows {
            let unit = if row.per_million { "USD per 1,000,000 tokens" } else { "USD each" };
            let own = if row.is_overridden { " (the deployment's own)" } else { "" };
            writeln!(out, "  {:<28} {:>12} {unit}{own}", row.name, row.usd)?;
        }
        Ok(())
    }
}
