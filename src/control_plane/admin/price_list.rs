//! Which price applies to a name: a group of the model list, or any id of Bedrock's.

use std::collections::{BTreeMap, BTreeSet};

use super::refusal::Refusal;
use crate::{
    bedrock::price::{NoRate, Overrides, PriceMap, Priced, Question, Rate, lookup},
    control_plane::config::Settings,
};

/// The region of an id whose region nobody says: that of AWS's list prices.
const REGION_DEFAULT: &str = "us-east-1";

/// Prices by `model_name`, and of everything else.
pub struct PriceList {
    groups: BTreeMap<String, Vec<Member>>,
    map: Option<PriceMap>,
}

/// One deployment.
struct Member {
    id: String,
    region: String,
    price: Result<Priced, NoRate>,
}

/// A price, and in words why it is this one.
#[derive(Debug)]
pub(super) struct Found {
    /// The price, or why there is none.
    pub(super) rate: Result<Rate, NoRate>,
    /// Empty if there is none.
    pub(super) rule: String,
}

impl PriceList {
    /// Of checked settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let mut groups: BTreeMap<String, Vec<Member>> = BTreeMap::new();
        for deployment in &settings.deployments {
            groups.entry(deployment.model_name.clone()).or_default().push(Member {
                id: deployment.id.clone(),
                region: deployment.region.clone(),
                price: deployment.price.clone(),
            });
        }
        Self { groups, map: settings.price_map.clone() }
    }

    /// The price of a `model_name`, else of an id or ARN. A group's is its first deployment's, of `region`
    /// if that is given; the rule says so if the others' differ.
    ///
    /// # Errors
    /// The group has nothing in that region.
    pub(super) fn find(&self, name: &str, region: Option<&str>) -> Result<Found, Refusal> {
        let Some(members) = self.groups.get(name) else {
            return Ok(self.of_id(name, region.unwrap_or(REGION_DEFAULT)));
        };
        let there: Vec<&Member> = members
            .iter()
            .filter(|member| region.is_none_or(|region| member.region == region))
            .collect();
        let Some(first) = there.first() else {
            let regions: BTreeSet<&str> = members.iter().map(|it| it.region.as_str()).collect();
            let regions = Vec::from_iter(regions).join(", ");
            return Err(Refusal::bad_request(format!(
                "No deployment of this model is in this region; region must be one of: {regions}."
            )));
        };
        let rate =
            |member: &Member| member.price.as_ref().map(|priced| priced.rate).map_err(|no| *no);
        let mut rule = first.price.as_ref().map_or_else(
            |_| String::new(),
            |priced| format!("deployment {} in {}: {}", first.id, first.region, priced.rule),
        );
        if there.iter().any(|other| rate(other) != rate(first)) {
            let count = there.len();
            rule += &format!(" (the first of {count} deployments, whose prices differ)");
        }
        Ok(Found { rate: rate(first), rule: rule.trim_start().to_owned() })
    }

    fn of_id(&self, model: &str, region: &str) -> Found {
        let overrides = Overrides::default();
        let map = self.map.as_ref();
        let priced =
            lookup(&Question { model, region, base_model: None, overrides: &overrides, map });
        let rule = priced.as_ref().map(|priced| format!("in {region}: {}", priced.rule));
        Found { rule: rule.unwrap_or_default(), rate: priced.map(|priced| priced.rate) }
    }
}
