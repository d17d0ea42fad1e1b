//! Which price applies to a deployment. Asked at start and at reload, never per request.
//!
//! ```text
//! 1. the deployment's own prices      input_cost_per_token, …: field by field, over what follows
//! 2. base_model                       then, for it or else for the model itself:
//! 3.   REGION/id                      a price of one region
//! 4.   id of a cross-region profile   us., eu., apac., global., …
//! 5.   REGION/id, id                  of the model behind it
//! ```
//!
//! Each key is looked for in the operator's price map first, then in ours. The ARN of a foundation model
//! or a system-defined profile is its id; what stands behind other ARNs, AWS alone knows.

use std::fmt;

use super::decimal::{NotAPrice, usd};
use super::litellm::PriceMap;
use super::rate::{Name, Rate};
use super::table;
use crate::bedrock::model;

/// Prices that a deployment brings along, under LiteLLM's names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides(Vec<(Name, crate::units::PicoUsd)>);

impl Overrides {
    /// Takes one key of `litellm_params` or `model_info`; `text` is its value's decimal text. Whether
    /// the key is a price's.
    ///
    /// # Errors
    /// If it is, and the text is none.
    pub fn set(&mut self, key: &str, text: &str) -> Result<bool, NotAPrice> {
        let Some(name) = Name::from_litellm(key) else { return Ok(false) };
        let price = usd(text)?;
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, price));
        Ok(true)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this price is among them.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}

/// Whose price is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Model id, profile id or ARN; LiteLLM's `bedrock/REGION/` may stand in front.
    pub model: &'a str,
    /// The region that requests go to.
    pub region: &'a str,
    /// `model_info.base_model`.
    pub base_model: Option<&'a str>,
    /// The deployment's own prices.
    pub overrides: &'a Overrides,
    /// The operator's price map.
    pub map: Option<&'a PriceMap>,
}

/// Where a price came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The entry; `None` if the deployment's own prices are all there is.
    pub key: Option<String>,
    /// The entry is the operator's.
    pub is_from_map: bool,
    /// `base_model` led to it.
    pub is_base_model: bool,
    /// The deployment's own prices stand over it.
    pub is_overridden: bool,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(key) = &self.key else { return out.write_str("the deployment's own prices") };
        if self.is_overridden {
            out.write_str("the deployment's own prices, over ")?;
        }
        let list = if self.is_from_map { "the price map" } else { "the built-in table" };
        write!(out, "`{key}` of {list}")?;
        if self.is_base_model { out.write_str(", by base_model") } else { Ok(()) }
    }
}

/// A price and where it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Priced {
    /// The price.
    pub rate: Rate,
    /// Where it came from.
    pub rule: Rule,
}

/// Why there is no price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRate {
    /// An application inference profile: AWS alone knows its model.
    ApplicationProfile,
    /// Provisioned throughput: paid by the hour.
    Provisioned,
    /// A custom model or its deployment.
    Custom,
    /// An imported model: paid by the minute.
    Imported,
    /// A prompt router: each request may go to another model.
    PromptRouter,
    /// An ARN of another kind.
    OtherArn,
    /// No entry has this id.
    NotListed,
    /// No entry has the id that `base_model` names, nor the model's own.
    BaseModelNotListed,
}

impl fmt::Display for NoRate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ApplicationProfile => {
                "an application inference profile does not say its model: set model_info.base_model"
            }
            Self::Provisioned => {
                "provisioned throughput is paid by the hour: set base_model or own prices"
            }
            Self::Custom => "a custom model has no list price: set base_model or own prices",
            Self::Imported => {
                "an imported model has no price per token: set base_model or own prices"
            }
            Self::PromptRouter => "a prompt router does not say its model: set base_model",
            Self::OtherArn => "this ARN does not say its model: set model_info.base_model",
            Self::NotListed => "no price is listed: set own prices, or outcrop.prices",
            Self::BaseModelNotListed => "no price is listed for base_model: name a listed id",
        })
    }
}

/// The ids of all models and profiles that have a price by themselves, each once.
#[must_use]
pub fn priced_ids(map: Option<&PriceMap>) -> Vec<&str> {
    let mut ids: Vec<&str> = table::ids().collect();
    ids.extend(map.into_iter().flat_map(|map| map.ids()));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The price that applies.
///
/// # Errors
/// Why there is none.
pub fn lookup(question: &Question<'_>) -> Result<Priced, NoRate> {
    let (found, _) = search(question);
    let is_overridden = !question.overrides.is_empty();
    let (mut rate, key, is_from_map, is_base_model) = match found {
        Ok(found) => (found.rate, Some(found.key), found.is_from_map, found.is_base_model),
        Err(reason) if !is_overridden => return Err(reason),
        Err(_) => (Rate::default(), None, false, false),
    };
    for (name, price) in &question.overrides.0 {
        rate.set(*name, *price);
    }
    Ok(Priced { rate, rule: Rule { key, is_from_map, is_base_model, is_overridden } })
}

pub(super) struct Found {
    rate: Rate,
    key: String,
    is_from_map: bool,
    is_base_model: bool,
}

/// The entry that applies, and the keys that were tried before it was found.
pub(super) fn search(question: &Question<'_>) -> (Result<Found, NoRate>, Vec<String>) {
    let mut tried = Vec::new();
    let mut reason = NoRate::NotListed;
    let models = question.base_model.map(|base| (base, true)).into_iter();
    for (model, is_base_model) in models.chain([(question.model, false)]) {
        let keys = match keys(model, question.region) {
            Ok(keys) => keys,
            Err(other) => {
                reason = other;
                continue;
            }
        };
        for key in keys {
            let ours = || Some((table::find(&key)?, false));
            let theirs = question.map.and_then(|map| Some((map.find(&key)?, true)));
            if let Some((rate, is_from_map)) = theirs.or_else(ours) {
                return (Ok(Found { rate, key, is_from_map, is_base_model }), tried);
            }
            tried.push(key);
        }
    }
    if question.base_model.is_some() {
        reason = NoRate::BaseModelNotListed;
    }
    (Err(reason), tried)
}

/// The keys to try for a model, best first.
fn keys(text: &str, region: &str) -> Result<Vec<String>, NoRate> {
    let model = model::parse(text).map_err(|_| NoRate::NotListed)?;
    let region = model.region.or_else(|| model::arn_region(model.id)).unwrap_or(region);
    let id = if model::is_arn(model.id) { id_in_arn(model.id)? } else { model.id };
    let regional = |id: &str| format!("{region}/{id}");
    let mut keys = vec![regional(id), id.to_owned()];
    if let Some(bare) = model::without_area(id) {
        keys.extend([regional(bare), bare.to_owned()]);
    }
    Ok(keys)
}

/// The id that an ARN names, if it names one.
fn id_in_arn(arn: &str) -> Result<&str, NoRate> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let (kind, id) = resource.split_once('/').unwrap_or((resource, ""));
    match kind {
        "foundation-model" | "inference-profile" if !id.is_empty() => Ok(id),
        "application-inference-profile" => Err(NoRate::ApplicationProfile),
        "provisioned-model" => Err(NoRate::Provisioned),
        "custom-model" | "custom-model-deployment" => Err(NoRate::Custom),
        "imported-model" => Err(NoRate::Imported),
        "prompt-router" | "default-prompt-router" => Err(NoRate::PromptRouter),
        _ => Err(NoRate::OtherArn),
    }
}
