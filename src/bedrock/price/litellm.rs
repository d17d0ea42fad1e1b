//! A price map in LiteLLM's own format: `{"id": {"litellm_provider": "bedrock", "input_cost_per_token":
//! 3e-06, …}, …}`. An operator's file of it goes over our table, entry by entry.
//!
//! Other providers' entries are passed over, as are fields that price nothing that Bedrock's runtime
//! answers. A price is read from its digits as they stand in the file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::decimal::{NotAPrice, usd};
use super::rate::{Name, Rate};

/// Entries by key: id or `REGION/id`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriceMap(BTreeMap<String, Rate>);

/// Why a price map cannot be used.
#[derive(Debug, Eq, PartialEq)]
pub enum MapError {
    /// The file is no JSON object; what serde_json says.
    NotJson(String),
    /// This entry is no object; what serde_json says.
    Entry {
        /// The entry's key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// This field of an entry is no price.
    Price {
        /// The entry's key.
        key: String,
        /// The field.
        field: String,
        /// What is wrong.
        problem: NotAPrice,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(problem) => write!(out, "is no price map: {problem}"),
            Self::Entry { key, problem } => write!(out, "`{key}`: {problem}"),
            Self::Price { key, field, problem } => write!(out, "`{key}`: `{field}` {problem}"),
        }
    }
}

impl PriceMap {
    /// Reads a whole map.
    ///
    /// # Errors
    /// If it is no such map, or a Bedrock entry's price is none; with the key.
    pub fn from_litellm_json(text: &str) -> Result<Self, MapError> {
        let entries: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| MapError::NotJson(error.to_string()))?;
        let mut rates = BTreeMap::new();
        for (key, entry) in entries {
            let fields: BTreeMap<String, &RawValue> =
                serde_json::from_str(entry.get()).map_err(|error| MapError::Entry {
                    key: key.clone(),
                    problem: error.to_string(),
                })?;
            if !is_bedrock(&fields) {
                continue;
            }
            let rate = rate(&key, &fields)?;
            if !rate.is_empty() {
                rates.insert(key.strip_prefix("bedrock/").unwrap_or(&key).to_owned(), rate);
            }
        }
        Ok(Self(rates))
    }

    /// The entry `key`.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Rate> {
        self.0.get(key).copied()
    }

    /// The models and profiles among the entries, by their ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|key| !key.contains('/'))
    }

    /// How many entries have a price.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether Bedrock's runtime serves the entry; one that names no provider is the operator's own.
fn is_bedrock(fields: &BTreeMap<String, &RawValue>) -> bool {
    let provider = fields.get("litellm_provider").map(|provider| provider.get());
    matches!(provider, None | Some("\"bedrock\"" | "\"bedrock_converse\"" | "null"))
}

fn rate(key: &str, fields: &BTreeMap<String, &RawValue>) -> Result<Rate, MapError> {
    let mut rate = Rate::default();
    for (field, value) in fields {
        let Some(name) = Name::from_litellm(field).filter(|_| value.get() != "null") else {
            continue;
        };
        let price = usd(value.get().trim_matches('"'));
        let price = price.map_err(|problem| MapError::Price {
            key: key.to_owned(),
            field: field.clone(),
            problem,
        })?;
        rate.set(name, price);
    }
    Ok(rate)
}

/// Any bytes as a price map: no panic, and what is taken is what serde_json's floats say, to their precision.
#[cfg(any(test, fuzzing))]
pub fn fuzz_litellm(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(map) = PriceMap::from_litellm_json(text) else { return };
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        // Numbers beyond f64's range are no prices of an entry that counts.
        Err(_) => return,
    };
    for (key, entry) in value.as_object().expect("it was taken as a map") {
        let Some(rate) = map.find(key) else { continue };
        let prices = rate.prices();
        for (field, number) in entry.as_object().expect("taken as an object") {
            let (Some(name), Some(number)) = (Name::from_litellm(field), number.as_f64()) else {
                continue;
            };
            let Some((_, price)) = prices.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "compared to a float's precision")]
            let (ours, theirs) = (price.0 as f64, number * 1e12);
            assert!(
                (ours - theirs).abs() <= theirs * 1e-12 + 1e-6,
                "{key}.{field}: {ours}, {theirs}"
            );
        }
    }
}
