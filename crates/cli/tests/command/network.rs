//! Devices that are online together, on a network of their own.

use crate::world::World;

#[test]
fn an_edit_reaches_a_device_that_is_online_without_a_provider() {
    let mut world = World::paired();
    let mut node = world.start("nobody", &["dht", "--listen", "127.0.0.1:0"]);
    let address = node.next("listening")["address"].as_str().unwrap().to_owned();
    world.stop_host();
    let watch = ["sync", "--watch", "--dht", "local", "--bootstrap", &address];
    let (mut laptop, mut phone) = (world.start("laptop", &watch), world.start("phone", &watch));
    assert_eq!(laptop.next("connected")["name"], "phone");
    assert_eq!(phone.next("connected")["name"], "laptop");
    world.run("laptop", &["records", "set", "notes", "--key", "milk", "text=oat"]).ok();
    assert_eq!(phone.next("records_changed")["collection"], "notes");
    world.run("phone", &["records", "get", "notes", "--key", "milk"]).ok();
}

#[test]
fn what_names_no_node_is_refused() {
    let world = World::paired();
    for node in ["somewhere", "somewhere:0", ":49737", "somewhere:port"] {
        let watch = ["sync", "--watch", "--dht", "local", "--bootstrap", node];
        let message = world.fails("laptop", &watch, 2, "usage");
        assert!(message.contains("HOST:PORT"), "{message}");
    }
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let world = World::new();
    let mut node = world.start("nobody", &["dht", "--listen", "127.0.0.1:0"]);
    let address = node.next("listening")["address"].as_str().unwrap().to_owned();
    world.fails("nobody", &["dht", "--listen", &address], 1, "listen");
}
