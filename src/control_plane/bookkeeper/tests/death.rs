//! Ends, in order and otherwise, and the starts after them.

use std::time::Duration;

use super::world::*;
use crate::{
    boundary::ledger::entry::Outcome,
    control_plane::bookkeeper::{Bookkeeper, Finished},
};

async fn finish(world: &World, keeper: Bookkeeper<std::rc::Rc<Store>>) -> Finished {
    let limit = Duration::from_secs(2);
    keeper.finish(limit, |entries| world.observe(entries), |line| world.say(line)).await
}

#[tokio::test(start_paused = true)]
async fn after_an_end_in_order_nothing_is_left() {
    let world = World::new("finish");
    let (writer, mut keeper) = world.start();
    push(&writer, 1..=3);
    world.work(&mut keeper, 30).await;
    push(&writer, 4..=6);
    let _cut = writer.begin(&entry(7, Outcome::Open));
    drop(writer);
    assert_eq!(finish(&world, keeper).await, Finished::Recorded);
    assert_eq!(world.rows(), Vec::from_iter(1..=7));
    assert_eq!(world.store.rows.borrow()[&7], Outcome::Interrupted);
    assert_eq!(*world.shown.borrow(), Vec::from_iter(1..=7));
    assert_eq!(world.files("").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_take_at_the_end_waits_in_segments() {
    for manners in [Manners::Fails, Manners::Hangs, Manners::Lies] {
        let world = World::new("finish-away");
        let (writer, keeper) = world.start();
        world.manners(manners);
        push(&writer, 1..=6);
        drop(writer);
        let finished =
            tokio::time::timeout(Duration::from_millis(2001), finish(&world, keeper)).await;
        assert_eq!(finished, Ok(Finished::Spilled), "{manners:?}");
        assert_eq!((world.files(".ring").len(), world.files(".seg").len()), (0, 1));
        world.manners(Manners::Works);
        let (writer, mut keeper) = world.start();
        world.work(&mut keeper, 100).await;
        assert_eq!(world.rows(), Vec::from_iter(1..=6));
        assert_eq!(world.shown.borrow().len(), 6, "once, though they came twice");
        drop(writer);
        assert_eq!(finish(&world, keeper).await, Finished::Recorded);
        assert_eq!(world.files("").len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn with_neither_store_nor_disk_the_ring_keeps_it() {
    let world = World::new("finish-full");
    let (writer, keeper) = world.start_with(full_disk);
    world.manners(Manners::Fails);
    push(&writer, 1..=6);
    let _cut = writer.begin(&entry(7, Outcome::Open));
    drop(writer);
    assert_eq!(finish(&world, keeper).await, Finished::LeftInRings);
    world.manners(Manners::Works);
    let (_writer, mut keeper) = world.start();
    world.work(&mut keeper, 100).await;
    assert_eq!(world.rows(), Vec::from_iter(1..=7));
    assert_eq!(world.shown.borrow().len(), 7);
    assert_eq!(world.files(".ring").len(), 1, "the new one");
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_moment_loses_nothing_and_shows_nothing_twice() {
    let world = World::new("death");
    world.manners(Manners::Fails);
    let mut next = 1;
    for ms in [0, 5, 21, 90, 1100, 4000] {
        let (writer, mut keeper) = world.start();
        for _ in 0..3 {
            push(&writer, next..=next + 1);
            next += 2;
            world.work(&mut keeper, ms).await;
        }
        let _ticket = writer.begin(&entry(next, Outcome::Open));
        next += 1;
    }
    assert!(world.rows().is_empty());
    world.manners(Manners::Works);
    let (_writer, mut keeper) = world.start();
    world.work(&mut keeper, 1000).await;
    assert_eq!(world.rows(), Vec::from_iter(1..next));
    let interrupted =
        world.store.rows.borrow().values().filter(|it| **it == Outcome::Interrupted).count();
    assert_eq!(interrupted, 6);
    let mut shown = world.shown.borrow().clone();
    shown.sort_unstable();
    assert_eq!(shown, Vec::from_iter(1..next));
    assert_eq!((world.files(".ring").len(), world.files(".seg").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn processes_share_a_folder() {
    let world = World::new("shared");
    let (first_writer, mut first) = world.start();
    let (second_writer, mut second) = world.start();
    world.manners(Manners::Fails);
    push(&first_writer, 1..=4);
    push(&second_writer, 11..=14);
    world.work(&mut first, 100).await;
    world.work(&mut second, 100).await;
    assert_eq!(world.files(".seg").len(), 2, "each its own");
    world.manners(Manners::Works);
    world.work(&mut first, 2000).await;
    assert_eq!(world.rows(), [1, 2, 3, 4], "the second's is locked");
    drop((second_writer, second));
    let (_writer, mut third) = world.start();
    world.work(&mut third, 100).await;
    assert_eq!(world.rows(), [1, 2, 3, 4, 11, 12, 13, 14]);
}
