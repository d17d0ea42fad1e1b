//! `outcrop prices`: what a model's tokens would cost, and by which rule.
//!
//! Of a model id, profile id or ARN; with a configuration also of a `model_name`, deployment by deployment,
//! as the proxy that it starts would charge.

use std::fmt::Write as _;

use super::config::{Deployment, Settings};
use crate::bedrock::price::{Overrides, Question, explain};

/// The region of a model whose region nobody says.
const REGION_DEFAULT: &str = "us-east-1";

/// What was found, as text for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Ends with a line's end.
    pub text: String,
    /// Nothing that was asked for is without a price.
    pub is_known: bool,
}

/// Looks `model` up: a `model_name` of `settings`, of which `region` picks deployments, else an id or ARN.
#[must_use]
pub fn run(settings: Option<&Settings>, model: &str, region: Option<&str>) -> Answer {
    let map = settings.and_then(|settings| settings.price_map.as_ref());
    let group: Vec<&Deployment> = settings
        .into_iter()
        .flat_map(|settings| &settings.deployments)
        .filter(|deployment| deployment.model_name == model)
        .collect();
    if group.is_empty() {
        let overrides = Overrides::default();
        let region = region.unwrap_or(REGION_DEFAULT);
        let question = Question { model, region, base_model: None, overrides: &overrides, map };
        let told = explain(&question);
        return Answer { text: told.to_string(), is_known: told.priced.is_ok() };
    }
    let mut answer = Answer { text: String::new(), is_known: true };
    let asked = |deployment: &&Deployment| region.is_none_or(|region| deployment.region == region);
    for deployment in group.into_iter().filter(asked) {
        let Deployment { id, region, bedrock_model_id, .. } = deployment;
        let told = explain(&deployment.price_question(map));
        answer.is_known &= told.priced.is_ok();
        write!(answer.text, "deployment {id}: {bedrock_model_id} in {region}\n{told}")
            .expect("a String takes all");
    }
    if answer.text.is_empty() {
        return Answer { text: format!("{model} has no deployment there\n"), is_known: false };
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::config::{self, Environment};

    const CONFIG: &str = "\
model_list:
  - model_name: haiku
    litellm_params:
      model: bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: AKIAIOSFODNN7EXAMPLE
      aws_secret_access_key: x
      input_cost_per_token: 9e-07
    model_info:
      id: own
  - model_name: haiku
    litellm_params:
      model: bedrock/arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2
      aws_region_name: eu-west-1
      aws_access_key_id: AKIAIOSFODNN7EXAMPLE
      aws_secret_access_key: x
    model_info:
      id: based
      base_model: eu.anthropic.claude-haiku-4-5-20251001-v1:0
general_settings:
  master_key: sk-prices-5b2f7c90d1e84a36
";

    #[track_caller]
    fn check(answer: &Answer, is_known: bool, parts: &[&str]) {
        assert_eq!(answer.is_known, is_known, "{}", answer.text);
        parts
            .iter()
            .for_each(|part| assert!(answer.text.contains(part), "{part}: {}", answer.text));
    }

    #[test]
    fn a_groups_deployments_are_told_one_by_one() {
        let path = std::path::Path::new("/c/config.yaml");
        let read = |_: &std::path::Path| Ok(CONFIG.as_bytes().to_vec());
        let loaded = config::load_by(path, &Environment::from_pairs([("A", "b")]), &read);
        let settings = loaded.expect("no errors").settings;
        let all = run(Some(&settings), "haiku", None);
        let own = "deployment own: us.anthropic.claude-haiku-4-5-20251001-v1:0 in us-east-1\n\
                   rule: the deployment's own prices, over `us.anthropic.claude";
        let based = "rule: `eu.anthropic.claude-haiku-4-5-20251001-v1:0` of the built-in table, by base_model";
        check(&all, true, &[own, "0.9 USD per 1,000,000 tokens (the deployment's own)", based]);
        let one = run(Some(&settings), "haiku", Some("eu-west-1"));
        check(&one, true, &[based]);
        assert!(!one.text.contains("deployment own"), "{}", one.text);
        check(&run(Some(&settings), "haiku", Some("sa-east-1")), false, &["no deployment there"]);
    }

    #[test]
    fn an_id_needs_no_configuration() {
        let llama = "meta.llama3-8b-instruct-v1:0";
        check(&run(None, llama, None), true, &["rule: `us-east-1/meta.llama3-8b-instruct-v1:0`"]);
        check(&run(None, llama, Some("ap-south-1")), true, &["rule: `ap-south-1/meta", "0.36 USD"]);
        check(&run(None, "no.such", None), false, &["price unknown"]);
    }
}
