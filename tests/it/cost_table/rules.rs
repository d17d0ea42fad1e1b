//! Every rule of usage and price once: caches, tiers, long contexts, where a price comes from ([`origins`]),
//! and what nobody knows. Prices are AWS's, in pico-dollars per token: $1 per million tokens is 1,000,000.

use super::origins;
use super::{CONVERSE, CONVERSE_STREAM, Case, Cost, INVOKE, STREAM, Seen, built_in, sum};

pub(super) const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const OLD_HAIKU: &str = "anthropic.claude-3-5-haiku-20241022-v1:0";
const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA_PRO: &str = "amazon.nova-pro-v1:0";
pub(super) const QWEN: &str = "qwen.qwen3-32b-v1:0";

pub(super) fn cases() -> Vec<Case> {
    let parts = [caches(), tiers(), long_contexts(), origins::cases(), sources(), unknowns()];
    parts.into_iter().flatten().collect()
}

/// Without a cache's use, of a family without a cache.
pub(super) fn text(input: u64, output: u64) -> Seen {
    Seen { input: Some(input), output: Some(output), ..Seen::default() }
}

/// Claude's body tells both lifetimes, of which it used none.
pub(super) fn claude(input: u64, output: u64) -> Seen {
    Seen { read: Some(0), write_5m: Some(0), write_1h: Some(0), ..text(input, output) }
}

/// Converse, and Nova, tell one number for all writes, here 0.
fn unsplit(input: u64, output: u64) -> Seen {
    Seen { read: Some(0), write_unsplit: Some(0), ..text(input, output) }
}

pub(super) fn asked(input: u64, output: u64, more: &str) -> String {
    format!("input={input}; frames={output}{more}")
}

fn caches() -> Vec<Case> {
    let silent = |action| Case {
        what: "cache writes, nobody says for how long: 5 m",
        model: HAIKU,
        action,
        directives: asked(11, 3, "; cache_read=2000; cache_write=900; unsplit"),
        seen: Seen { read: Some(2_000), write_unsplit: Some(900), ..text(11, 3) },
        marks: &["assumes_5m"],
        rule: built_in(HAIKU),
        cost: sum(&[(11, 1_000_000), (3, 5_000_000), (2_000, 100_000), (900, 1_250_000)]),
        ..Case::default()
    };
    let long = |action| Case {
        what: "1 h written, no 1 h price",
        model: OLD_HAIKU,
        action,
        directives: asked(11, 3, "; cache_write=900; cache_write_1h=1"),
        seen: Seen { read: Some(0), write_5m: Some(899), write_1h: Some(1), ..text(11, 3) },
        rule: built_in(OLD_HAIKU),
        cost: Cost::Unknown("no_price"),
        ..Case::default()
    };
    let short = Case {
        what: "5 m written, no 1 h price",
        directives: asked(11, 3, "; cache_write=900"),
        seen: Seen { read: Some(0), write_5m: Some(900), write_1h: Some(0), ..text(11, 3) },
        cost: sum(&[(11, 800_000), (3, 4_000_000), (900, 1_000_000)]),
        ..long(INVOKE)
    };
    let nova = Case {
        what: "written, no price for it",
        model: NOVA_PRO,
        directives: asked(11, 3, "; cache_write=900"),
        seen: Seen { read: Some(0), write_unsplit: Some(900), ..text(11, 3) },
        rule: built_in(NOVA_PRO),
        cost: Cost::Unknown("no_price"),
        ..Case::default()
    };
    let all = [INVOKE, STREAM, CONVERSE, CONVERSE_STREAM];
    let mut cases = Vec::from(all.map(silent));
    cases.push(short);
    cases.extend(all.map(long));
    cases.push(nova);
    cases
}

fn tiers() -> Vec<Case> {
    let nova = |what, action, tier: &'static str, prices: [u64; 3]| Case {
        what,
        model: NOVA_PRO,
        action,
        directives: asked(1_000, 5, &format!("; cache_read=200; tier={tier}")),
        seen: Seen { read: Some(200), ..unsplit(1_000, 5) },
        tier: Some(tier),
        rule: built_in(NOVA_PRO),
        cost: sum(&[(1_000, prices[0]), (5, prices[1]), (200, prices[2])]),
        ..Case::default()
    };
    let flex = [400_000, 1_600_000, 100_000];
    let priority = [1_400_000, 5_600_000, 350_000];
    let none = |tier: &'static str, action| Case {
        what: "tier without prices",
        model: HAIKU,
        action,
        directives: asked(10, 2, &format!("; tier={tier}")),
        seen: if action == CONVERSE { unsplit(10, 2) } else { claude(10, 2) },
        tier: Some(tier),
        rule: built_in(HAIKU),
        cost: Cost::Unknown("no_tier"),
        ..Case::default()
    };
    vec![
        nova("tier flex", INVOKE, "flex", flex),
        nova("tier flex", STREAM, "flex", flex),
        nova("tier flex", CONVERSE, "flex", flex),
        nova("tier flex", CONVERSE_STREAM, "flex", flex),
        nova("tier priority", INVOKE, "priority", priority),
        nova("tier priority", CONVERSE_STREAM, "priority", priority),
        nova("tier default", CONVERSE, "default", [800_000, 3_200_000, 200_000]),
        Case {
            // The body says `default`: what AWS's field says counts.
            what: "tier priority",
            model: QWEN,
            directives: asked(1_000, 5, "; tier=priority"),
            seen: text(1_000, 5),
            tier: Some("priority"),
            rule: built_in(QWEN),
            cost: sum(&[(1_000, 262_500), (5, 1_050_000)]),
            ..Case::default()
        },
        none("flex", INVOKE),
        none("reserved", CONVERSE),
    ]
}

fn long_contexts() -> Vec<Case> {
    let sonnet = |what, action, directives, seen, marks, cost| Case {
        what,
        model: SONNET,
        action,
        directives,
        seen,
        marks,
        rule: built_in(SONNET),
        cost,
        ..Case::default()
    };
    let short = sum(&[(200_000, 3_000_000), (4, 15_000_000)]);
    let long = sum(&[(200_001, 6_000_000), (4, 22_500_000)]);
    let (at, above) = (asked(200_000, 4, ""), asked(200_001, 4, ""));
    let cached = asked(1, 4, "; cache_read=199900; cache_write=100; cache_write_1h=60");
    let (what_at, what_above) = ("input at the threshold", "input above the threshold");
    let is_long: &[&str] = &["long_context"];
    vec![
        sonnet(what_at, INVOKE, at.clone(), claude(200_000, 4), &[], short),
        sonnet(what_above, INVOKE, above.clone(), claude(200_001, 4), is_long, long),
        sonnet(what_above, STREAM, above.clone(), claude(200_001, 4), is_long, long),
        sonnet(what_above, CONVERSE, above.clone(), unsplit(200_001, 4), is_long, long),
        sonnet(what_above, CONVERSE_STREAM, above, unsplit(200_001, 4), is_long, long),
        sonnet(
            "input with cache above the threshold",
            STREAM,
            cached,
            Seen { read: Some(199_900), write_5m: Some(40), write_1h: Some(60), ..text(1, 4) },
            is_long,
            sum(&[
                (1, 6_000_000),
                (4, 22_500_000),
                (199_900, 600_000),
                (40, 7_500_000),
                (60, 12_000_000),
            ]),
        ),
    ]
}

/// Two sources that disagree: what AWS bills counts, what the body told is recorded.
fn sources() -> Vec<Case> {
    let differ = |model, action, prices: [u64; 2]| Case {
        what: "billed and told differ: billed",
        model,
        action,
        directives: asked(7, 3, "; told_input=73"),
        seen: text(7, 3),
        told_input: Some(73),
        rule: built_in(model),
        cost: sum(&[(7, prices[0]), (3, prices[1])]),
        ..Case::default()
    };
    const TITAN: &str = "amazon.titan-text-express-v1";
    const LLAMA_70B: &str = "meta.llama3-3-70b-instruct-v1:0";
    vec![
        differ(TITAN, INVOKE, [200_000, 600_000]),
        differ(TITAN, STREAM, [200_000, 600_000]),
        differ(LLAMA_70B, INVOKE, [720_000, 720_000]),
        differ(LLAMA_70B, STREAM, [720_000, 720_000]),
    ]
}

/// What nobody knows, and what AWS does not bill.
fn unknowns() -> Vec<Case> {
    let unlisted = |action| Case {
        what: "unlisted model",
        model: "anthropic.claude-unlisted-v9:0",
        action,
        directives: asked(10, 2, ""),
        seen: claude(10, 2),
        cost: Cost::Unknown("no_rate"),
        ..Case::default()
    };
    let error = |action| Case {
        what: "AWS's error",
        model: HAIKU,
        action,
        directives: "throttle".to_owned(),
        status: 429,
        rule: built_in(HAIKU),
        cost: Cost::Known(0),
        ..Case::default()
    };
    vec![
        unlisted(INVOKE),
        unlisted(STREAM),
        Case {
            what: "price per image of the request, which no answer counts",
            model: "amazon.titan-embed-image-v1",
            directives: "input=10".to_owned(),
            seen: Seen { input: Some(10), ..Seen::default() },
            rule: built_in("amazon.titan-embed-image-v1"),
            cost: Cost::Unknown("no_count"),
            ..Case::default()
        },
        error(INVOKE),
        error(CONVERSE_STREAM),
        Case {
            what: "exception within a stream: what was told by then",
            model: HAIKU,
            action: STREAM,
            directives: asked(10, 8, "; exception=mid"),
            // Claude's first event tells the input, and one token of output.
            seen: claude(10, 1),
            marks: &["stream_exception"],
            partial: true,
            rule: built_in(HAIKU),
            cost: sum(&[(10, 1_000_000), (1, 5_000_000)]),
            ..Case::default()
        },
        Case {
            what: "exception within a stream: nothing was told by then",
            model: HAIKU,
            action: CONVERSE_STREAM,
            directives: asked(10, 8, "; exception=mid"),
            marks: &["stream_exception"],
            partial: true,
            rule: built_in(HAIKU),
            cost: Cost::Unknown("no_usage"),
            ..Case::default()
        },
    ]
}
