//! Blocks that are gone from the services, for good or for a while.

use std::fs;
use std::path::PathBuf;

use handfast_ipfs::Cid;

use super::people;
use super::power::Power;
use super::story;
use super::world::{HOST, World, trial};
use crate::store::{cuts, logs};

/// Where the host keeps a block of a log of one device that another one lists.
fn block_of(world: &World, name: &str, lister: &str) -> PathBuf {
    let writer = world.device(name).id();
    let cids: Vec<Cid> = world
        .device(lister)
        .0
        .store
        .read(|tx| {
            let logs = logs::all(tx)?.into_iter().filter(|log| log.device == writer);
            let cuts = logs.map(|log| cuts::of_log(tx, log.id));
            Ok(cuts
                .collect::<Result<Vec<_>, _>>()?
                .concat()
                .into_iter()
                .flat_map(|cut| cut.cids)
                .collect())
        })
        .unwrap();
    let wanted = cids.first().unwrap().to_string();
    let shards = fs::read_dir(world.home(HOST).join("blocks")).unwrap();
    let paths = shards.map(|shard| shard.unwrap().path().join(&wanted));
    paths.into_iter().find(|path| path.exists()).unwrap()
}

/// A newcomer gets everything but the log whose block is gone, is told so, and gets that, too, when
/// the block is back.
#[test]
fn a_lost_block_keeps_nothing_else_back() {
    trial(async {
        let world = World::new().await;
        story::beginning(&world).await;
        story::pairing(&world).await;
        // More than travels inside of an index.
        for number in 0..150 {
            world.write("b", ["photos", &number.to_string(), "size", "1"]).await;
        }
        world.settle(&["a", "b"]).await;
        let lost = block_of(&world, "b", "a");
        let bytes = fs::read(&lost).unwrap();
        fs::remove_file(&lost).unwrap();
        world.end("b").await;

        world.create("c");
        people::pair(&world, "a", "c").await;
        let records = |name: &str| world.device(name).record_count().unwrap();
        assert!((1..=records("a") - 150).contains(&records("c")), "{}", records("c"));
        let report = world.device("c").sync().await.unwrap();
        assert_eq!(report.trouble.len(), 1, "{:?}", report.trouble);

        fs::write(&lost, bytes).unwrap();
        world.open("b", Power::lasting());
        world.settle(&["a", "b", "c"]).await;
        world.check(&["a", "b", "c"]);
    });
}
