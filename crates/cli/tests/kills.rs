//! A real process, ended by SIGKILL before each of the requests that joining makes.
//!
//! A gate stands between the device and the host. It counts that device's requests, and before the
//! n-th passes it kills the process. Then the person does what a person does: goes on with the
//! pairing if the device says that one is pending, else begins it again. n runs from 1 until the
//! pairing ends without a death, so no moment is left out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod world;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use world::{Running, TOKEN, World, ended};

/// Between a device and the host.
struct Gate {
    address: SocketAddr,
    state: Arc<(Mutex<Watched>, Condvar)>,
}

#[derive(Default)]
struct Watched {
    /// The process whose requests are counted, once it is known.
    victim: Option<u32>,
    /// How many of them pass; `None`: all.
    left: Option<u32>,
    /// How many have passed.
    passed: u32,
}

impl Gate {
    fn before(host: SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<(Mutex<Watched>, Condvar)> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                thread::spawn(move || pass(client, host, &state));
            }
        });
        Gate { address, state }
    }

    /// Lets `before` requests of the next process pass, and kills it at the next one. Requests wait
    /// until the process is named.
    fn arm(&self, before: u32) {
        *self.state.0.lock().unwrap() = Watched { left: Some(before), ..Watched::default() };
    }

    fn watch(&self, victim: &Running) {
        self.state.0.lock().unwrap().victim = Some(victim.id());
        self.state.1.notify_all();
    }

    fn open(&self) {
        *self.state.0.lock().unwrap() = Watched::default();
        self.state.1.notify_all();
    }
}

/// Passes one connection on. Ends it where the process has to die.
fn pass(mut client: TcpStream, host: SocketAddr, state: &(Mutex<Watched>, Condvar)) {
    let Ok(mut server) = TcpStream::connect(host) else { return };
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut answers, &mut back));
    let mut bytes = [0; 65_536];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let methods: [&[u8]; 4] = [b"GET ", b"PUT ", b"POST ", b"HEAD "];
        let begins = methods.iter().any(|method| bytes[..count].starts_with(method));
        if begins && !may_pass(state) || server.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

fn may_pass((watched, changed): &(Mutex<Watched>, Condvar)) -> bool {
    let known = |watched: &mut Watched| watched.left.is_some() && watched.victim.is_none();
    let mut watched = changed.wait_while(watched.lock().unwrap(), known).unwrap();
    match (watched.left, watched.victim) {
        (Some(0), Some(victim)) => {
            let _ = Command::new("kill").args(["-KILL", &victim.to_string()]).status();
            false
        }
        (Some(left), _) => {
            watched.left = Some(left - 1);
            watched.passed += 1;
            true
        }
        (None, _) => true,
    }
}

/// Two devices with something in them, one of which is behind a gate.
fn world(gated: &str) -> (World, Gate) {
    let world = World::hosted();
    let host = world.url().trim_start_matches("http://").parse().unwrap();
    let gate = Gate::before(host);
    for device in ["laptop", "phone"] {
        world.bare(device);
        let url = if device == gated { format!("http://{}", gate.address) } else { world.url() };
        let mut command = world.command(device, &["provider", "set", "self-hosted"]);
        command.args(["--endpoint", &url]).env("HANDFAST_AUTH_TOKEN", TOKEN);
        ended(command).ok();
        let text = format!("text={device}");
        world.run(device, &["records", "set", "notes", "--key", device, &text]).ok();
        world.run(device, &["records", "set", "notes", "--key", "both", &text]).ok();
    }
    (world, gate)
}

fn is_pending(world: &World, device: &str) -> bool {
    world.json(device, &["status"])["pairing_pending"] == true
}

fn is_paired(world: &World, device: &str) -> bool {
    world.json(device, &["devices"])["devices"].as_array().unwrap().len() == 2
}

fn code(shows: &mut Running) -> String {
    shows.next("code")["code"].as_str().unwrap().to_owned()
}

/// Both are paired and hold the same: what both had, and the conflict that it made.
#[track_caller]
fn are_in_step(world: &World) {
    for device in ["laptop", "phone", "laptop", "phone"] {
        world.run(device, &["sync"]).ok();
    }
    let hash = |device| world.json(device, &["status"])["content_hash"].clone();
    assert_eq!(hash("laptop"), hash("phone"));
    let [laptop, phone] = ["laptop", "phone"].map(|device| {
        assert!(is_paired(world, device));
        assert!(!is_pending(world, device));
        let conflicts = world.json(device, &["conflicts"]);
        assert_eq!(conflicts["conflicts"].as_array().unwrap().len(), 1);
        world.run(device, &["records", "export", "notes"]).ok().out
    });
    assert_eq!(laptop, phone);
    assert_eq!(laptop.lines().count(), 3);
}

#[test]
fn the_joiner_is_killed_before_each_request() {
    for n in 0.. {
        let (world, gate) = world("phone");
        let mut shows = world.start("laptop", &["pair", "--yes"]);
        let code = code(&mut shows);
        gate.arm(n);
        let scans = world.start("phone", &["join", &code, "--yes"]);
        gate.watch(&scans);
        let survived = scans.survives();
        gate.open();
        if !survived {
            if is_pending(&world, "phone") {
                assert_eq!(world.start("phone", &["join", "--resume"]).end().code, 0);
            } else if !is_paired(&world, "phone") {
                assert_eq!(world.start("phone", &["join", &code, "--yes"]).end().code, 0);
            }
        }
        assert_eq!(shows.end().code, 0);
        are_in_step(&world);
        if survived {
            assert!(n > 5, "a pairing takes more requests than {n}");
            return;
        }
    }
}
