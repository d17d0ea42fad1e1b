//! Two regions, one of them bad in every way there is: no client notices, the bad one is left alone, and
//! when it is well again it has its share back.

use std::time::Duration;

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, RawStep, RawUpstream, StandIn},
};

use super::storm::Storm;
use crate::{
    proxy::{Deployment, INVOKE, Proxy, STREAM, ca_file, under_both_drivers},
    running::free_port,
};

under_both_drivers!(
    a_throttled_region_is_not_noticed,
    a_region_that_is_unavailable,
    a_region_that_stalls_before_the_head,
    a_region_whose_streams_begin_with_an_exception,
    a_region_that_refuses_connections,
    a_region_that_speaks_no_tls,
);

const CLIENTS: usize = 16;
const REQUESTS: usize = 2_000;
/// Cool-downs of a second: the first, of those that follow at most four times that.
const ROUTER: &str = "router_settings:\n  cooldown_time: 1\n  allowed_fails: 3\n  timeout: 2\n";

fn stand_in() -> StandIn {
    StandIn::start(Options { tls: false, ..Options::default() }).expect("a stand-in")
}

fn two(driver: DriverChoice, bad: Deployment, good: &StandIn) -> Proxy {
    let good = Deployment::plain(good.address()).with_id("good");
    Proxy::start(driver, None, &[bad.with_id("bad"), good], ROUTER)
}

/// `fault` at one of two, on requests of `line`.
fn check(driver: DriverChoice, line: &str, fault: &str, requests: usize) {
    let (bad, good) = (stand_in(), stand_in());
    bad.set_fault(fault).expect("a directive");
    let proxy = two(driver, Deployment::plain(bad.address()), &good);
    let attempts = || bad.record().requests();
    leaves_alone(&proxy, line, (fault, requests), attempts);
    bad.set_fault("").expect("no directive");
    has_its_share_back(&proxy, line, fault, &bad);
    assert_eq!(good.record().anomalies(), [""; 0]);
}

/// No client notices, and after the first second, in which it is found out, the bad one is hardly asked.
fn leaves_alone(
    proxy: &Proxy,
    line: &str,
    (fault, requests): (&str, usize),
    attempts: impl Fn() -> u64,
) {
    let first = Storm::until(proxy, line, CLIENTS, |_, passed| passed < Duration::from_secs(1));
    first.check_good(fault);
    let before = attempts();
    assert!(before > 0, "{fault}: it was tried");
    let storm = Storm::of(proxy, line, CLIENTS, requests);
    storm.check_good(fault);
    let attempts = attempts() - before;
    assert!(attempts * 100 < requests as u64, "{fault}: {attempts} attempts of {requests}");
}

/// Within two cool-downs of its recovery, `bad` is asked again, and as often as the other.
fn has_its_share_back(proxy: &Proxy, line: &str, fault: &str, bad: &StandIn) {
    let (two_cooldowns, before) = (Duration::from_secs(8), bad.record().finished());
    let recovering = Storm::until(proxy, line, 4, |_, passed| {
        passed < two_cooldowns && bad.record().finished() < before + 20
    });
    recovering.check_good("recovering");
    let after = Storm::of(proxy, line, CLIENTS, 400);
    after.check_good("recovered");
    let share = after.by("bad");
    assert!((120..280).contains(&share), "{fault}: its share is {share} of 400");
}

fn a_throttled_region_is_not_noticed(driver: DriverChoice) {
    check(driver, INVOKE, "throttle", 5 * REQUESTS);
}

fn a_region_that_is_unavailable(driver: DriverChoice) {
    check(driver, INVOKE, "status=503", REQUESTS);
}

fn a_region_that_stalls_before_the_head(driver: DriverChoice) {
    check(driver, INVOKE, "stall=head", REQUESTS);
}

fn a_region_whose_streams_begin_with_an_exception(driver: DriverChoice) {
    check(driver, STREAM, "exception=first", REQUESTS);
}

/// Attempts that failed at the deployment `bad`, by the rows of the newest [`REQUESTS`].
fn failed(proxy: &Proxy) -> u64 {
    let is_bad = |attempt: &serde_json::Value| attempt["model_id"] == "bad";
    let of_row = |row: &serde_json::Value| {
        let list = row["failed_attempts"].as_array();
        list.map_or(0, |list| list.iter().filter(|attempt| is_bad(attempt)).count())
    };
    let rows = proxy.rows(1);
    rows.iter().rev().take(REQUESTS).map(of_row).sum::<usize>() as u64
}

fn a_region_that_refuses_connections(driver: DriverChoice) {
    let good = stand_in();
    let at = ([127, 0, 0, 1], free_port()).into();
    let proxy = two(driver, Deployment::plain(at), &good);
    Storm::until(&proxy, INVOKE, CLIENTS, |_, passed| passed < Duration::from_secs(1))
        .check_good("connection refused");
    assert!(failed(&proxy) > 0, "it was tried");
    Storm::of(&proxy, INVOKE, CLIENTS, REQUESTS).check_good("connection refused");
    let failed = failed(&proxy);
    assert!(failed * 100 < REQUESTS as u64, "{failed} attempts on a closed port");
    let options = Options { tls: false, listen: at, ..Options::default() };
    let bad = StandIn::start(options).expect("the port was free all the time");
    has_its_share_back(&proxy, INVOKE, "connection refused", &bad);
}

fn a_region_that_speaks_no_tls(driver: DriverChoice) {
    let good = StandIn::start(Options::default()).expect("a stand-in");
    let no_tls = vec![RawStep::Write(b"no TLS here, sorry\r\n".to_vec()), RawStep::Close];
    let upstream = RawUpstream::start(None, no_tls).expect("an upstream");
    let at = upstream.address();
    let deployments =
        [Deployment::to(at).with_id("bad"), Deployment::to(good.address()).with_id("good")];
    let proxy = Proxy::start(driver, ca_file(&good).as_ref(), &deployments, ROUTER);
    Storm::until(&proxy, INVOKE, CLIENTS, |_, passed| passed < Duration::from_secs(1))
        .check_good("no TLS");
    assert!(failed(&proxy) > 0, "it was tried");
    Storm::of(&proxy, INVOKE, CLIENTS, REQUESTS).check_good("no TLS");
    let failed = failed(&proxy);
    assert!(failed * 100 < REQUESTS as u64, "{failed} attempts");
    drop(upstream);
    let options =
        Options { listen: at, certificate: good.authority().cloned(), ..Options::default() };
    let bad = StandIn::start(options).expect("its port is free again");
    has_its_share_back(&proxy, INVOKE, "no TLS", &bad);
}
