//! A JavaScript peer in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use handfast_swarm::{Bootstrap, PublicKey};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything here should take.
pub const LONG: Duration = Duration::from_secs(40);

pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// What it told and nobody asked for yet.
    told: Vec<Value>,
    pub key: PublicKey,
}

impl Peer {
    pub async fn start(script: &str, bootstrap: &Bootstrap) -> Self {
        let Bootstrap::Nodes(nodes) = bootstrap else { panic!("on this machine only") };
        let mut child = Command::new("node")
            .arg(script)
            .args(nodes)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let key = PublicKey([0; 32]);
        let mut peer = Self { child, input, output, told: Vec::new(), key };
        let ready = peer.wait("ready").await;
        let key = data_encoding::HEXLOWER.decode(ready["key"].as_str().unwrap().as_bytes());
        peer.key = PublicKey(key.unwrap().try_into().unwrap());
        peer
    }

    /// Has it do something and waits until it is done.
    pub async fn tell(&mut self, command: Value) -> Value {
        self.start_telling(command).await;
        self.wait("done").await
    }

    pub async fn start_telling(&mut self, command: Value) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// The first event of this kind that was not waited for yet.
    pub async fn wait(&mut self, event: &str) -> Value {
        self.wait_for(event, |_| true).await
    }

    pub async fn wait_for(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let is = |told: &Value| told["event"] == event && wanted(told);
        if let Some(at) = self.told.iter().position(is) {
            return self.told.remove(at);
        }
        let read = async {
            loop {
                let line = self.output.next_line().await.unwrap().expect("the peer has died");
                let told: Value = serde_json::from_str(&line).unwrap();
                assert_ne!(told["event"], "failed", "{told}");
                if is(&told) {
                    return told;
                }
                self.told.push(told);
            }
        };
        match timeout(LONG, read).await {
            Ok(told) => told,
            Err(_) => panic!("no {event}; told: {:?}", self.told),
        }
    }

    /// Opens a channel there under a name.
    pub async fn open(&mut self, name: &str, protocol: &str, id: &[u8]) {
        let id = data_encoding::HEXLOWER.encode(id);
        self.tell(json!({ "cmd": "open", "name": name, "protocol": protocol, "id": id })).await;
    }

    pub async fn named(&mut self, event: &str, name: &str) -> Value {
        self.wait_for(event, |told| told["name"] == name).await
    }

    pub async fn stop(mut self) {
        drop(self.input);
        timeout(LONG, self.child.wait()).await.expect("the peer ends").unwrap();
    }
}
