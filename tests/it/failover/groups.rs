//! Groups: tiers, strategies, limits, and the groups that a request falls back to.

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use super::storm::Storm;
use crate::{
    http::request,
    proxy::{BEARER, Deployment, INVOKE, Proxy, under_both_drivers},
};

under_both_drivers!(
    the_lowest_order_serves_while_it_can,
    a_group_falls_back_to_another_with_its_own_model,
    the_default_fallback_is_for_all,
    no_fallback_for_what_the_request_is_at_fault_for,
    limits_are_kept_and_said,
    the_cheapest_serves,
    the_least_busy_serves,
    an_alias_and_an_id_are_names,
);

fn stand_in(fault: &str) -> StandIn {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    stand_in.set_fault(fault).expect("a directive");
    stand_in
}

fn ask(proxy: &Proxy) -> crate::http::Answer {
    proxy.connect().ask(request(INVOKE, BEARER, b"{}"))
}

fn the_lowest_order_serves_while_it_can(driver: DriverChoice) {
    let (first, second) = (stand_in(""), stand_in(""));
    let deployments = [
        Deployment::plain(first.address()).with_id("first").param("order", "1"),
        Deployment::plain(second.address()).with_id("second").param("order", "2"),
    ];
    let proxy = Proxy::start(driver, None, &deployments, "");
    assert_eq!(Storm::of(&proxy, INVOKE, 4, 100).by("first"), 100);
    first.set_fault("throttle").expect("a directive");
    let storm = Storm::of(&proxy, INVOKE, 4, 100);
    storm.check_good("the second tier steps in");
    assert_eq!(storm.by("second"), 100);
}

/// Two groups: `claude`, which is bad, and `spare`.
fn with_spare(driver: DriverChoice, fault: &str, router: &str) -> (Proxy, StandIn, StandIn) {
    let (bad, spare) = (stand_in(fault), stand_in(""));
    let deployments = [
        Deployment::plain(bad.address()).with_id("bad"),
        Deployment::plain(spare.address())
            .named("spare")
            .with_id("spare-1")
            .of("bedrock/us.amazon.nova-lite-v1:0"),
    ];
    let router = format!("router_settings:\n  num_retries: 0\n{router}");
    (Proxy::start(driver, None, &deployments, &router), bad, spare)
}

fn a_group_falls_back_to_another_with_its_own_model(driver: DriverChoice) {
    let router = "  fallbacks: [{\"claude\": [\"spare\"]}]\n";
    let (proxy, bad, spare) = with_spare(driver, "status=503", router);
    for _ in 0..3 {
        let answer = ask(&proxy);
        assert_eq!(answer.head.status, 200);
        assert_eq!(answer.head.field("x-litellm-model-group"), Some("spare"));
        assert_eq!(answer.head.field("x-litellm-model-id"), Some("spare-1"));
        assert_eq!(answer.head.field("x-litellm-attempted-fallbacks"), Some("1"));
        assert_eq!(answer.head.field("x-litellm-attempted-retries"), Some("0"));
    }
    let seen = spare.record().last().expect("a request");
    assert_eq!(seen.model_id, "us.amazon.nova-lite-v1:0", "not the first group's");
    assert_eq!(bad.record().requests(), 3);
    let row = proxy.rows(3).pop().expect("a row");
    assert_eq!((&row["model_group"], &row["fallbacks"]), (&"spare".into(), &1.into()));
}

fn the_default_fallback_is_for_all(driver: DriverChoice) {
    let (proxy, _bad, _spare) = with_spare(driver, "throttle", "  default_fallbacks: [spare]\n");
    let answer = ask(&proxy);
    assert_eq!(answer.head.field("x-litellm-model-group"), Some("spare"), "{answer:?}");
}

fn no_fallback_for_what_the_request_is_at_fault_for(driver: DriverChoice) {
    for (fault, status) in [("status=400", 400), ("status=403", 403)] {
        let router = "  default_fallbacks: [spare]\n";
        let (proxy, bad, spare) = with_spare(driver, fault, router);
        assert_eq!(ask(&proxy).head.status, status);
        assert_eq!((bad.record().requests(), spare.record().requests()), (1, 0));
    }
}

fn limits_are_kept_and_said(driver: DriverChoice) {
    let upstream = stand_in("");
    let deployments = [
        Deployment::plain(upstream.address()).with_id("a").param("rpm", "3"),
        Deployment::plain(upstream.address()).with_id("b").param("rpm", "4"),
    ];
    let router = "router_settings:\n  optional_pre_call_checks: [enforce_model_rate_limits]\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    let storm = Storm::of(&proxy, INVOKE, 4, 40);
    let good = storm.0.iter().filter(|seen| seen.status == 200).count();
    // A minute may end in between, and another begin.
    assert!(good == 7 || good == 14, "{good} of 40");
    assert_eq!(upstream.record().requests(), good as u64);
    let refused = ask(&proxy);
    refused.check_fault(429, "ThrottlingException");
    let after: u64 = refused.head.field("retry-after").expect("when").parse().expect("seconds");
    assert!((1..=60).contains(&after));
}

fn the_cheapest_serves(driver: DriverChoice) {
    let upstream = stand_in("");
    let priced = |id: &str, price: &str| {
        Deployment::plain(upstream.address())
            .with_id(id)
            .param("input_cost_per_token", price)
            .param("output_cost_per_token", price)
    };
    let deployments = [priced("dear", "0.00001"), priced("cheap", "0.000001")];
    let router = "router_settings:\n  routing_strategy: cost-based-routing\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    assert_eq!(Storm::of(&proxy, INVOKE, 4, 60).by("cheap"), 60);
}

fn the_least_busy_serves(driver: DriverChoice) {
    let (slow, quick) = (stand_in("delay_ms=3000"), stand_in(""));
    let deployments = [
        Deployment::plain(slow.address()).with_id("slow"),
        Deployment::plain(quick.address()).with_id("quick"),
    ];
    let router = "router_settings:\n  routing_strategy: least-busy\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    let storm = Storm::of(&proxy, INVOKE, 2, 41);
    storm.check_good("least busy");
    assert!(storm.by("slow") <= 2, "{} while it is busy", storm.by("slow"));
}

fn an_alias_and_an_id_are_names(driver: DriverChoice) {
    let upstream = stand_in("");
    let deployments = [
        Deployment::plain(upstream.address()).with_id("dep-a"),
        Deployment::plain(upstream.address()).with_id("dep-b"),
    ];
    let router = "router_settings:\n  model_group_alias: {\"best\": \"claude\"}\n";
    let proxy = Proxy::start(driver, None, &deployments, router);
    for (name, ids) in [("best", &["dep-a", "dep-b"][..]), ("dep-b", &["dep-b"])] {
        for _ in 0..4 {
            let line = INVOKE.replace("claude", name);
            let answer = proxy.connect().ask(request(&line, BEARER, b"{}"));
            assert_eq!(answer.head.status, 200, "{name}");
            let id = answer.head.field("x-litellm-model-id").expect("an id");
            assert!(ids.contains(&id), "{name}: {id}");
        }
    }
}
