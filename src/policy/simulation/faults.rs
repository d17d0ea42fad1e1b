//! What becomes of requests when deployments fail.

use super::{
    super::group::{Group, Strategy},
    world::{Counts, Does, World, group},
};
use crate::bedrock::failure::Failure;

fn two(strategy: Strategy) -> Vec<Group> {
    vec![group(strategy, 0, 2)]
}

/// 1,000 requests in a second, on two cores; `failure` at the first of two for `bad_ms`.
fn with_a_bad_one(strategy: Strategy, failure: Failure, bad_ms: u64) -> World {
    let script = move |at: usize, ms: u64| {
        if at == 0 && ms < bad_ms { Does::badly(failure, 10) } else { Does::well(10) }
    };
    World::new(11, 2, two(strategy), 1_000, Box::new(script))
}

#[test]
fn a_bad_region_is_not_noticed_and_has_its_share_back() {
    let failures = [
        Failure::Throttled,
        Failure::Unavailable,
        Failure::Internal,
        Failure::ConnectFailed,
        Failure::TlsFailed,
        Failure::TimedOut,
        Failure::Broken,
        Failure::CredentialRefused,
    ];
    for (strategy, failure) in Strategy::ALL.into_iter().flat_map(|it| failures.map(|f| (it, f))) {
        let what = format!("{strategy:?} {failure:?}");
        let mut world = with_a_bad_one(strategy, failure, 31_000);
        let check_good = |counts: &Counts| {
            assert_eq!(counts.good, counts.requests, "{what}: a client noticed: {counts:?}");
        };
        check_good(world.run(1_000));
        let counts = world.run(30_000);
        check_good(counts);
        assert!(counts.attempts[0] * 100 < counts.all_attempts(), "{what}: {counts:?}");
        world.check_at_rest();
        // It is well again. Within two cool-downs it is asked again; by strategy it has its share.
        check_good(world.run(2 * 20_000));
        let counts = world.run(10_000);
        check_good(counts);
        let share = counts.share(0);
        let is_fair = match strategy {
            Strategy::LatencyBased => share > 0.2, // what was slow or gone is forgotten bit by bit
            _ => (0.45..0.55).contains(&share),
        };
        assert!(is_fair, "{what}: its share is {share}");
    }
}

#[test]
fn after_one_cool_down_a_single_request_tries_it_on_all_cores() {
    let mut world = with_a_bad_one(Strategy::SimpleShuffle, Failure::Throttled, u64::MAX);
    world.run(1_000);
    // 5 s, 10 s, 20 s, 20 s, …, give or take a tenth: four or five probes in a minute.
    let counts = world.run(60_000);
    assert!((3..=6).contains(&counts.attempts[0]), "{counts:?}");
    assert_eq!(counts.at_once[0], 1);
}

#[test]
fn an_outage_of_all_is_not_multiplied() {
    for strategy in Strategy::ALL {
        for failure in [Failure::Throttled, Failure::Internal, Failure::ConnectFailed] {
            let script = move |_, _| Does::badly(failure, 10);
            let mut world = World::new(12, 4, vec![group(strategy, 0, 3)], 500, Box::new(script));
            for _ in 0..3 {
                let counts = world.run(10_000);
                let most = counts.requests + counts.requests / 5 + 10;
                assert!(counts.all_attempts() <= most, "{strategy:?} {failure:?}: {counts:?}");
                assert!(counts.all_attempts() >= counts.requests, "each was tried: {counts:?}");
                assert_eq!(counts.good, 0);
            }
            world.check_at_rest();
        }
    }
}

#[test]
fn what_the_request_is_at_fault_for_is_tried_once() {
    for failure in [Failure::Invalid, Failure::AccessDenied] {
        let script = move |_, _| Does::badly(failure, 10);
        let mut world = World::new(13, 2, two(Strategy::SimpleShuffle), 500, Box::new(script));
        let counts = world.run(5_000);
        assert_eq!(counts.all_attempts(), counts.requests, "{failure:?}");
        assert!(counts.attempts.iter().all(|count| count * 3 > counts.requests), "{counts:?}");
    }
}

#[test]
fn retry_after_is_kept() {
    let script = |at: usize, ms: u64| {
        let bad = Does { retry_after_ms: Some(12_000), ..Does::badly(Failure::Throttled, 1) };
        if at == 0 && ms < 2_000 { bad } else { Does::well(10) }
    };
    let mut world = World::new(14, 1, two(Strategy::SimpleShuffle), 1_000, Box::new(script));
    let counts = world.run(11_000);
    assert!((1..=10).contains(&counts.attempts[0]), "those before its first answer: {counts:?}");
    world.run(2_000);
    let counts = world.run(2_000);
    assert!(counts.share(0) > 0.4, "{counts:?}");
}

#[test]
fn a_group_of_one_falls_back_and_is_left_alone() {
    let mut groups =
        vec![group(Strategy::SimpleShuffle, 0, 1), group(Strategy::SimpleShuffle, 1, 2)];
    groups[0].fallbacks = vec![1];
    let script = |at: usize, _| {
        if at == 0 { Does::badly(Failure::Throttled, 5) } else { Does::well(5) }
    };
    let mut world = World::new(15, 2, groups, 1_000, Box::new(script));
    world.run(1_000);
    let counts = world.run(30_000);
    assert_eq!(counts.good, counts.requests);
    assert!(counts.attempts[0] < 10, "{counts:?}");
    // Without anybody to stand in for it, it is asked on.
    let alone = vec![group(Strategy::SimpleShuffle, 0, 1)];
    let script = |_, ms: u64| {
        if ms % 1_000 < 500 { Does::badly(Failure::Throttled, 5) } else { Does::well(5) }
    };
    let mut world = World::new(16, 1, alone, 1_000, Box::new(script));
    let counts = world.run(20_000);
    assert!(counts.good * 10 > counts.requests * 4, "well for half of the time: {counts:?}");
}

#[test]
fn failover_by_weight_knows_no_tiers() {
    let mut one = group(Strategy::SimpleShuffle, 0, 3);
    for (member, order) in one.members.iter_mut().zip([1, 2, 3]) {
        member.order = order;
    }
    let script = |at: usize, _| {
        if at == 0 { Does::badly(Failure::ModelError, 5) } else { Does::well(5) }
    };
    let mut second = Vec::new();
    for weighted in [false, true] {
        one.weighted_failover = weighted;
        let mut world = World::new(17, 1, vec![one.clone()], 1_000, Box::new(script));
        let counts = world.run(10_000);
        assert_eq!(counts.good + counts.failed, counts.requests);
        second.push(counts.attempts[2] * 3 > counts.attempts[1]);
    }
    assert_eq!(second, [false, true]);
}
