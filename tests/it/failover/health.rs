//! What an operator sees of the model list: `/health`, `/model/info`, `/model_group/info`.

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};
use serde_json::{Value, json};

use crate::{
    client_operations::passthrough_to,
    http::request,
    proxy::{BEARER, Deployment, INVOKE, ONE_ATTEMPT, Proxy, under_both_drivers},
};

under_both_drivers!(
    health_says_how_each_stands_and_spends_nothing,
    a_probe_asks_each_once,
    wildcards_and_services_stand_there_too,
    the_model_list_is_shown_without_secrets,
);

fn stand_in(fault: &str) -> StandIn {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    stand_in.set_fault(fault).expect("a directive");
    stand_in
}

fn page(proxy: &Proxy, target: &str) -> Value {
    let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    let answer = proxy.connect().ask(text.into_bytes());
    assert_eq!(answer.head.status, 200, "{}", answer.content.escape_ascii());
    answer.json()
}

/// `id` among the healthy, or not; and what is said of it.
fn health(proxy: &Proxy, query: &str, id: &str) -> (bool, Value) {
    let page = page(proxy, &format!("/health{query}"));
    let listed = |list: &str| {
        let all = page[list].as_array().expect("a list");
        all.iter().find(|it| it["model_id"] == id).cloned()
    };
    match listed("healthy_endpoints") {
        Some(found) => (true, found),
        None => (false, listed("unhealthy_endpoints").expect("on one of the lists")),
    }
}

fn health_says_how_each_stands_and_spends_nothing(driver: DriverChoice) {
    let (good, bad) = (stand_in(""), stand_in("throttle"));
    let deployments = [
        Deployment::plain(good.address()).with_id("good"),
        Deployment::plain(bad.address()).with_id("bad"),
        Deployment::plain(good.address()).named("other").with_id("third"),
    ];
    let proxy = Proxy::start(driver, None, &deployments, "router_settings:\n  cooldown_time: 30\n");
    let (is_healthy, described) = health(&proxy, "", "bad");
    assert!(is_healthy && described["state"] == "not_asked_yet", "{described:#}");
    for _ in 0..20 {
        let answer = proxy.connect().ask(request(INVOKE, BEARER, b"{}"));
        assert_eq!(answer.head.status, 200);
    }
    let asked = good.record().requests() + bad.record().requests();
    let (is_healthy, described) = health(&proxy, "", "bad");
    assert!(!is_healthy && described["state"] == "cooling_down", "{described:#}");
    assert_eq!(described["last_failure"]["failure"], "throttled");
    let left = described["cooling_down_for_s"].as_u64().expect("seconds");
    assert!((1..=33).contains(&left), "{left}");
    let (is_healthy, described) = health(&proxy, "?model=claude", "good");
    assert!(is_healthy && described["state"] == "well" && described["last_failure"].is_null());
    let of_other = page(&proxy, "/health?model=other");
    assert_eq!((&of_other["healthy_count"], &of_other["unhealthy_count"]), (&1.into(), &0.into()));
    assert_eq!(health(&proxy, "?model_id=third", "third").1["state"], "not_asked_yet");
    assert_eq!(good.record().requests() + bad.record().requests(), asked, "no token was spent");
    for wrong in ["/health?model=nobody", "/health?x=1", "/health?probe=maybe"] {
        let text = format!("GET {wrong} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
        proxy.connect().ask(text.into_bytes()).check_fault(400, "ValidationException");
    }
    let text = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    proxy.connect().ask(text).check_fault(403, "MissingAuthenticationTokenException");
}

fn a_probe_asks_each_once(driver: DriverChoice) {
    let (good, bad) = (stand_in(""), stand_in("status=503"));
    let deployments = [
        Deployment::plain(good.address()).with_id("good/1"),
        Deployment::plain(bad.address()).with_id("bad"),
        Deployment::plain(good.address())
            .named("embed")
            .of("bedrock/amazon.titan-embed-text-v2:0")
            .with_id("embed"),
    ];
    let proxy = Proxy::start(driver, None, &deployments, "");
    let (is_healthy, described) = health(&proxy, "?probe=true&model=claude", "good/1");
    assert!(is_healthy && described["probe"]["status"] == 200, "{described:#}");
    assert_eq!((good.record().requests(), bad.record().requests()), (1, 1), "each once");
    let (is_healthy, described) = health(&proxy, "?probe=true", "bad");
    assert!(!is_healthy && described["probe"]["status"] == 503, "{described:#}");
    assert_eq!(described["probe"]["error"], "ServiceUnavailableException");
    let (is_healthy, described) = health(&proxy, "?probe=true&model_id=embed", "embed");
    assert!(is_healthy, "{described:#}");
    assert_eq!(good.record().last().expect("a request").model_id, "amazon.titan-embed-text-v2:0");
    assert!(!proxy.rows(3).is_empty(), "what it costs is accounted for");
}

fn wildcards_and_services_stand_there_too(driver: DriverChoice) {
    let (good, bad) = (stand_in(""), stand_in("status=503"));
    let wildcard = Deployment::plain(good.address()).named("bedrock/*").of("bedrock/*");
    let outcrop = format!("{ONE_ATTEMPT}{}", passthrough_to(&bad));
    let proxy = Proxy::start(driver, None, &[wildcard.with_id("any")], &outcrop);
    let (is_healthy, described) = health(&proxy, "", "any");
    assert!(is_healthy && described["state"] == "not_asked_yet", "{described:#}");
    assert_eq!(described["model"], "bedrock/*");
    let services = ["bedrock-runtime", "bedrock-agent-runtime", "bedrock"];
    let ids = services.map(|name| format!("passthrough/{name}"));
    assert!(ids.iter().all(|id| health(&proxy, "", id).0));

    let ask = |line: &str| proxy.connect().ask(request(line, BEARER, b"{}")).head.status;
    assert_eq!(ask("POST /bedrock/model/anthropic.claude-v2:1/invoke HTTP/1.1"), 200);
    assert_eq!(ask("POST /bedrock/rerank HTTP/1.1"), 503);
    let asked = good.record().requests() + bad.record().requests();
    for query in ["", "?probe=true"] {
        let (is_healthy, described) = health(&proxy, query, "any");
        assert!(is_healthy && described["state"] == "well", "{described:#}");
        let (is_healthy, described) = health(&proxy, query, &ids[1]);
        assert!(!is_healthy, "{described:#}");
        assert_eq!(described["last_failure"]["failure"], "unavailable", "{described:#}");
        assert_eq!(described["probe"]["skipped"].is_string(), !query.is_empty());
        assert!(health(&proxy, query, &ids[2]).0, "nobody has asked it yet");
    }
    assert_eq!(good.record().requests() + bad.record().requests(), asked, "nobody was probed");
}

fn the_model_list_is_shown_without_secrets(driver: DriverChoice) {
    let upstream = stand_in("");
    let deployments = [
        Deployment::plain(upstream.address())
            .with_id("a")
            .param("rpm", "10")
            .param("input_cost_per_token", "0.000003"),
        Deployment::plain(upstream.address()).with_id("b").param("rpm", "5"),
    ];
    let proxy = Proxy::start(driver, None, &deployments, "");
    for target in ["/model/info", "/v1/model/info"] {
        let list = page(&proxy, target);
        assert_eq!(list["data"].as_array().expect("a list").len(), 2);
        let first = &list["data"][0];
        assert_eq!(first["model_name"], "claude");
        assert_eq!(first["model_info"]["id"], "a");
        assert_eq!(first["model_info"]["input_cost_per_token"], json!(3e-6));
        assert_eq!(first["litellm_params"]["rpm"], 10);
        let text = list.to_string();
        assert!(!text.contains("outcrop-stand-in-secret") && !text.contains("AKIA"), "{text}");
    }
    let one = page(&proxy, "/model/info?litellm_model_id=b");
    assert_eq!(one["data"].as_array().expect("a list").len(), 1);
    let group = &page(&proxy, "/model_group/info?model_group=claude")["data"][0];
    assert_eq!((&group["rpm"], &group["deployments"]), (&15.into(), &json!(["a", "b"])));
    assert_eq!(group["input_cost_per_token"], json!(3e-6));
    assert!(group["tpm"].is_null() && group["providers"] == json!(["bedrock"]));
}
