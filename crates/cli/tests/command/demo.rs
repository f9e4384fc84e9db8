//! The demo, as everybody's first command.

use crate::world::World;
use serde_json::json;

#[test]
fn three_devices_end_with_the_same() {
    let world = World::new();
    let kept = world.path("kept");
    let told = crate::world::ended(
        world.command("nobody", &["demo", "--json", "--keep", kept.to_str().unwrap()]),
    )
    .ok();
    let summary: serde_json::Value =
        serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["equal"], true, "{summary}");

    // What it leaves can be looked at.
    let devices = world.json("kept/tablet", &["devices"]);
    assert_eq!(devices["devices"].as_array().unwrap().len(), 3);
    let status = world.json("kept/phone", &["status"]);
    let records = status["collections"].as_array().unwrap().iter().map(|it| &it["records"]);
    assert_eq!(records.collect::<Vec<_>>(), [&json!(3_376), &json!(1_707)], "{status}");
}
