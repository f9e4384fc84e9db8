//! Two people who pair their devices: they do what they are asked, and when a device was restarted
//! they go on where it goes on.

use std::time::Duration;

use super::world::World;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::pairing::{Answer, JoinOptions, PairOptions, Pairing, Step};
use crate::{CheckCode, Question};

/// How long people wait for a device that says nothing any more.
const PATIENCE: Duration = Duration::from_secs(1_000);

/// What both people see, and remember.
#[derive(Clone, Default)]
pub struct Seen {
    /// The code that is shown, and how many there were.
    code: Option<String>,
    codes: usize,
    /// Which of them was scanned.
    scanned: usize,
    /// What the joiner shows.
    check_code: Option<CheckCode>,
    /// What the initiator shows once its person has confirmed.
    shown: Option<CheckCode>,
}

/// Pairs two devices of a world. A pairing that fails is begun again, with a new code.
pub async fn pair(world: &World, initiator: &str, joiner: &str) {
    let begun = world.eyes.borrow().codes;
    let show = world.alive(initiator, async |device| show(world, &device, joiner, begun).await);
    let scan = world.alive(joiner, async |device| scan(world, &device, initiator, begun).await);
    tokio::join!(show, scan);
}

/// One of two devices that were paired has forgotten how far they were. Its person goes on with
/// what it asks; if nothing comes of that, they are paired again.
pub async fn pair_again(world: &World, forgetful: &str, other: &str) {
    world
        .alive(forgetful, async |device| {
            let Some(pairing) = device.resume_pairing().await? else { return Ok(()) };
            match tokio::time::timeout(PATIENCE, follow(world, pairing)).await {
                Ok(Err(error @ Error::Pairing(_))) => world.fail(&error),
                Ok(result) => return result,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    device.cancel_pairing().await?;
                    world.failures.lock().unwrap().push("cancelled".into());
                }
            }
            Ok(())
        })
        .await;
    let knows = |one, another| knows(&world.device(one), another).unwrap();
    if !knows(forgetful, other) || !knows(other, forgetful) {
        let mut people = [forgetful, other];
        people.sort_unstable();
        pair(world, people[0], people[1]).await;
    }
}

async fn show(world: &World, device: &Device, peer: &str, begun: usize) -> Result<()> {
    loop {
        let pairing = match device.resume_pairing().await? {
            Some(pairing) => pairing,
            None if knows(device, peer)? && world.eyes.borrow().codes > begun => return Ok(()),
            None => device.pair(PairOptions::default()).await?,
        };
        if let Some(code) = pairing.code()
            && world.eyes.borrow().code.as_deref() != Some(code)
        {
            let codes = world.eyes.borrow().codes + 1;
            let scanned = world.eyes.borrow().scanned;
            let code = Some(code.to_owned());
            let seen = Seen { code, codes, scanned, ..Seen::default() };
            world.eyes.send_replace(seen);
        }
        match follow(world, pairing).await {
            // There may be a last word that is not out yet.
            Ok(()) => (),
            Err(error @ Error::Pairing(_)) => world.fail(&error),
            Err(error) => return Err(error),
        }
    }
}

async fn scan(world: &World, device: &Device, peer: &str, begun: usize) -> Result<()> {
    loop {
        let pairing = match device.resume_pairing().await? {
            Some(pairing) => pairing,
            None if knows(device, peer)? && world.eyes.borrow().scanned > begun => return Ok(()),
            None => {
                let mut eyes = world.eyes.subscribe();
                let unseen = |seen: &Seen| seen.codes > begun.max(seen.scanned);
                let seen = eyes.wait_for(unseen).await.unwrap().clone();
                let options = JoinOptions { again: true, ..JoinOptions::default() };
                let pairing = device.join(&seen.code.unwrap(), options).await?;
                world.eyes.send_modify(|eyes| eyes.scanned = seen.codes);
                pairing
            }
        };
        match follow(world, pairing).await {
            // There may be a last word that is not out yet.
            Ok(()) => (),
            Err(error @ Error::Pairing(_)) => world.fail(&error),
            Err(error) => return Err(error),
        }
    }
}

fn knows(device: &Device, peer: &str) -> Result<bool> {
    Ok(device.devices()?.iter().any(|known| known.name.as_str() == peer))
}

/// Does what a device asks until the pairing is over.
async fn follow(world: &World, mut pairing: Pairing) -> Result<()> {
    let eyes = &world.eyes;
    let mut looking = eyes.subscribe();
    looking.mark_changed();
    let mut question = None;
    loop {
        tokio::select! {
            step = pairing.next() => match step {
                None => return pairing.finished().await.map(drop),
                Some(Step::Ask(asked)) => {
                    if let Question::TypeBackDigits(_, code) = &asked {
                        eyes.send_modify(|seen| seen.check_code = Some(*code));
                    }
                    question = Some(asked);
                    looking.mark_changed();
                }
                Some(Step::Show(code)) => eyes.send_modify(|seen| seen.shown = Some(code)),
                Some(Step::Trouble(words)) => world.say(words),
                Some(_) => (),
            },
            _ = looking.changed() => {
                let seen = looking.borrow_and_update().clone();
                let typed = match (&question, seen.check_code, seen.shown) {
                    (Some(Question::TypeCheckCode(_)), Some(code), _) => Some(words(&code)),
                    (Some(Question::TypeBackDigits(_, own)), _, Some(shown)) => {
                        assert_eq!(*own, shown);
                        Some(shown.back_digits())
                    }
                    _ => None,
                };
                if let Some(typed) = typed {
                    question = None;
                    pairing.answer(Answer::Typed(typed));
                }
            }
        }
    }
}

fn words(code: &CheckCode) -> String {
    code.emojis().emojis().map(|emoji| emoji.word).join(" ")
}
