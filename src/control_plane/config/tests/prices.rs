//! What a deployment costs, and by which rule.

use super::*;

const MAP: &str = r#"{"a.listed": {"input_cost_per_token": 5e-06, "litellm_provider": "bedrock"}}"#;

/// The rule of a deployment with these `litellm_params` and this `model_info`, or why there is none.
fn rule(params: &str, info: &str, warnings: &[&str]) -> String {
    let yaml = format!(
        "model_list:\n- model_name: m\n  litellm_params: {{aws_region_name: us-east-1, {params}}}\n  \
         model_info: {{{info}}}\noutcrop: {{prices: map.json}}\n"
    );
    let loaded = load_files(&[("c.yaml", &yaml), ("map.json", MAP)], &KEYS)
        .unwrap_or_else(|problems| panic!("{yaml}\n{}", rendered(&problems)));
    let found: Vec<_> = loaded.warnings.iter().map(Problem::to_string).collect();
    assert_eq!(found.len(), warnings.len(), "{found:?}");
    assert!(found.iter().zip(warnings).all(|(one, part)| one.contains(part)), "{found:?}");
    match &loaded.settings.deployments[0].price {
        Ok(priced) => priced.rule.to_string(),
        Err(reason) => reason.to_string(),
    }
}

#[test]
fn the_order_of_prices() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2";
    let nova = "`amazon.nova-lite-v1:0` of the built-in table";
    assert_eq!(rule("model: 'bedrock/amazon.nova-lite-v1:0'", "", &[]), nova);
    assert_eq!(rule("model: bedrock/a.listed", "", &[]), "`a.listed` of the price map");
    let own = rule("model: bedrock/a.listed, input_cost_per_token: 1e-06", "", &[]);
    assert_eq!(own, "the deployment's own prices, over `a.listed` of the price map");
    let own = rule("model: bedrock/a.unlisted", "output_cost_per_token: '0.000001'", &[]);
    assert_eq!(own, "the deployment's own prices");
    assert!(rule("model: bedrock/a.unlisted", "", &[]).contains("no price is listed"));

    let unknown = "its cost cannot be told";
    assert!(rule(&format!("model: 'bedrock/{arn}'"), "", &[unknown]).contains("base_model"));
    let by_base =
        rule(&format!("model: 'bedrock/{arn}'"), "base_model: 'amazon.nova-lite-v1:0'", &[]);
    assert_eq!(by_base, format!("{nova}, by base_model"));
    let by_model =
        rule(&format!("model: 'bedrock/amazon.nova-lite-v1:0', model_id: '{arn}'"), "", &[]);
    assert_eq!(by_model, format!("{nova}, by base_model"), "LiteLLM prices by `model`");
}

#[test]
fn a_wrong_price_stops_the_start() {
    let entry = |price: &str| {
        format!(
            "model_list:\n- model_name: m\n  litellm_params:\n    model: bedrock/a.b\n    \
             aws_region_name: us-east-1\n    input_cost_per_token: {price}\n"
        )
    };
    for price in ["-1e-06", "cheap", "1e-13"] {
        refuse(
            &entry(price),
            &KEYS,
            &["c.yaml:6: model_list[0].litellm_params.input_cost_per_token: is "],
        );
    }
    for map in ["{", r#"{"a.b": {"input_cost_per_token": "x"}}"#] {
        let yaml = "model_list: []\noutcrop:\n  prices: map.json\n";
        let problems = load_files(&[("c.yaml", yaml), ("map.json", map)], &KEYS).unwrap_err();
        assert!(
            rendered(&problems).contains("c.yaml:3: outcrop.prices: cannot be used: map.json"),
            "{map}"
        );
    }
    let yaml = "model_list: []\noutcrop: {prices: nowhere.json}\n";
    assert!(
        rendered(&load_files(&[("c.yaml", yaml)], &KEYS).unwrap_err()).contains("nowhere.json")
    );
}
