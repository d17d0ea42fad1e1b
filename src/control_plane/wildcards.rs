//! Entries of the model list whose names hold a `*`: each model with a price that one stands for becomes a
//! deployment by itself, so that its cost and its name are known like any other's.
//!
//! What a client names beyond those (an ARN, a model of tomorrow) goes by the pattern, without a price.

use super::config::{self, Settings};
use crate::bedrock::price::{lookup, priced_ids};

/// A model that a wildcard stands for.
pub struct Meant {
    /// Its wildcard's entry, with this model's id and price.
    pub entry: config::Deployment,
    /// What clients call it.
    pub name: String,
}

/// The entries that are served: those of the model list, and that of `outcrop.unlisted_models`.
#[must_use]
pub fn entries(settings: &Settings) -> Vec<config::Deployment> {
    let unlisted = settings.passthrough.as_ref().filter(|it| it.takes_models).map(|passthrough| {
        let [runtime, ..] = &passthrough.endpoints;
        config::Deployment::of_any_model(
            (super::passthrough::id(0), "*"),
            (&passthrough.region, runtime.clone()),
            (passthrough.credential.clone(), passthrough.credential_source),
        )
    });
    // A wildcard of the operator's own for all that is not listed comes first.
    let is_any = |entry: &config::Deployment| bare(&entry.model_name) == "*";
    let unlisted = unlisted.filter(|_| !settings.deployments.iter().any(is_any));
    settings.deployments.iter().cloned().chain(unlisted).collect()
}

/// The models that the wildcards of `entries` stand for; those of the longest name come first.
#[must_use]
pub fn meant(entries: &[config::Deployment], settings: &Settings) -> Vec<Meant> {
    let map = settings.price_map.as_ref();
    let mut wildcards: Vec<_> = entries.iter().filter(|entry| entry.is_wildcard()).collect();
    wildcards.sort_by_key(|entry| std::cmp::Reverse(bare(&entry.model_name).len()));
    let ids = if wildcards.is_empty() { Vec::new() } else { priced_ids(map) };
    let mut meant = Vec::new();
    for entry in wildcards {
        let Some((before, after)) = entry.bedrock_model_id.split_once('*') else { continue };
        for id in &ids {
            let star = id.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            let Some(star) = star.filter(|star| !star.is_empty()) else { continue };
            let mut entry = entry.clone();
            entry.bedrock_model_id = (*id).to_owned();
            entry.price = lookup(&entry.price_question(map));
            let name = bare(&entry.model_name).replacen('*', star, 1);
            meant.push(Meant { entry, name });
        }
    }
    meant
}

/// Without the provider, which clients may leave out.
fn bare(name: &str) -> &str {
    name.strip_prefix("bedrock/").unwrap_or(name)
}
