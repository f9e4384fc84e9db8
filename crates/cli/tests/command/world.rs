//! The built binary, run in homes of its own over a host of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use handfast_host::{Host, RunningHost};
use handfast_swarm::testnet::Testnet;
use serde_json::Value;
use tempfile::TempDir;

/// How long a line is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub const TOKEN: &str = "a-token-that-is-long-enough";

/// A folder for homes and files, and maybe a host.
pub struct World {
    pub dir: TempDir,
    host: Option<(tokio::runtime::Runtime, RunningHost)>,
    /// Which devices reach others through a proxy, and through which.
    proxies: BTreeMap<String, SocketAddr>,
}

impl World {
    pub fn new() -> World {
        World { dir: tempfile::tempdir().unwrap(), host: None, proxies: BTreeMap::new() }
    }

    /// With a host on a free port.
    pub fn hosted() -> World {
        let mut world = World::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let host = Host::builder(world.path("host")).token(TOKEN).unwrap();
        let host = runtime.block_on(host.start()).unwrap();
        world.host = Some((runtime, host));
        world
    }

    /// Two devices that are paired, with nothing in them.
    pub fn paired() -> World {
        let world = World::hosted();
        world.device("laptop");
        world.bare("phone");
        world.pair("laptop", "phone");
        world
    }

    /// What both have done to two of their notes before they have met again: one was changed by both,
    /// the other one changed and deleted.
    pub fn disagree(&self) {
        self.set_note("laptop", "a", "milk");
        self.set_note("laptop", "b", "bread");
        self.sync(&["laptop", "phone"]);
        self.set_note("laptop", "a", "oat milk");
        self.set_note("phone", "a", "soy milk, half a litre of it");
        self.set_note("laptop", "b", "rye");
        self.json("phone", &["records", "delete", "notes", "--key", "b"]);
        self.sync(&["laptop", "phone"]);
    }

    pub fn set_note(&self, device: &str, key: &str, text: &str) {
        let field = format!("text={text}");
        self.json(device, &["records", "set", "notes", "--key", key, &field]);
    }

    /// The host is gone from now on.
    pub fn stop_host(&mut self) {
        if let Some((runtime, host)) = self.host.take() {
            runtime.block_on(host.shutdown());
        }
    }

    pub fn url(&self) -> String {
        self.host.as_ref().unwrap().1.url()
    }

    /// From now on this device reaches all but this machine through that proxy.
    pub fn send_through(&mut self, device: &str, proxy: SocketAddr) {
        self.proxies.insert(device.to_owned(), proxy);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A device without a provider.
    pub fn bare(&self, name: &str) {
        self.run(name, &["init", "--name", name]).ok();
    }

    /// A device that uses the host.
    pub fn device(&self, name: &str) {
        self.bare(name);
        self.uses(name, &self.url());
    }

    /// The device uses the host, which it reaches at this address.
    pub fn uses(&self, name: &str, url: &str) {
        let mut command = self.command(name, &["provider", "set", "self-hosted"]);
        command.args(["--endpoint", url]).env("HANDFAST_AUTH_TOKEN", TOKEN);
        ended(command).ok();
    }

    /// Pairs two devices; nobody looks.
    pub fn pair(&self, one: &str, other: &str) {
        let mut shows = self.start(one, &["pair", "--yes"]);
        let code = shows.next("code")["code"].as_str().unwrap().to_owned();
        let scans = self.start(other, &["join", &code, "--yes", "--again"]);
        assert_eq!(scans.end().code, 0);
        assert_eq!(shows.end().code, 0);
    }

    pub fn command(&self, device: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_handfast"));
        let others =
            ["HANDFAST_HOME", "HANDFAST_AUTH_TOKEN", "NO_COLOR", "XDG_DATA_HOME", "COLUMNS"];
        let proxies =
            ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];
        for variable in others.into_iter().chain(proxies) {
            command.env_remove(variable);
        }
        if let Some(proxy) = self.proxies.get(device) {
            command.env("http_proxy", format!("http://{proxy}"));
        }
        command
            .env("HANDFAST_KEYS", "file")
            .env("HANDFAST_DHT", "off")
            .env("HOME", self.dir.path());
        command.arg("--home").arg(self.path(device)).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, for people.
    pub fn run(&self, device: &str, args: &[&str]) -> Ended {
        ended(self.command(device, args))
    }

    /// Runs a command to its end, for programs; it succeeds.
    pub fn json(&self, device: &str, args: &[&str]) -> Value {
        let mut command = self.command(device, args);
        command.arg("--json");
        ended(command).json()
    }

    /// Runs a command to its end, for programs; it fails like this.
    pub fn fails(&self, device: &str, args: &[&str], code: i32, kind: &str) -> String {
        let mut command = self.command(device, args);
        command.arg("--json");
        ended(command).failed(code, kind)
    }

    /// Starts a command for programs.
    pub fn start(&self, device: &str, args: &[&str]) -> Running {
        let mut command = self.command(device, args);
        command.arg("--json");
        Running::start(command)
    }

    /// A round of synchronisation of each of these, twice around.
    pub fn sync(&self, devices: &[&str]) {
        for device in [devices, devices].concat() {
            let synced = self.json(device, &["sync"]);
            assert_eq!(synced["trouble"], serde_json::json!([]), "{device}");
        }
    }

    pub fn content(&self, device: &str) -> String {
        self.json(device, &["status", "--hash"])["content_hash"].as_str().unwrap().to_owned()
    }
}

/// A network of ten nodes on this machine.
pub struct Net {
    runtime: tokio::runtime::Runtime,
    testnet: Testnet,
    node: String,
}

impl Net {
    pub fn new() -> Net {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let testnet = runtime.block_on(Testnet::new(10)).unwrap();
        let node = testnet.nodes().first().unwrap().address().to_string();
        Net { runtime, testnet, node }
    }

    /// The words of a command, and those that send it to this network.
    pub fn on<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [words, &["--dht", "local", "--bootstrap", &self.node]].concat()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.runtime.block_on(self.testnet.close());
    }
}

/// A command that has ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Ended {
    #[track_caller]
    pub fn ok(self) -> Ended {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let ended = self.ok();
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out))
    }

    /// The message of the error.
    #[track_caller]
    pub fn failed(self, code: i32, kind: &str) -> String {
        let error: Value = self
            .err
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|object| object.get("error").cloned())
            .unwrap_or_else(|| panic!("no error: {}{}", self.out, self.err));
        assert_eq!((self.code, error["kind"].as_str()), (code, Some(kind)), "{}", self.err);
        error["message"].as_str().unwrap().to_owned()
    }
}

/// A command that goes on, with a program in its person's place.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    err: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let err = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Running { stdin: child.stdin.take(), child, lines, err: Some(err) }
    }

    /// The next line of this type; others are skipped.
    #[track_caller]
    pub fn next(&mut self, kind: &str) -> Value {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line["type"] == kind => return line,
                Ok(_) => {}
                Err(error) => {
                    let _ = self.child.kill();
                    let err = self.err.take().unwrap().join().unwrap();
                    panic!("waiting for {kind}: {error}\n{err}");
                }
            }
        }
    }

    /// The next question, which must be this one.
    #[track_caller]
    pub fn asks(&mut self, question: &str) -> Value {
        let asked = self.next("question");
        assert_eq!(asked["question"], question);
        asked
    }

    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Closes standard input.
    pub fn leave(&mut self) {
        self.stdin = None;
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; says whether it ended by itself, with success, and was not killed.
    #[track_caller]
    pub fn survives(mut self) -> bool {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let code = self.child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "it failed: {code:?}");
        code == Some(0)
    }

    /// Ends it at once, as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; what it still printed is in `out`.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let mut out = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => out.push_str(&format!("{line}\n")),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {out}"),
            }
        }
        let code = self.child.wait().unwrap().code().unwrap();
        Ended { code, out, err: self.err.take().unwrap().join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of a check code.
pub fn words(check_code: &Value) -> String {
    let words = check_code["emojis"].as_array().unwrap().iter();
    words.map(|emoji| emoji["word"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

pub fn is_in(path: &Path, text: &str) -> bool {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text)
}
