//! The DHT road: requests, responses and lines as records.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use handfast_keys::MailboxSecret;
use handfast_pairing::invite::{Asking, OwnLine, Response};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::network::SharedNetwork;

/// How much sooner the candidate looks for the member than it leaves anything on the DHT: nearly
/// always that is enough, and both at once get in each other's way.
pub(crate) const HEAD_START: Duration = Duration::from_millis(100);

/// How many records are put at a time.
const AT_ONCE: usize = 16;
/// How long to wait before a record that no node took is put again.
const PAUSE: Duration = Duration::from_secs(2);
/// How long at most, for a request: a device may be offline for days.
const LONG_PAUSE: Duration = Duration::from_secs(60);
/// How often a request is announced anew: before the DHT forgets.
const ASK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// How often a line is left anew, in case nodes have forgotten it.
const RENEW: Duration = Duration::from_secs(6 * 3_600);

/// Leaves a candidate's request and announces it, again and again, until it is `answered`; then takes
/// the announcement back, if there is one: of this asking, or an earlier one that it takes up again.
pub(crate) async fn ask(
    network: SharedNetwork,
    asking: Asking,
    mut announced: bool,
    answered: CancellationToken,
) {
    let topic = asking.discovery_key.mailbox_topic();
    let asks = async {
        tokio::time::sleep(HEAD_START).await;
        announced = true;
        let mut pause = PAUSE;
        loop {
            let mut left = network.mutable_put(&asking.mailbox, 0, &asking.request).await;
            if left.is_ok() {
                left = network.announce(topic, &asking.mailbox).await;
            }
            match left {
                Ok(()) => {
                    tokio::time::sleep(ASK_AGAIN).await;
                    pause = PAUSE;
                }
                Err(error) => {
                    tracing::debug!(%error, "the request could not be left on the DHT");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONG_PAUSE);
                }
            }
        }
    };
    let _: Option<()> = answered.run_until_cancelled(asks).await;
    if announced && let Err(error) = network.unannounce(topic, &asking.mailbox).await {
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
    mut letters: mpsc::UnboundedReceiver<Letter>,
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
