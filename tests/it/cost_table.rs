//! The table of `docs/cost.md`: every family by every action it has, and every rule of pricing once.
//!
//! Each row is a request through a real proxy to the stand-in. What the store then says of it is compared
//! with tokens that the test asked for, and with a cost computed here, from prices typed here: neither
//! `bedrock::usage` nor `bedrock::price` is asked, so both are under test, table included. Then the rows are
//! compared with the document, which is written anew under `OUTCROP_WRITE_DOCS=1`.

mod families;
mod origins;
mod page;
mod rules;

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};
use serde_json::{Map, Value, json};

use crate::http::{Answer, Client, request};
use crate::proxy::{BEARER, Deployment, Proxy, config_file};
use crate::running::scratch;

const INVOKE: &str = "invoke";
const STREAM: &str = "invoke-with-response-stream";
const CONVERSE: &str = "converse";
const CONVERSE_STREAM: &str = "converse-stream";

/// The price map of `outcrop.prices`, in LiteLLM's format.
const PRICE_MAP: &str = r#"{
    "mistral.mistral-small-2402-v1:0": {"litellm_provider": "bedrock",
        "input_cost_per_token": 7e-07, "output_cost_per_token": 0.0000021},
    "ap-south-1/amazon.titan-text-lite-v1": {"litellm_provider": "bedrock",
        "input_cost_per_token": 9e-08, "output_cost_per_token": 1.1e-07}
}"#;

/// What the stand-in is asked to count. `None`: nothing tells it.
#[derive(Clone, Copy, Default)]
struct Seen {
    input: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    write_5m: Option<u64>,
    write_1h: Option<u64>,
    write_unsplit: Option<u64>,
    images: Option<u64>,
    queries: Option<u64>,
}

/// Pico-dollars, or the word for why nobody knows.
#[derive(Clone, Copy)]
enum Cost {
    Known(u64),
    Unknown(&'static str),
}

/// Tokens or pieces by their price in pico-dollars, one after the other: the cost by hand.
fn sum(parts: &[(u64, u64)]) -> Cost {
    Cost::Known(parts.iter().map(|(count, price)| count * price).sum())
}

/// One request, and what must come of it.
struct Case {
    /// What the row shows: a family, or a rule.
    what: &'static str,
    /// `litellm_params.model`.
    model: &'static str,
    region: &'static str,
    /// Further keys of `litellm_params`.
    params: &'static [(&'static str, &'static str)],
    /// Keys of `model_info`.
    info: &'static [(&'static str, &'static str)],
    action: &'static str,
    /// For the stand-in.
    directives: String,
    /// The answer's HTTP status.
    status: u16,
    seen: Seen,
    /// Input tokens that the body tells, if they are not those billed.
    told_input: Option<u64>,
    tier: Option<&'static str>,
    /// Words of `marks` that must be there; of `long_context` and `assumes_5m`, no other may be.
    marks: &'static [&'static str],
    partial: bool,
    /// As `POST /spend/calculate` says it; empty: there is no price.
    rule: String,
    cost: Cost,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            what: "",
            model: "",
            region: "us-east-1",
            params: &[],
            info: &[],
            action: INVOKE,
            directives: String::new(),
            status: 200,
            seen: Seen::default(),
            told_input: None,
            tier: None,
            marks: &[],
            partial: false,
            rule: String::new(),
            cost: Cost::Unknown(""),
        }
    }
}

fn built_in(key: &str) -> String {
    format!("`{key}` of the built-in table")
}

#[test]
fn the_document_has_what_a_real_proxy_charges() {
    let (families, rules) = (families::cases(), rules::cases());
    let cases: Vec<&Case> = families.iter().chain(&rules).collect();
    let stand_in =
        StandIn::start(Options { tls: false, verify_signatures: false, ..Options::default() });
    let stand_in = stand_in.expect("a stand-in");
    let proxy = start(&cases, &stand_in);
    let mut client = proxy.connect();
    let answers: Vec<Answer> =
        cases.iter().enumerate().map(|(place, case)| ask(&mut client, place, case)).collect();
    let rows = proxy.rows(cases.len());
    assert_eq!(rows.len(), cases.len(), "one row for each request");
    for (place, (case, answer)) in cases.iter().zip(&answers).enumerate() {
        let row = rows.iter().find(|row| row["litellm_call_id"] == call_id(place));
        let row = row.and_then(Value::as_object).expect("its row");
        let about = format!("{} {} {}", case.what, case.model, case.action);
        check_row(case, row, &about);
        check_told(case, answer, &about);
        check_calculated(case, &mut client, place, &about);
    }
    assert_eq!(stand_in.record().anomalies(), [""; 0], "AWS would object");
    page::check(&[("Families", &families), ("Rules", &rules)]);
}

/// With a deployment for each case, of its place's name and id.
fn start(cases: &[&Case], stand_in: &StandIn) -> Proxy {
    let deployment = |(place, case): (usize, &&Case)| {
        let name = call_id(place);
        let one = Deployment::plain(stand_in.address()).named(&name).with_id(&name);
        let one = one.of(case.model).param("aws_region_name", case.region);
        let one = case.params.iter().fold(one, |one, (key, value)| one.param(key, value));
        case.info.iter().fold(one, |one, (key, value)| one.info(key, value))
    };
    let deployments: Vec<Deployment> = cases.iter().enumerate().map(deployment).collect();
    let config = config_file(DriverChoice::Epoll, &deployments, "");
    let map = scratch("cost-table-prices.json");
    std::fs::write(&map, PRICE_MAP).expect("a writable target/tmp");
    // The section `outcrop` is the file's last.
    let text = std::fs::read_to_string(&config).expect("a file of ours");
    let text = format!("{text}  prices: \"{}\"\n", map.display());
    std::fs::write(&config, text).expect("a writable target/tmp");
    let proxy = Proxy::of_file(&config, None);
    std::fs::remove_file(&map).expect("a file of ours");
    proxy
}

fn call_id(place: usize) -> String {
    format!("case-{place}")
}

fn ask(client: &mut Client, place: usize, case: &Case) -> Answer {
    let name = call_id(place);
    let line = format!("POST /bedrock/model/{name}/{} HTTP/1.1", case.action);
    let directives = &case.directives;
    let fields =
        format!("{BEARER}x-litellm-call-id: {name}\r\nX-Amzn-Bedrock-Mock: {directives}\r\n");
    let answer = client.ask(request(&line, &fields, b"{}"));
    assert_eq!(answer.head.status, case.status, "{} {}: {answer:?}", case.what, case.action);
    answer
}

/// The store's row says what was asked for, and costs what was computed by hand.
fn check_row(case: &Case, row: &Map<String, Value>, about: &str) {
    let number = |name: &str| row.get(name).and_then(Value::as_u64);
    let Seen { input, output, read, write_5m, write_1h, write_unsplit, images, queries } =
        case.seen;
    let expected = [
        ("input_tokens", input),
        ("completion_tokens", output),
        ("cache_read_tokens", read),
        ("cache_write_5m_tokens", write_5m),
        ("cache_write_1h_tokens", write_1h),
        ("cache_write_unsplit_tokens", write_unsplit),
        ("images", images),
        ("search_queries", queries),
        ("told_input_tokens", case.told_input),
    ];
    for (name, count) in expected {
        assert_eq!(number(name), count, "{about}: {name} of {row:#?}");
    }
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let (cost, why) = match case.cost {
        Cost::Known(pico) => (Some(pico), None),
        Cost::Unknown(why) => (None, Some(why)),
    };
    assert_eq!((number("cost_pico"), text("unknown_cost")), (cost, why), "{about}: {row:#?}");
    assert_eq!(text("spend").map(str::to_owned), cost.map(page::usd), "{about}");
    assert_eq!(text("service_tier"), case.tier, "{about}: {row:#?}");
    assert_eq!((text("call_type"), text("outcome")), (Some(case.action), Some("whole")), "{about}");
    assert_eq!(row.get("usage_partial"), Some(&Value::Bool(case.partial)), "{about}: {row:#?}");
    let marks = text("marks").unwrap_or_default();
    for mark in ["long_context", "assumes_5m", "stream_exception"] {
        assert_eq!(marks.contains(mark), case.marks.contains(&mark), "{about}: {marks}");
    }
}

/// The answer's head tells the same cost, or none. Where the head's own fields suffice, it must.
fn check_told(case: &Case, answer: &Answer, about: &str) {
    let told = answer.head.field("x-litellm-response-cost");
    let known = match case.cost {
        Cost::Known(pico) if case.status == 200 && !case.marks.contains(&"assumes_5m") => {
            Some(page::usd(pico))
        }
        Cost::Known(_) | Cost::Unknown(_) => None,
    };
    let seen = case.seen;
    let written = [seen.write_5m, seen.write_1h, seen.write_unsplit];
    let is_in_fields = case.action == INVOKE
        && seen.input.is_some()
        && written.into_iter().flatten().all(|tokens| tokens == 0);
    match (case.action, known.as_deref()) {
        (STREAM | CONVERSE_STREAM, _) | (_, None) => assert_eq!(told, None, "{about}"),
        (_, known) if is_in_fields => assert_eq!(told, known, "{about}"),
        // Small as it is, whether its end comes with its head is the network's choice.
        (_, known) => assert!(told.is_none() || told == known, "{about}: {told:?}"),
    }
}

/// `POST /spend/calculate` names the rule, and computes the same for the same usage.
fn check_calculated(case: &Case, client: &mut Client, place: usize, about: &str) {
    let Seen { input, output, read, write_5m, write_1h, write_unsplit, images, queries } =
        case.seen;
    let content = json!({"model": call_id(place), "usage": {
        "input_tokens": input,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write_unsplit,
        "cache_creation": {"ephemeral_5m_input_tokens": write_5m, "ephemeral_1h_input_tokens": write_1h},
        "images": images,
        "search_queries": queries,
        "service_tier": case.tier,
    }});
    let content = content.to_string().into_bytes();
    let answer = client.ask(request("POST /spend/calculate HTTP/1.1", BEARER, &content));
    assert_eq!(answer.head.status, 200, "{about}: {answer:?}");
    let json = answer.json();
    let rule = (!case.rule.is_empty())
        .then(|| format!("deployment {} in {}: {}", call_id(place), case.region, case.rule));
    assert_eq!(json["rule"], json!(rule), "{about}");
    if case.status == 200 {
        let cost = match case.cost {
            Cost::Known(pico) => Some(pico),
            Cost::Unknown(_) => None,
        };
        assert_eq!(json["cost_pico"].as_u64(), cost, "{about}: {json}");
    }
}
