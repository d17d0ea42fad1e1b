//! Where a price comes from: regions, profiles, ARNs, own prices, `outcrop.prices`. In pico-dollars per token.

use super::rules::{HAIKU, QWEN, asked, claude, text};
use super::{CONVERSE, CONVERSE_STREAM, Case, INVOKE, STREAM, Seen, built_in, sum};

const LLAMA: &str = "meta.llama3-8b-instruct-v1:0";

pub(super) fn cases() -> Vec<Case> {
    [places(), profiles(), application_profiles(), own_prices(), filled_gaps()]
        .into_iter()
        .flatten()
        .collect()
}

/// One model in several regions.
fn places() -> Vec<Case> {
    let llama = |what, model, region, key: &str, prices: [u64; 2]| Case {
        what,
        model,
        region,
        directives: asked(1_000, 5, ""),
        seen: text(1_000, 5),
        rule: built_in(key),
        cost: sum(&[(1_000, prices[0]), (5, prices[1])]),
        ..Case::default()
    };
    vec![
        llama(
            "price of the region",
            LLAMA,
            "ap-south-1",
            "ap-south-1/meta.llama3-8b-instruct-v1:0",
            [360_000, 720_000],
        ),
        llama(
            "price of the region",
            LLAMA,
            "eu-west-2",
            "eu-west-2/meta.llama3-8b-instruct-v1:0",
            [390_000, 780_000],
        ),
        llama("region without its own price", LLAMA, "eu-central-1", LLAMA, [300_000, 600_000]),
        llama(
            "foundation model's ARN",
            "arn:aws:bedrock:sa-east-1::foundation-model/meta.llama3-8b-instruct-v1:0",
            "sa-east-1",
            "sa-east-1/meta.llama3-8b-instruct-v1:0",
            [500_000, 1_010_000],
        ),
    ]
}

fn profiles() -> Vec<Case> {
    const US: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    const EU: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";
    const GLOBAL: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";
    let haiku = |what, model, region, rule: String, prices: [u64; 2]| Case {
        what,
        model,
        region,
        directives: asked(1_000, 5, ""),
        seen: claude(1_000, 5),
        rule,
        cost: sum(&[(1_000, prices[0]), (5, prices[1])]),
        ..Case::default()
    };
    let dear = [1_100_000, 5_500_000];
    let system = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0";
    vec![
        haiku("cross-region profile", US, "us-east-1", built_in(US), dear),
        haiku("cross-region profile", EU, "eu-west-1", built_in(EU), dear),
        haiku(
            "cross-region profile",
            GLOBAL,
            "eu-west-1",
            built_in(GLOBAL),
            [1_000_000, 5_000_000],
        ),
        Case {
            what: "cross-region profile without its own price",
            model: "us.qwen.qwen3-32b-v1:0",
            directives: asked(1_000, 5, ""),
            seen: text(1_000, 5),
            tier: Some("default"),
            rule: built_in(QWEN),
            cost: sum(&[(1_000, 150_000), (5, 600_000)]),
            ..Case::default()
        },
        haiku("system-defined profile's ARN", system, "eu-west-1", built_in(EU), dear),
    ]
}

/// ARNs that do not say their model.
fn application_profiles() -> Vec<Case> {
    const APPLICATION: &str =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
    let application = |action| Case {
        what: "application profile's ARN with base_model",
        model: APPLICATION,
        info: &[("base_model", HAIKU)],
        action,
        directives: asked(11, 3, "; cache_read=70; cache_write=900; cache_write_1h=400"),
        seen: Seen { read: Some(70), write_5m: Some(500), write_1h: Some(400), ..text(11, 3) },
        rule: format!("{}, by base_model", built_in(HAIKU)),
        cost: sum(&[
            (11, 1_000_000),
            (3, 5_000_000),
            (70, 100_000),
            (500, 1_250_000),
            (400, 2_000_000),
        ]),
        ..Case::default()
    };
    let mut cases = Vec::from([INVOKE, STREAM, CONVERSE, CONVERSE_STREAM].map(application));
    cases.push(Case {
        // What it counts is known by base_model, whose price nobody lists.
        what: "application profile's ARN with own prices and an unlisted base_model",
        info: &[("base_model", "anthropic.claude-unlisted-v9:0")],
        params: &[
            ("input_cost_per_token", "2e-06"),
            ("output_cost_per_token", "0.000009"),
            ("cache_read_input_token_cost", "2e-07"),
            ("cache_creation_input_token_cost", "2.5e-06"),
            ("cache_creation_input_token_cost_above_1hr", "4e-06"),
        ],
        rule: "the deployment's own prices".to_owned(),
        cost: sum(&[
            (11, 2_000_000),
            (3, 9_000_000),
            (70, 200_000),
            (500, 2_500_000),
            (400, 4_000_000),
        ]),
        ..application(STREAM)
    });
    cases.push(Case {
        what: "application profile's ARN with own prices and no base_model",
        model: APPLICATION,
        params: &[("input_cost_per_token", "2e-06"), ("output_cost_per_token", "0.000009")],
        directives: asked(1_000, 5, ""),
        seen: claude(1_000, 5),
        rule: "the deployment's own prices".to_owned(),
        cost: sum(&[(1_000, 2_000_000), (5, 9_000_000)]),
        ..Case::default()
    });
    cases
}

fn own_prices() -> Vec<Case> {
    let over = format!("the deployment's own prices, over {}", built_in(HAIKU));
    let haiku = |what, params, info, prices: [u64; 2]| Case {
        what,
        model: HAIKU,
        params,
        info,
        directives: asked(1_000, 5, ""),
        seen: claude(1_000, 5),
        rule: over.clone(),
        cost: sum(&[(1_000, prices[0]), (5, prices[1])]),
        ..Case::default()
    };
    let mapped = |what, model, region, key: &str, prices: [u64; 2]| Case {
        what,
        model,
        region,
        directives: asked(1_000, 5, ""),
        seen: text(1_000, 5),
        rule: format!("`{key}` of the price map"),
        cost: sum(&[(1_000, prices[0]), (5, prices[1])]),
        ..Case::default()
    };
    vec![
        haiku(
            "own price in litellm_params, the rest listed",
            &[("input_cost_per_token", "9e-07")],
            &[],
            [900_000, 5_000_000],
        ),
        haiku(
            "own price in model_info, the rest listed",
            &[],
            &[("output_cost_per_token", "0.0000041")],
            [1_000_000, 4_100_000],
        ),
        haiku(
            "own price in both: model_info's",
            &[("input_cost_per_token", "9e-07")],
            &[("input_cost_per_token", "8e-07")],
            [800_000, 5_000_000],
        ),
        mapped(
            "entry of `outcrop.prices` over the table's",
            "mistral.mistral-small-2402-v1:0",
            "us-east-1",
            "mistral.mistral-small-2402-v1:0",
            [700_000, 2_100_000],
        ),
        mapped(
            "entry of `outcrop.prices` for one region",
            "amazon.titan-text-lite-v1",
            "ap-south-1",
            "ap-south-1/amazon.titan-text-lite-v1",
            [90_000, 110_000],
        ),
    ]
}

/// Own prices for what the table has none.
fn filled_gaps() -> Vec<Case> {
    vec![
        Case {
            what: "own price of 0 for what no answer counts",
            model: "amazon.titan-embed-image-v1",
            params: &[("input_cost_per_image", "0")],
            directives: "input=1000".to_owned(),
            seen: Seen { input: Some(1_000), ..Seen::default() },
            rule: format!(
                "the deployment's own prices, over {}",
                built_in("amazon.titan-embed-image-v1")
            ),
            cost: sum(&[(1_000, 800_000)]),
            ..Case::default()
        },
        Case {
            what: "own price of 0 for cache writes",
            model: "amazon.nova-pro-v1:0",
            info: &[("cache_creation_input_token_cost", "0")],
            action: CONVERSE,
            directives: asked(1_000, 5, "; cache_write=900"),
            // Converse tells the lifetime, Nova's own body does not.
            seen: Seen { read: Some(0), write_5m: Some(900), write_1h: Some(0), ..text(1_000, 5) },
            rule: format!("the deployment's own prices, over {}", built_in("amazon.nova-pro-v1:0")),
            cost: sum(&[(1_000, 800_000), (5, 3_200_000)]),
            ..Case::default()
        },
        Case {
            what: "unlisted model with own prices",
            model: "cohere.command-r-v1:0",
            params: &[("input_cost_per_token", "5e-07"), ("output_cost_per_token", "1.5e-06")],
            action: STREAM,
            directives: asked(7, 5, ""),
            seen: text(7, 5),
            rule: "the deployment's own prices".to_owned(),
            cost: sum(&[(7, 500_000), (5, 1_500_000)]),
            ..Case::default()
        },
    ]
}
