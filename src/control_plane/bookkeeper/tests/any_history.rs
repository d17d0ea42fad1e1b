//! Any history of pushes, manners, waits and deaths: what was pushed is stored or counted as lost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::world::*;

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Manners(Manners),
    Wait(u64),
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    let manners = prop_oneof![
        3 => Just(Manners::Works),
        1 => Just(Manners::Fails),
        1 => Just(Manners::Hangs),
        1 => Just(Manners::Slow(700)),
        1 => Just(Manners::Lies),
        1 => Just(Manners::FailsMidway),
    ];
    prop_oneof![
        6 => (1_u8..7).prop_map(Step::Push),
        3 => manners.prop_map(Step::Manners),
        5 => (1_u64..3000).prop_map(Step::Wait),
        1 => Just(Step::Die),
    ]
}

async fn live(steps: Vec<Step>) {
    let world = World::new("history");
    let (mut writer, mut keeper) = world.start();
    let mut next = 1;
    let mut kept = BTreeSet::new();
    for step in steps {
        match step {
            Step::Push(count) => {
                for id in next..next + u128::from(count) {
                    let lost = writer.lost();
                    push(&writer, id..=id);
                    if writer.lost() == lost {
                        kept.insert(id);
                    }
                }
                next += u128::from(count);
            }
            Step::Manners(manners) => world.manners(manners),
            Step::Wait(ms) => world.work(&mut keeper, ms).await,
            Step::Die => {
                drop((writer, keeper));
                (writer, keeper) = world.start();
            }
        }
    }
    world.manners(Manners::Works);
    world.work(&mut keeper, 120_000).await;
    let kept: Vec<u128> = kept.into_iter().collect();
    assert_eq!(world.rows(), kept);
    let mut shown = world.shown.borrow().clone();
    shown.sort_unstable();
    assert_eq!(shown, kept, "each once");
    assert!(world.files(".seg").is_empty() && world.files(".ring").len() == 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn pushed_is_stored_or_lost(steps in prop::collection::vec(step(), 1..40)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(live(steps));
    }
}
