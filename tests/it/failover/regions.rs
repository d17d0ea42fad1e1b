//! Two regions, one of them bad in every way there is: no client notices, the bad one is left alone, and
//! when it is well again it has its share back.

use std::{net::TcpListener, time::Duration};

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
const REQUESTS: usize = 10_000;
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
    // The first second, in which it is found out.
    let first = Storm::until(&proxy, line, CLIENTS, |_, passed| passed < Duration::from_secs(1));
    first.check_good(fault);
    let before = bad.record().requests();
    assert!(before > 0, "{fault}: it was tried");
    let storm = Storm::of(&proxy, line, CLIENTS, requests);
    storm.check_good(fault);
    let attempts = bad.record().requests() - before;
    assert!(attempts * 100 < requests as u64, "{fault}: {attempts} attempts of {requests}");
    // It recovers, and has its share again within two cool-downs.
    bad.set_fault("").expect("no directive");
    let two_cooldowns = Duration::from_secs(8);
    let mut shares = Vec::new();
    Storm::until(&proxy, line, 4, |_, passed| {
        passed < two_cooldowns && bad.record().finished() < before + attempts + 20
    })
    .check_good("recovering");
    let after = Storm::of(&proxy, line, CLIENTS, 400);
    after.check_good("recovered");
    shares.push(after.by("bad"));
    assert!((120..280).contains(&after.by("bad")), "{fault}: its share is {shares:?} of 400");
    assert_eq!(good.record().anomalies(), [""; 0]);
}

fn a_throttled_region_is_not_noticed(driver: DriverChoice) {
    check(driver, INVOKE, "throttle", REQUESTS);
}

fn a_region_that_is_unavailable(driver: DriverChoice) {
    check(driver, INVOKE, "status=503", 2_000);
}

fn a_region_that_stalls_before_the_head(driver: DriverChoice) {
    check(driver, INVOKE, "stall=head", 2_000);
}

fn a_region_whose_streams_begin_with_an_exception(driver: DriverChoice) {
    check(driver, STREAM, "exception=first", 1_000);
    check(driver, STREAM, "exception=first:serviceUnavailableException", 500);
}

fn a_region_that_refuses_connections(driver: DriverChoice) {
    let good = stand_in();
    let port = free_port();
    let proxy = two(driver, Deployment::plain(([127, 0, 0, 1], port).into()), &good);
    Storm::of(&proxy, INVOKE, CLIENTS, 2_000).check_good("connection refused");
    let (failed, rows) = super::storm::attempts(&proxy, "bad", 2_000);
    assert_eq!(rows, 2_000);
    assert!((1..100).contains(&failed), "{failed} attempts on a closed port");
    drop(TcpListener::bind(("127.0.0.1", port)).expect("the port was free all the time"));
}

fn a_region_that_speaks_no_tls(driver: DriverChoice) {
    let good = StandIn::start(Options::default()).expect("a stand-in");
    let no_tls = vec![RawStep::Write(b"no TLS here, sorry\r\n".to_vec()), RawStep::Close];
    let bad = RawUpstream::start(None, no_tls).expect("an upstream");
    let deployments = [
        Deployment::to(bad.address()).with_id("bad"),
        Deployment::to(good.address()).with_id("good"),
    ];
    let proxy = Proxy::start(driver, ca_file(&good).as_ref(), &deployments, ROUTER);
    Storm::of(&proxy, INVOKE, CLIENTS, 2_000).check_good("no TLS");
    let (failed, rows) = super::storm::attempts(&proxy, "bad", 2_000);
    assert_eq!(rows, 2_000);
    assert!((1..100).contains(&failed), "{failed} attempts");
}
