//! The DHT road: requests, responses and lines as records.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use handfast_keys::MailboxSecret;
use handfast_pairing::invite::{Asking, OwnLine, Response};
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::network::SharedNetwork;

/// How many records are put at a time.
const AT_ONCE: usize = 16;
/// How long to wait before a record that no node took is put again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a line is left anew, in case nodes have forgotten it.
const RENEW: Duration = Duration::from_secs(6 * 3_600);

/// Leaves a candidate's request and announces it.
pub(crate) async fn ask(network: &SharedNetwork, asking: &Asking) {
    let put = network.mutable_put(&asking.mailbox, 0, &asking.request).await;
    let topic = asking.discovery_key.mailbox_topic();
    let announced = match put {
        Ok(()) => network.announce(topic, &asking.mailbox).await,
        failed => failed,
    };
    if let Err(error) = announced {
        tracing::debug!(%error, "the request could not be left on the DHT");
    }
}

/// Takes the announcement of a request back.
pub(crate) async fn withdraw(network: &SharedNetwork, asking: &Asking) {
    let topic = asking.discovery_key.mailbox_topic();
    if let Err(error) = network.unannounce(topic, &asking.mailbox).await {
        tracing::debug!(%error, "the announcement could not be taken back");
    }
}

/// Leaves a response. Whoever has the invite can write to the same place: what lies there is
/// written over.
pub(crate) async fn respond(network: &SharedNetwork, mailbox: &MailboxSecret, response: Response) {
    let bytes = response.to_bytes();
    let mut sequence = 0;
    for _ in 0..4 {
        let put = network.mutable_put(mailbox, sequence, &bytes).await;
        match network.mutable_get(&mailbox.public()).await {
            Ok(Some((_, held))) if held == bytes => return,
            Ok(Some((held, _))) => sequence = held.saturating_add(1),
            _ => tokio::time::sleep(PAUSE).await,
        }
        if let Err(error) = put {
            tracing::debug!(%error, "the response could not be left on the DHT");
        }
    }
}

/// What the postman is given: the line as it is now, and what is dropped once it lies there.
pub(crate) type Letter = (OwnLine, TaskTrackerToken);

/// Leaves a line on the DHT, and leaves it again, until there is no more to leave.
pub(crate) async fn postman(
    network: SharedNetwork,
    key: MailboxSecret,
    mut letters: mpsc::Receiver<Letter>,
) {
    let mut line: Option<OwnLine> = None;
    let mut on_its_way = Vec::new();
    let mut known = 0;
    let mut wait = RENEW;
    loop {
        tokio::select! {
            letter = letters.recv() => match letter {
                Some((newer, token)) => {
                    line = Some(newer);
                    on_its_way.push(token);
                }
                None => return,
            },
            () = tokio::time::sleep(wait) => if wait == RENEW { known = 0 },
        }
        while let Ok((newer, token)) = letters.try_recv() {
            line = Some(newer);
            on_its_way.push(token);
        }
        let Some(line) = &line else { continue };
        let letter = line.letter(known);
        let puts = stream::iter(letter.chunks).map(|chunk| {
            let network = network.clone();
            async move { network.immutable_put(&chunk).await }
        });
        let chunks: Vec<_> = puts.buffer_unordered(AT_ONCE).collect().await;
        let mut put = chunks.into_iter().collect::<Result<Vec<()>, _>>().map(|_| ());
        if put.is_ok() {
            put = network.mutable_put(&key, letter.sequence, &letter.value).await;
        }
        wait = match put {
            Ok(()) => {
                known = line.len();
                on_its_way.clear();
                RENEW
            }
            Err(error) => {
                tracing::debug!(%error, "the line could not be left on the DHT");
                PAUSE
            }
        };
    }
}
