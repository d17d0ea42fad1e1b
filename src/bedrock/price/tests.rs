//! Look-ups by every rule, and costs computed by hand.

use super::*;

const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn asked(model: &str, region: &str, base_model: Option<&str>) -> Result<Priced, NoRate> {
    let overrides = Overrides::default();
    lookup(&Question { model, region, base_model, overrides: &overrides, map: None })
}

#[track_caller]
fn check_key(model: &str, region: &str, key: &str) {
    let priced = asked(model, region, None).unwrap();
    assert_eq!(priced.rule.key.as_deref(), Some(key), "{model} in {region}");
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input: Some(Tokens(input)), output: Some(Tokens(output)), ..Usage::default() }
}

fn sonnet() -> Rate {
    asked(SONNET, "us-east-1", None).unwrap().rate
}

#[test]
fn the_best_key_wins() {
    check_key(SONNET, "us-east-1", SONNET);
    check_key(&format!("bedrock/converse/{SONNET}"), "us-east-1", SONNET);
    let us = format!("us.{SONNET}");
    check_key(&us, "us-east-1", &us);
    check_key(
        &format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{us}"),
        "us-west-2",
        &us,
    );
    check_key(
        &format!("arn:aws:bedrock:us-east-1::foundation-model/{SONNET}"),
        "us-east-1",
        SONNET,
    );
    let llama = "meta.llama3-8b-instruct-v1:0";
    check_key(llama, "ap-south-1", "ap-south-1/meta.llama3-8b-instruct-v1:0");
    check_key(
        &format!("bedrock/ap-south-1/{llama}"),
        "us-east-1",
        "ap-south-1/meta.llama3-8b-instruct-v1:0",
    );
    check_key(llama, "eu-central-1", llama);
    check_key(&format!("us-gov.{SONNET}"), "us-gov-west-1", &format!("us-gov.{SONNET}"));
    check_key("us.zai.glm-5", "us-east-1", "us-east-1/zai.glm-5");
    check_key("us.zai.glm-5", "eu-west-1", "zai.glm-5");
}

#[test]
fn what_has_no_price_says_why() {
    let check = |resource: &str, reason| {
        let arn = format!("arn:aws:bedrock:us-east-1:123456789012:{resource}");
        assert_eq!(asked(&arn, "us-east-1", None), Err(reason), "{resource}");
        let based = asked(&arn, "us-east-1", Some(SONNET)).unwrap();
        assert_eq!((based.rule.key.as_deref(), based.rule.is_base_model), (Some(SONNET), true));
        assert_eq!(asked(&arn, "us-east-1", Some("no.such")), Err(NoRate::BaseModelNotListed));
    };
    check("application-inference-profile/a1b2", NoRate::ApplicationProfile);
    check("provisioned-model/a1b2", NoRate::Provisioned);
    check("custom-model/a.b/c", NoRate::Custom);
    check("custom-model-deployment/a1b2", NoRate::Custom);
    check("imported-model/a1b2", NoRate::Imported);
    check("default-prompt-router/anthropic.claude:1", NoRate::PromptRouter);
    check("inference-profile/", NoRate::OtherArn);
    check("x", NoRate::OtherArn);
    assert_eq!(asked("no.such-model", "us-east-1", None), Err(NoRate::NotListed));
    assert_eq!(asked("", "us-east-1", None), Err(NoRate::NotListed));
}

#[test]
fn own_prices_stand_over_the_list_field_by_field() {
    let mut overrides = Overrides::default();
    assert_eq!(overrides.set("input_cost_per_token", "1e-06"), Ok(true));
    assert_eq!(overrides.set("input_cost_per_token", "2e-06"), Ok(true));
    assert_eq!(overrides.set("rpm", "5"), Ok(false));
    assert_eq!(overrides.set("output_cost_per_token", "-1"), Err(NotAPrice::NotDecimal));
    let question = Question {
        model: SONNET,
        region: "us-east-1",
        base_model: None,
        overrides: &overrides,
        map: None,
    };
    let priced = lookup(&question).unwrap();
    let Cost::Known(bill) = price(&tokens(1, 1), &priced.rate) else { panic!("priced") };
    assert_eq!((bill.input, bill.output), (PicoUsd(2_000_000), PicoUsd(15_000_000)));
    let told = explain(&question);
    assert_eq!(told.tried, ["us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0"]);
    assert_eq!(told.rows.iter().filter(|row| row.is_overridden).count(), 1);
    let text = told.to_string();
    assert!(
        text.starts_with("rule: the deployment's own prices, over `anthropic.claude-sonnet"),
        "{text}"
    );
    assert!(text.contains("output above 200000"), "{text}");
    let unlisted = Question { model: "no.such", ..question };
    let priced = lookup(&unlisted).unwrap();
    assert_eq!(priced.rule.key, None);
    assert_eq!(price(&tokens(1, 1), &priced.rate), Cost::Unknown(Unpriced::NoPrice(Part::Output)));
    assert!(
        explain(&Question { overrides: &Overrides::default(), ..unlisted })
            .to_string()
            .contains("unknown")
    );
}

#[test]
fn a_map_of_litellms_stands_over_ours_entry_by_entry() {
    let map = PriceMap::from_litellm_json(
        r#"{"sample_spec": {"litellm_provider": "one of …", "input_cost_per_token": "?"},
            "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1},
            "bedrock/ap-south-1/meta.llama3-8b-instruct-v1:0": {"litellm_provider": "bedrock",
              "input_cost_per_token": 3e-06, "output_cost_per_token": 0.0000123, "max_tokens": 5,
              "input_cost_per_token_above_200k_tokens": 6E-6, "search_context_cost_per_query": {"a": 1}},
            "bare": {"mode": "chat"}}"#,
    );
    let map = map.unwrap();
    assert_eq!(map.len(), 1);
    let overrides = Overrides::default();
    let model = "meta.llama3-8b-instruct-v1:0";
    let question = Question {
        model,
        region: "ap-south-1",
        base_model: None,
        overrides: &overrides,
        map: Some(&map),
    };
    let priced = lookup(&question).unwrap();
    assert!(priced.rule.is_from_map);
    let Cost::Known(bill) = price(&tokens(1, 1), &priced.rate) else { panic!("priced") };
    assert_eq!((bill.input, bill.output), (PicoUsd(3_000_000), PicoUsd(12_300_000)));
    assert!(!lookup(&Question { region: "eu-central-1", ..question }).unwrap().rule.is_from_map);
}

#[test]
fn a_bad_map_names_its_key() {
    let check = |text: &str, start: &str| {
        let error = PriceMap::from_litellm_json(text).unwrap_err().to_string();
        assert!(error.starts_with(start), "{text}: {error}");
        fuzz_litellm(text.as_bytes());
    };
    check("", "is no price map");
    check("[]", "is no price map");
    check(r#"{"a": 1}"#, "`a`: ");
    check(r#"{"a": {"input_cost_per_token": -1}}"#, "`a`: `input_cost_per_token` is no price");
    check(r#"{"a": {"input_cost_per_token": 1e-13}}"#, "`a`: `input_cost_per_token` is finer");
    check(r#"{"a": {"input_cost_per_token": {}}}"#, "`a`: `input_cost_per_token` is no price");
}

#[test]
fn long_contexts_have_their_price_from_the_first_token_above() {
    let rate = sonnet();
    let check = |input, read: u64, expected: (u64, bool)| {
        let usage = Usage { cache_read: Some(Tokens(read)), ..tokens(input, 1) };
        let Cost::Known(bill) = price(&usage, &rate) else { panic!("priced") };
        assert_eq!((bill.total.0, bill.is_long), expected, "{input} + {read}");
    };
    check(200_000, 0, (200_000 * 3_000_000 + 15_000_000, false));
    check(200_001, 0, (200_001 * 6_000_000 + 22_500_000, true));
    check(1, 200_000, (6_000_000 + 200_000 * 600_000 + 22_500_000, true));
}

#[test]
fn unknown_is_never_zero() {
    let rate = sonnet();
    let unknown = |usage: Usage, reason| assert_eq!(price(&usage, &rate), Cost::Unknown(reason));
    let one = tokens(1, 1);
    unknown(Usage::default(), Unpriced::NoCount(Part::Input));
    unknown(Usage { output: None, ..one }, Unpriced::NoCount(Part::Output));
    unknown(Usage { images: Some(1), ..one }, Unpriced::NoPiecePrice(Piece::OutputImage));
    let tier = |tier| Usage { service_tier: Some(tier), ..one };
    unknown(tier(ServiceTier::Priority), Unpriced::NoTier(ServiceTier::Priority));
    unknown(tier(ServiceTier::Other), Unpriced::NoTier(ServiceTier::Other));
    let long = Usage { service_tier: Some(ServiceTier::Batch), ..tokens(200_001, 1) };
    unknown(long, Unpriced::NoLongTier(ServiceTier::Batch));
    unknown(tokens(u64::MAX, 1), Unpriced::TooLarge);
    unknown(Usage { cache_read: Some(Tokens(u64::MAX)), ..one }, Unpriced::TooLarge);
    let old = asked("anthropic.claude-3-5-haiku-20241022-v1:0", "us-east-1", None).unwrap().rate;
    let hour = Usage { cache_write_1h: Some(Tokens(1)), ..one };
    assert_eq!(price(&hour, &old), Cost::Unknown(Unpriced::NoPrice(Part::CacheWrite1h)));
    assert_eq!(price(&one, &Rate::default()), Cost::Unknown(Unpriced::NoPrice(Part::Input)));
}

#[test]
fn pieces_are_charged_by_the_piece() {
    let pegasus = asked("twelvelabs.pegasus-1-2-v1:0", "us-east-1", None).unwrap().rate;
    let usage = Usage { video_seconds: Some(10), ..tokens(900, 2) };
    let Cost::Known(bill) = price(&usage, &pegasus) else { panic!("priced") };
    assert_eq!(
        (bill.pieces, bill.output, bill.input),
        (PicoUsd(4_900_000_000), PicoUsd(15_000_000), PicoUsd(0))
    );
    assert_eq!(bill.total, PicoUsd(4_915_000_000));
    let guess = Usage { cache_write_unsplit: Some(Tokens(2)), ..tokens(0, 0) };
    let Cost::Known(bill) = price(&guess, &sonnet()) else { panic!("priced") };
    assert_eq!((bill.cache_write, bill.assumes_5m), (PicoUsd(7_500_000), true));
}

proptest::proptest! {
    // Findings are kept in tests/vectors, not where proptest would put them.
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, cases: 500, ..Default::default() })]

    #[test]
    fn maps_are_read_as_serde_reads_them(
        digits in 0..10_000_000_000_u64,
        exponent in -14..3_i32,
        at: proptest::sample::Index,
        byte in 0x20..0x7f_u8,
    ) {
        let text = format!(r#"{{"a": {{"input_cost_per_token": {digits}e{exponent}, "input_cost_per_query": 0.{digits}}}}}"#);
        fuzz_litellm(text.as_bytes());
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        fuzz_litellm(&text);
    }
}
