//! What happens as the store behaves well and badly.

use super::world::*;
use crate::{
    boundary::ledger::entry::Outcome,
    control_plane::bookkeeper::Condition,
    limits::{STORE_AGAIN_MS_MAX, STORE_MS_MAX},
};

#[tokio::test(start_paused = true)]
async fn a_store_that_works_has_everything() {
    let world = World::new("works");
    let (writer, mut keeper) = world.start();
    for lap in 0..10 {
        push(&writer, lap * 5 + 1..=lap * 5 + 5);
        world.work(&mut keeper, 50).await;
    }
    assert_eq!(world.rows(), Vec::from_iter(1..=50));
    assert_eq!(*world.shown.borrow(), Vec::from_iter(1..=50));
    let report = report(&keeper);
    assert_eq!((report.recorded, report.lost, report.spilled, report.depth), (50, 0, 0, 0));
    assert_eq!((report.condition, world.said.borrow().len()), (Condition::Well, 0));
    assert!(world.files(".seg").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_aws_never_saw_is_shown_but_not_stored() {
    let world = World::new("pages");
    let (writer, mut keeper) = world.start();
    for (id, outcome) in [(1, Outcome::Page), (2, Outcome::Refused), (3, Outcome::NoAnswer)] {
        writer.push(&entry(id, outcome));
    }
    world.work(&mut keeper, 50).await;
    (4..=30).for_each(|id| {
        writer.push(&entry(id, Outcome::Page));
    });
    world.work(&mut keeper, 50).await;
    assert_eq!((world.rows(), world.store.calls.get()), (vec![3], 1));
    assert_eq!(world.shown.borrow().len(), 3 + 8, "the ring has room for eight at once");
    assert!(writer.has_room());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_loses_nothing() {
    for manners in [Manners::Fails, Manners::Hangs, Manners::Lies, Manners::FailsMidway] {
        let world = World::new("away");
        let (writer, mut keeper) = world.start();
        world.manners(manners);
        // Far more than the ring holds.
        for id in 1..=400 {
            push(&writer, id..=id);
            world.work(&mut keeper, 20).await;
        }
        let away = report(&keeper);
        assert!(matches!(away.condition, Condition::StoreAway { .. }), "{manners:?} {away:?}");
        assert!(away.spilled >= 390 && away.spill_bytes > 90_000, "{away:?}");
        assert_eq!((away.lost, away.recorded), (0, 0));
        assert_eq!(world.has_said("the store takes no entries"), 1, "{:?}", world.said.borrow());
        assert!(world.store.calls.get() < 10, "{} tries in 8 s", world.store.calls.get());
        world.manners(Manners::Works);
        world.work(&mut keeper, STORE_AGAIN_MS_MAX + STORE_MS_MAX).await;
        assert_eq!(world.rows(), Vec::from_iter(1..=400), "{manners:?}");
        assert_eq!(*world.shown.borrow(), Vec::from_iter(1..=400));
        assert!(world.files(".seg").is_empty(), "{manners:?}");
        let back = report(&keeper);
        assert_eq!((back.condition, back.spill_bytes, back.lost), (Condition::Well, 0, 0));
        assert_eq!(world.has_said("takes entries again"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_crawls_does_not_hold_the_ring() {
    let world = World::new("slow");
    let (writer, mut keeper) = world.start();
    world.manners(Manners::Slow(3000));
    for id in 1..=300 {
        push(&writer, id..=id);
        world.work(&mut keeper, 20).await;
    }
    let busy = report(&keeper);
    assert_eq!((busy.condition, busy.lost), (Condition::Well, 0));
    assert!(busy.spilled > 200, "{busy:?}");
    world.work(&mut keeper, 60_000).await;
    assert_eq!(world.rows(), Vec::from_iter(1..=300));
    assert!(world.files(".seg").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_loud_and_what_is_lost_is_counted() {
    let world = World::new("full");
    let (writer, mut keeper) = world.start_with(full_disk);
    world.manners(Manners::Fails);
    for id in 1..=20 {
        push(&writer, id..=id);
        world.work(&mut keeper, 500).await;
    }
    let full = report(&keeper);
    assert!(matches!(full.condition, Condition::DiskRefuses { .. }), "{full:?}");
    assert_eq!((full.lost, full.depth, full.spilled), (12, 8, 0));
    assert!(!writer.has_room());
    assert_eq!(world.has_said("ENTRIES WILL BE LOST"), 1, "{:?}", world.said.borrow());
    assert_eq!(world.has_said("No space left on device"), 1, "the system's own word");
    assert!((2..=4).contains(&world.has_said("requests were served without an account")));
    world.manners(Manners::Works);
    world.work(&mut keeper, STORE_AGAIN_MS_MAX + 1000).await;
    assert_eq!(world.rows(), Vec::from_iter(1..=8));
    assert_eq!(report(&keeper).condition, Condition::Well);
    assert!(writer.has_room());
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_answered_when_it_is_so() {
    let world = World::new("ask");
    let (writer, mut keeper) = world.start();
    let asker = keeper.asker();
    world.manners(Manners::Slow(1000));
    push(&writer, 1..=2);
    let asking = async {
        asker.shown().await;
        assert_eq!(world.shown.borrow().len(), 2);
        assert_eq!(world.rows().len(), 0);
        asker.settled().await;
        assert_eq!(world.rows(), [1, 2]);
    };
    tokio::select! {
        () = asking => {}
        () = world.work(&mut keeper, 10_000) => panic!("no answer"),
    }
    drop(keeper);
    asker.settled().await;
}
