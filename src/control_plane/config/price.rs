//! What a deployment's tokens cost: its own prices, its `base_model`, the operator's price map, our table.

use super::document::Content;
use super::document::Node;
use super::include::ReadFile;
use super::problem::Problems;
use crate::bedrock::price::{NoRate, Overrides, PriceMap, Priced, Question, lookup};

/// `outcrop.prices`: a price map in LiteLLM's format, its path relative to the file that names it.
pub(super) fn map(
    root: &Node,
    read_file: ReadFile<'_>,
    problems: &mut Problems,
) -> Option<PriceMap> {
    let node = root.get("outcrop")?.get("prices")?;
    let name = node.line_of_text(problems)?;
    let path =
        node.place.file.parent().map_or_else(|| name.clone().into(), |folder| folder.join(&name));
    let text = read_file(&path).map_err(|error| error.to_string());
    let text =
        text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned()));
    match text
        .and_then(|text| PriceMap::from_litellm_json(&text).map_err(|error| error.to_string()))
    {
        Ok(map) => Some(map),
        Err(error) => {
            problems.error(&node.place, format!("cannot be used: {}: {error}", path.display()));
            None
        }
    }
}

/// Whose price is wanted.
pub(super) struct Asked<'a> {
    /// What AWS is asked for.
    pub(super) model: &'a str,
    /// What `model` says where `model_id` says something else.
    pub(super) named: Option<&'a str>,
    pub(super) region: &'a str,
}

/// What one entry says of its price, and what comes of that.
pub(super) struct Chosen {
    pub(super) price: Result<Priced, NoRate>,
    pub(super) own_prices: Overrides,
    pub(super) base_model: Option<String>,
}

/// The price of one entry. Warns where nobody but the operator can know it.
pub(super) fn choose(
    (params, info): (&Node, Option<&Node>),
    asked: &Asked<'_>,
    map: Option<&PriceMap>,
    problems: &mut Problems,
) -> Chosen {
    let mut overrides = Overrides::default();
    // `model_info` is read last, and wins: LiteLLM merges it over the map's entry.
    for node in [Some(params), info].into_iter().flatten() {
        for (key, value) in node.entries() {
            let (Content::Number(_, text) | Content::Text(text)) = &value.content else { continue };
            if let Err(error) = overrides.set(key, text) {
                problems.error(&value.place, error.to_string());
            }
        }
    }
    let base_model = info.and_then(|info| info.get("base_model"));
    let base_model = base_model.and_then(|node| node.line_of_text(problems));
    let is_based = base_model.is_some();
    let base_model = base_model.or_else(|| asked.named.map(str::to_owned));
    let question = Question {
        model: asked.model,
        region: asked.region,
        base_model: base_model.as_deref(),
        overrides: &overrides,
        map,
    };
    let priced = lookup(&question);
    let is_worth_a_word = match &priced {
        Ok(_) | Err(NoRate::NotListed) => false,
        Err(NoRate::BaseModelNotListed) => is_based,
        Err(_) => true,
    };
    if let (true, Err(reason)) = (is_worth_a_word, &priced) {
        problems.warning(&params.place, format!("its cost cannot be told: {reason}"));
    }
    Chosen { price: priced, own_prices: overrides, base_model }
}
