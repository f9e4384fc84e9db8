//! A real process, ended by SIGKILL before each of the requests that it makes.
//!
//! Every device reaches the host through a gate of its own, which is the proxy that the device is
//! told to use. A gate counts its device's requests, and before the n-th passes it kills the
//! process. Then the person does what a person does: goes on with the pairing if the device says
//! that one is pending, else begins it again; runs the command again. n runs from 0 until a process
//! ends without having been killed, so no moment is left out.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::world::{Running, World};

/// What the devices call the host. No device may ever look this name up: the gates know where it is.
const HOST: &str = "http://home.invalid";

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
                thread::spawn(move || pass(&client, host, &state));
            }
        });
        Gate { address, state }
    }

    /// Lets `before` requests of the next process pass, and kills it at the next one. Requests wait
    /// until the process is named.
    fn arm(&self, before: u32) {
        *self.state.0.lock().unwrap() = Watched { left: Some(before), victim: None };
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

/// Passes one connection on until either side ends it. Ends it where the process has to die.
fn pass(mut client: &TcpStream, host: SocketAddr, state: &(Mutex<Watched>, Condvar)) {
    let Ok(mut server) = TcpStream::connect(host) else { return };
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        // However it ends, there will be no more answers.
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 65_536];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let methods: [&[u8]; 4] = [b"GET ", b"PUT ", b"POST ", b"HEAD "];
        let begins = methods.iter().any(|method| bytes[..count].starts_with(method));
        if begins && !may_pass(state) || server.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn may_pass((watched, changed): &(Mutex<Watched>, Condvar)) -> bool {
    let unknown = |watched: &mut Watched| watched.left.is_some() && watched.victim.is_none();
    let mut watched = changed.wait_while(watched.lock().unwrap(), unknown).unwrap();
    match (watched.left, watched.victim) {
        (Some(0), Some(victim)) => {
            // It may have made several requests at once, and be dead by now.
            let _ = Command::new("kill").args(["-KILL", &victim.to_string()]).output();
            false
        }
        (Some(left), _) => {
            watched.left = Some(left - 1);
            true
        }
        (None, _) => true,
    }
}

/// Devices with something in them, the first of which has the host. One of them is behind a gate
/// that can be armed.
struct Gated {
    world: World,
    victim: &'static str,
    gate: Gate,
    /// The others'.
    _open: Gate,
}

impl Gated {
    fn new(devices: &[&str], victim: &'static str) -> Gated {
        let mut world = World::hosted();
        let host = world.url().trim_start_matches("http://").parse().unwrap();
        let (gate, open) = (Gate::before(host), Gate::before(host));
        for device in devices {
            world.bare(device);
            world.send_through(device, if *device == victim { gate.address } else { open.address });
            let text = format!("text={device}");
            world.run(device, &["records", "set", "notes", "--key", device, &text]).ok();
            world.run(device, &["records", "set", "notes", "--key", "both", &text]).ok();
        }
        world.uses(devices[0], HOST);
        Gated { world, victim, gate, _open: open }
    }

    /// The first two are paired, and nobody dies.
    fn paired(devices: &[&str], victim: &'static str) -> Gated {
        let gated = Gated::new(devices, victim);
        gated.world.pair(devices[0], devices[1]);
        gated
    }

    /// One device shows a code and another one joins; the victim is killed before a request, and
    /// its person goes on. Tells whether it survived.
    fn pair(&self, shows: &'static str, scans: &'static str, before: u32) -> bool {
        let Gated { world, victim, gate, .. } = self;
        if *victim == shows {
            gate.arm(before);
        }
        let mut initiator = world.start(shows, &["pair", "--yes"]);
        let code = initiator.next("code")["code"].as_str().unwrap().to_owned();
        if *victim == scans {
            gate.arm(before);
        }
        let joiner = world.start(scans, &["join", &code, "--yes"]);
        let (one, other) = if *victim == shows { (initiator, joiner) } else { (joiner, initiator) };
        gate.watch(&one);
        let survived = one.survives();
        gate.open();
        if !survived {
            let status = world.json(victim, &["status"]);
            let again: &[&str] = match (*victim == shows, status["pairing_pending"] == true) {
                (true, true) => &["pair", "--resume"],
                (false, true) => &["join", "--resume"],
                (false, false) if !self.knows(scans, shows) => &["join", &code, "--yes"],
                _ => &["sync"],
            };
            assert_eq!(world.start(victim, again).end().code, 0, "{again:?}");
        }
        assert_eq!(other.end().code, 0);
        survived
    }

    /// The victim's round of synchronisation is killed before a request. Tells whether it survived.
    fn sync(&self, before: u32) -> bool {
        self.gate.arm(before);
        let sync = self.world.start(self.victim, &["sync"]);
        self.gate.watch(&sync);
        let survived = sync.survives();
        self.gate.open();
        survived
    }

    fn knows(&self, device: &str, other: &str) -> bool {
        let devices = self.world.json(device, &["devices"]);
        devices["devices"].as_array().unwrap().iter().any(|it| it["name"] == other)
    }

    /// All know each other and hold the same: what each had, and one conflict.
    #[track_caller]
    fn are_in_step(&self, devices: &[&str]) {
        let world = &self.world;
        world.sync(devices);
        let exports = devices.iter().map(|device| {
            assert!(devices.iter().all(|other| self.knows(device, other)));
            assert_eq!(world.json(device, &["status"])["pairing_pending"], false);
            let conflicts = world.json(device, &["conflicts"]);
            assert_eq!(conflicts["conflicts"].as_array().unwrap().len(), 1);
            let notes = world.run(device, &["records", "export", "notes"]).ok().out;
            for key in devices {
                assert!(notes.contains(&format!("\"text\":\"{key}\"")), "{key}: {notes}");
            }
            (world.content(device), notes)
        });
        let exports: Vec<_> = exports.collect();
        assert!(exports.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

/// Runs a story with n from 0 until nobody dies in it.
fn at_every_request(at_least: u32, story: impl Fn(u32) -> bool) {
    let requests = (0..).find(|n| story(*n)).unwrap();
    println!("killed before each of {requests} requests");
    assert!(requests >= at_least, "{requests} are too few");
}

#[test]
fn the_initiator_is_killed_before_each_request() {
    at_every_request(6, |n| {
        let gated = Gated::new(&["laptop", "phone"], "laptop");
        let survived = gated.pair("laptop", "phone", n);
        gated.are_in_step(&["laptop", "phone"]);
        survived
    });
}

#[test]
fn the_joiner_is_killed_before_each_request() {
    at_every_request(6, |n| {
        let gated = Gated::new(&["laptop", "phone"], "phone");
        let survived = gated.pair("laptop", "phone", n);
        gated.are_in_step(&["laptop", "phone"]);
        survived
    });
}

#[test]
fn a_third_device_is_killed_before_each_request_of_its_pairing() {
    at_every_request(6, |n| {
        let gated = Gated::paired(&["laptop", "phone", "tablet"], "tablet");
        let survived = gated.pair("laptop", "tablet", n);
        gated.are_in_step(&["laptop", "phone", "tablet"]);
        survived
    });
}

/// Both have edited since, and there is a third device that the victim does not know yet.
#[test]
fn a_device_is_killed_before_each_request_of_a_round() {
    at_every_request(6, |n| {
        let gated = Gated::paired(&["laptop", "phone", "tablet"], "phone");
        gated.world.pair("laptop", "tablet");
        for device in ["laptop", "phone"] {
            let text = format!("text={device}");
            gated.world.run(device, &["records", "set", "late", "--key", device, &text]).ok();
        }
        gated.world.sync(&["laptop"]);
        let survived = gated.sync(n);
        gated.are_in_step(&["laptop", "phone", "tablet"]);
        let late = gated.world.run("tablet", &["records", "export", "late"]).ok().out;
        assert!(["laptop", "phone"].iter().all(|key| late.contains(key)), "{late}");
        survived
    });
}
