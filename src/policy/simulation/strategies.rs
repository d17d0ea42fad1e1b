//! Whom each strategy picks, while all is well.

use super::{
    super::group::Strategy,
    world::{Does, World, as_f64, group},
};

fn check_share(world: &World, deployment: usize, expected: f64) {
    let share = world.counts.share(deployment);
    assert!((share - expected).abs() < 0.02, "{deployment} has {share}, not {expected}");
}

fn all_good(world: &World) {
    world.check_at_rest();
    assert_eq!(world.counts.good, world.counts.requests);
    assert_eq!(world.counts.all_attempts(), world.counts.requests, "nothing is asked twice");
}

#[test]
fn simple_shuffle_follows_the_weights() {
    let mut one = group(Strategy::SimpleShuffle, 0, 4);
    for (member, weight) in one.members.iter_mut().zip([1, 2, 5, 0]) {
        member.weight = weight;
    }
    let mut world = World::new(1, 4, vec![one], 100, Box::new(|_, _| Does::well(30)));
    world.run(5_000);
    all_good(&world);
    [1.0 / 8.0, 2.0 / 8.0, 5.0 / 8.0, 0.0]
        .into_iter()
        .enumerate()
        .for_each(|(at, share)| check_share(&world, at, share));
}

#[test]
fn least_busy_levels_what_is_under_way() {
    // One takes four times as long as the others: as many are under way there, so it gets a quarter of theirs.
    let slow = |at: usize, _| Does::well(20).streaming(if at == 0 { 380 } else { 80 });
    let mut world = World::new(2, 2, vec![group(Strategy::LeastBusy, 0, 4)], 200, Box::new(slow));
    world.run(10_000);
    all_good(&world);
    check_share(&world, 0, 1.0 / 13.0);
    (1..4).for_each(|at| check_share(&world, at, 4.0 / 13.0));
    let most = |at: usize| as_f64(world.counts.at_once[at]);
    assert!(most(0) < 1.3 * most(1) && most(1) < 1.3 * most(0), "{:?}", world.counts.at_once);
}

#[test]
fn latency_based_prefers_the_quick_and_leaves_what_turns_slow() {
    let turns = |at: usize, ms: u64| {
        let is_slow = at == 0 && (4_000..8_000).contains(&ms);
        Does::well(if is_slow { 800 } else { 20 * (at as u64 + 1) })
    };
    let one = group(Strategy::LatencyBased, 0, 3);
    let mut world = World::new(3, 2, vec![one], 1_000, Box::new(turns));
    world.run(4_000);
    all_good(&world);
    let counts = &world.counts;
    assert!(counts.share(0) > 0.5 && counts.share(2) < 0.2, "{:?}", counts.attempts);
    assert!(counts.attempts[2] > 10, "it is looked at now and then");
    world.run(4_000);
    assert!(world.counts.share(0) < 0.1, "slow now: {:?}", world.counts.attempts);
    // Well again: what is not asked is forgotten, by half in ten seconds.
    world.run(60_000);
    world.run(4_000);
    assert!(world.counts.share(0) > 0.5, "{:?}", world.counts.attempts);
}

#[test]
fn latency_based_explores_the_cold_by_one_request_at_a_time() {
    // Nobody knows yet that the third, which is new, takes ten seconds.
    let script = |at: usize, _| Does::well(if at == 2 { 10_000 } else { 20 });
    let (cores, mut one) = (4, group(Strategy::LatencyBased, 0, 3));
    let new = one.members.pop().unwrap();
    let mut world = World::new(4, cores, vec![one], 500, Box::new(script));
    world.run(1_000);
    world.groups[0].members.push(new);
    world.reload();
    world.run(9_000);
    all_good(&world);
    assert_eq!(world.counts.at_once[2], cores as u64, "one of each core: {:?}", world.counts);
    assert_eq!(world.counts.attempts[2], cores as u64);
}

#[test]
fn usage_based_levels_what_is_left_and_never_exceeds_it() {
    let mut one = group(Strategy::UsageBased, 0, 3);
    for (member, rpm) in one.members.iter_mut().zip([600, 1_200, 2_400]) {
        member.limits.rpm = Some(rpm);
    }
    // 2,100 in a minute: half of what is allowed.
    let mut world = World::new(5, 4, vec![one], 28_571, Box::new(|_, _| Does::well(50)));
    world.run(59_000);
    all_good(&world);
    (0..3).for_each(|at| check_share(&world, at, as_f64(1 << at) / 7.0));
    // Now three times as much as is allowed, within a minute.
    let mut one = group(Strategy::UsageBased, 0, 3);
    one.members.iter_mut().for_each(|member| member.limits.tpm = Some(4_000));
    let mut world = World::new(6, 4, vec![one], 4_000, Box::new(|_, _| Does::well(50)));
    world.run(50_000);
    world.check_at_rest();
    let counts = &world.counts;
    assert_eq!(counts.failed, 0);
    assert!(counts.refused > 0, "nobody has room");
    // 4,000 tokens are 400 answers, and those under way when the last one ends.
    assert!(counts.attempts.iter().all(|count| (400..450).contains(count)), "{counts:?}");
}

#[test]
fn enforced_limits_hold_over_all_cores() {
    let mut one = group(Strategy::SimpleShuffle, 0, 2);
    for member in &mut one.members {
        member.limits.are_enforced = true;
        member.limits.rpm = Some(100);
        member.limits.max_parallel = Some(7);
    }
    let mut world = World::new(7, 4, vec![one], 2_000, Box::new(|_, _| Does::well(40)));
    world.run(30_000);
    world.check_at_rest();
    assert_eq!(world.counts.attempts, [100, 100]);
    assert!(world.counts.at_once.iter().all(|most| *most <= 7), "{:?}", world.counts);
    assert_eq!(world.counts.failed, 0);
}

#[test]
fn cost_based_takes_the_cheapest_that_may_be_asked() {
    let mut one = group(Strategy::CostBased, 0, 4);
    for (member, cost) in one.members.iter_mut().zip([Some(30), None, Some(7), Some(7)]) {
        member.cost = cost;
    }
    one.members[2].limits.max_parallel = Some(5);
    one.members[3].limits.max_parallel = Some(5);
    let mut world = World::new(8, 1, vec![one], 2_000, Box::new(|_, _| Does::well(50)));
    world.run(20_000);
    all_good(&world);
    let counts = &world.counts;
    // 25 are under way in the mean: the two cheapest take five each, the next all the rest.
    assert_eq!(counts.at_once[2..], [5, 5]);
    assert_eq!(counts.attempts[1], 0, "what has no known price comes last");
    check_share(&world, 2, counts.share(3));
    assert!(counts.share(0) > 0.4);
}

#[test]
fn tiers_are_asked_in_their_order() {
    let mut one = group(Strategy::SimpleShuffle, 0, 4);
    for (member, order) in one.members.iter_mut().zip([2, 1, 1, u32::MAX]) {
        member.order = order;
    }
    one.members[1].limits.max_parallel = Some(3);
    one.members[2].limits.max_parallel = Some(3);
    let mut world = World::new(9, 1, vec![one], 3_000, Box::new(|_, _| Does::well(30)));
    world.run(10_000);
    all_good(&world);
    let counts = &world.counts;
    assert_eq!(counts.attempts[3], 0, "no order: after all that have one");
    assert!(counts.at_once[1] == 3 && counts.at_once[2] == 3 && counts.attempts[0] > 0);
    check_share(&world, 1, counts.share(2));
}

/// Four cores, a hundred deployments, faults of every kind now and then: a million decisions.
#[test]
fn a_million_decisions_in_seconds() {
    use crate::bedrock::failure::Failure;
    let mut seed = 1_u64;
    for strategy in Strategy::ALL {
        seed += 10;
        let mut one = group(strategy, 0, 100);
        for (member, at) in one.members.iter_mut().zip(0..) {
            member.weight = at % 7;
            member.limits.rpm = Some(100_000);
        }
        let script = |at: usize, ms: u64| match fastrand::Rng::with_seed(ms << 10 | at as u64)
            .u64(..10_000)
        {
            roll @ 0..=18 => Does::badly(Failure::ALL[usize::try_from(roll).unwrap()], 5),
            roll => Does::well(5 + roll / 500),
        };
        let mut world = World::new(seed, 4, vec![one], 100, Box::new(script));
        let mut decisions = 0;
        while decisions < 200_000 {
            let counts = world.run(2_000);
            decisions += counts.all_attempts();
            assert!(counts.good * 100 > counts.requests * 99, "{strategy:?}: {counts:?}");
            world.check_at_rest();
        }
    }
}
