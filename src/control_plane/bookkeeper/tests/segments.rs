//! Segments that are cut, broken, or no segments at all.

use std::fs;

use super::world::*;
use crate::boundary::ledger::entry::ENTRY_BYTES;

/// The segment of a process that could record nothing: ids 1 to 5.
async fn segment(world: &World) -> std::path::PathBuf {
    world.manners(Manners::Fails);
    let (writer, mut keeper) = world.start();
    push(&writer, 1..=5);
    world.work(&mut keeper, 100).await;
    world.manners(Manners::Works);
    world.files(".seg").pop().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_whole_is_recorded_and_what_is_torn_is_counted() {
    let world = World::new("torn");
    let path = segment(&world).await;
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 6 * ENTRY_BYTES);
    bytes[2 * ENTRY_BYTES + 77] ^= 1; // the second entry
    bytes.truncate(6 * ENTRY_BYTES - 100); // the last
    fs::write(&path, &bytes).unwrap();
    let (_writer, mut keeper) = world.start();
    world.work(&mut keeper, 100).await;
    assert_eq!((world.rows(), report(&keeper).torn), (vec![1, 3, 4], 2));
    assert!(world.files(".seg").is_empty());
}

#[tokio::test(start_paused = true)]
async fn replaying_twice_changes_nothing() {
    let world = World::new("twice");
    let path = segment(&world).await;
    let bytes = fs::read(&path).unwrap();
    for round in 0..2 {
        fs::write(&path, &bytes).unwrap();
        let (_writer, mut keeper) = world.start();
        world.work(&mut keeper, 100).await;
        assert_eq!((world.rows(), world.store.repeated.get()), (vec![1, 2, 3, 4, 5], 5 * round));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_segment_is_set_aside() {
    let world = World::new("odd");
    fs::create_dir_all(&world.folder).unwrap();
    fs::write(world.folder.join("spill-3.seg"), b"").unwrap();
    fs::write(world.folder.join("spill-4.seg"), b"my shopping list").unwrap();
    fs::create_dir(world.folder.join("spill-5.seg")).unwrap();
    fs::write(world.folder.join("spill-x.seg"), b"").unwrap();
    let (writer, mut keeper) = world.start();
    push(&writer, 1..=1);
    world.work(&mut keeper, 100).await;
    assert_eq!(world.rows(), [1]);
    assert!(!world.folder.join("spill-3.seg").exists());
    let aside = fs::read(world.folder.join("spill-4.seg.damaged-1")).unwrap();
    assert_eq!(aside, b"my shopping list");
    assert_eq!(world.has_said("spill-5.seg cannot be read"), 1, "{:?}", world.said.borrow());
}
