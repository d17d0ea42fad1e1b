//! The choice of a deployment: by weight, at random, and told to the client.

use std::collections::{HashMap, HashSet};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, request};
use crate::proxy::{BEARER, Deployment, INVOKE, Pair, Proxy, under_both_drivers};

under_both_drivers!(
    requests_are_spread_by_weight,
    without_weights_all_get_the_same,
    a_deployment_of_weight_zero_gets_nothing,
    a_name_reaches_its_own_deployments_only,
    the_client_learns_the_deployment_and_the_call,
);

const ASKED: u64 = 1_000;

fn plain() -> StandIn {
    let options = Options { tls: false, ..Options::default() };
    StandIn::start(options).expect("a stand-in")
}

/// How often each deployment answered, by its own word to the client.
fn count(client: &mut Client, times: u64) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    let batch = request(INVOKE, BEARER, b"{}").repeat(20);
    for _ in 0..times / 20 {
        client.send(&batch);
        for _ in 0..20 {
            let answer = client.answer();
            assert_eq!(answer.head.status, 200);
            let id = answer.head.field("x-litellm-model-id").expect("an id").to_owned();
            *counts.entry(id).or_default() += 1;
        }
    }
    counts
}

/// `share` of [`ASKED`] is within 5.5 standard deviations: one run in 25 million is beyond by chance.
fn check_share(count: u64, share: f64) {
    let (count, asked) = (count as f64, ASKED as f64);
    let deviation = (asked * share * (1.0 - share)).sqrt();
    assert!((count - asked * share).abs() < 5.5 * deviation, "{count} of {asked}, not {share}");
}

fn check_two(driver: DriverChoice, weights: [Option<&str>; 2], share: f64) {
    let stand_ins = [plain(), plain()];
    let deployments: Vec<Deployment> = std::iter::zip(&stand_ins, weights)
        .zip(["first", "second"])
        .map(|((stand_in, weight), id)| {
            let one = Deployment::plain(stand_in.address()).with_id(id);
            match weight {
                Some(weight) => one.param("weight", weight),
                None => one,
            }
        })
        .collect();
    let proxy = Proxy::start(driver, None, &deployments, "");
    let counts = count(&mut proxy.connect(), ASKED);
    let count = |id: &str| counts.get(id).copied().unwrap_or(0);
    check_share(count("first"), share);
    for (stand_in, id) in stand_ins.iter().zip(["first", "second"]) {
        assert_eq!(stand_in.record().requests(), count(id), "the client is told the truth");
        assert_eq!(stand_in.record().anomalies(), [""; 0]);
    }
    assert_eq!(count("first") + count("second"), ASKED);
}

fn requests_are_spread_by_weight(driver: DriverChoice) {
    check_two(driver, [Some("3"), Some("1")], 0.75);
}

fn without_weights_all_get_the_same(driver: DriverChoice) {
    check_two(driver, [None, None], 0.5);
}

fn a_deployment_of_weight_zero_gets_nothing(driver: DriverChoice) {
    check_two(driver, [Some("1"), Some("0")], 1.0 - f64::EPSILON);
}

fn a_name_reaches_its_own_deployments_only(driver: DriverChoice) {
    let stand_ins = [plain(), plain()];
    let names = ["team/claude:prod", "claude+2"];
    let deployments: Vec<Deployment> = std::iter::zip(&stand_ins, names)
        .map(|(stand_in, name)| Deployment::plain(stand_in.address()).named(name))
        .collect();
    let proxy = Proxy::start(driver, None, &deployments, "");
    let mut client = proxy.connect();
    let cases = [
        ("team/claude:prod", [1, 0]),
        ("team%2Fclaude%3aprod", [2, 0]),
        ("claude+2", [2, 1]),
        ("claude%2B2", [2, 2]),
    ];
    for (name, expected) in cases {
        let line = format!("POST /bedrock/model/{name}/invoke HTTP/1.1");
        assert_eq!(client.ask(request(&line, BEARER, b"{}")).head.status, 200, "{name}");
        let seen = [stand_ins[0].record().requests(), stand_ins[1].record().requests()];
        assert_eq!(seen, expected, "{name}");
    }
    for name in ["team", "claude", "claude2", "team%252Fclaude%3aprod", "Team/claude:prod"] {
        let line = format!("POST /bedrock/model/{name}/invoke HTTP/1.1");
        let answer = client.ask(request(&line, BEARER, b"{}"));
        answer.check_fault(404, "ResourceNotFoundException");
        let message = answer.json()["message"].to_string();
        assert!(!message.contains("prod"), "names are no business of a stranger: {message}");
    }
}

fn the_client_learns_the_deployment_and_the_call(driver: DriverChoice) {
    let named = |it: Deployment| vec![it.with_id("eu-west-1/claude#2")];
    let pair = Pair::with(driver, Options::default(), named, "");
    let mut client = pair.proxy.connect();
    let mut made = HashSet::new();
    for chosen in ["", "x-litellm-call-id:\r\n", "x-litellm-call-id: \u{e9}\r\n"] {
        let answer = client.ask(request(INVOKE, &format!("{BEARER}{chosen}"), b"{}"));
        assert_eq!(answer.head.field("x-litellm-model-id"), Some("eu-west-1/claude#2"));
        let id = answer.head.field("x-litellm-call-id").expect("an id").to_owned();
        assert!(id.len() >= 32 && made.insert(id.clone()), "new, and unlike any other: {id}");
    }
    let long = "i".repeat(200);
    for chosen in ["c", "0f3e-11", "a/b;c=d", &long] {
        let fields = format!("{BEARER}X-LiteLLM-Call-Id: {chosen}\r\n");
        let answer = client.ask(request(INVOKE, &fields, b"{}"));
        let echoed = answer.head.field("x-litellm-call-id") == Some(chosen);
        assert_eq!(echoed, chosen.len() <= 128, "{chosen}");
    }
    // A refusal carries the id, too: it is what a client quotes when it complains.
    let unknown = INVOKE.replace("claude", "nobody");
    let fields = format!("{BEARER}x-litellm-call-id: c-7\r\n");
    let answer = client.ask(request(&unknown, &fields, b"{}"));
    assert_eq!(answer.head.field("x-litellm-call-id"), Some("c-7"));
    assert_eq!(answer.head.field("x-litellm-model-id"), None);
}
