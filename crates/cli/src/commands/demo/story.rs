//! What happens in the demo, act by act.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use handfast::{
    Answer, CheckCode, Choice, Device, InviteOptions, JoinOptions, PairOptions, Pairing, Pick,
    Question, Step, Value,
};

use super::cast::{self, Share, Stage};
use super::summary::Summary;

/// How many airports the second device's person has renamed before the devices ever meet.
const RENAMED: usize = 12;

/// Tells the person something.
pub type Tell<'a> = dyn Fn(&str) -> Result<()> + 'a;

/// Plays the demo in `dir`, telling what happens. Whatever is not as it should be is an error.
pub async fn play(
    dir: &Path,
    mut stage: Stage,
    interactive: bool,
    tell: &Tell<'_>,
) -> Result<Summary> {
    let mut summary = Summary::default();

    tell(&stage.describe())?;
    let laptop = stage.device(dir, "laptop", true).await?;
    let phone = stage.device(dir, "phone", false).await?;

    summary.begin("import");
    let shares = [
        (&laptop, Share { airports: 0..2_400, earthquakes: 0..1_100 }),
        (&phone, Share { airports: 1_400..3_376, earthquakes: 800..1_707 }),
    ];
    for (device, share) in &shares {
        let records = cast::import(device, share)?;
        tell(&format!("{} has {records} records of its own", device.name()?))?;
        summary.brought.push((device.name()?.to_string(), records));
    }
    rename_some(&phone)?;
    tell(&format!("Both know 1000 airports; on the phone, {RENAMED} of them were renamed"))?;

    summary.begin("pair");
    tell(if stage.is_network() {
        "\nThe laptop makes an invite; the phone joins with it"
    } else {
        "\nThe laptop shows a code; the phone takes a picture of it"
    })?;
    introduce(&stage, &laptop, &phone, interactive, tell).await?;
    sync_all(&[&laptop, &phone]).await?;
    let conflicts = laptop.conflicts()?.len();
    ensure!(conflicts == RENAMED, "{conflicts} conflicts instead of {RENAMED}");
    ensure!(phone.conflicts()?.len() == RENAMED, "the phone sees other conflicts");
    in_step(&[&laptop, &phone])?;
    tell(&format!(
        "Merged: {} records on both, {conflicts} airports with two names, kept as conflicts",
        laptop.record_count()?
    ))?;

    summary.begin("edit");
    edit_both(&laptop, &phone).await?;
    let open = laptop.conflicts()?.len();
    ensure!(open == RENAMED + 1, "{open} conflicts instead of {}", RENAMED + 1);
    tell("\nBoth edit different airports, which merges, and one the same, which is a conflict")?;
    summary.conflicts = open as u64;

    summary.begin("resolve");
    resolve_all(&phone)?;
    sync_all(&[&phone, &laptop]).await?;
    ensure!(laptop.conflicts()?.is_empty() && phone.conflicts()?.is_empty(), "still in conflict");
    in_step(&[&laptop, &phone])?;
    tell(&format!("The phone decides all {open} conflicts, and the laptop agrees"))?;

    summary.begin("third device");
    let tablet = stage.device(dir, "tablet", false).await?;
    tell("\nA tablet pairs with the laptop; it never meets the phone")?;
    introduce(&stage, &laptop, &tablet, interactive, tell).await?;
    sync_all(&[&laptop, &phone, &tablet]).await?;
    ensure!(phone.devices()?.len() == 3, "the phone has not picked the tablet up");
    let id = cast::airport(&tablet, "JFK")?;
    tablet.records("airports")?.set(&id, "note", Value::string("seen from the tablet")?)?;
    sync_all(&[&tablet, &phone, &laptop]).await?;
    in_step(&[&laptop, &phone, &tablet])?;
    tell("The phone picked the tablet up from the laptop, and has its edit")?;

    summary.end();
    for device in [&laptop, &phone, &tablet] {
        let health = device.check()?;
        ensure!(health.findings.is_empty(), "{}: {:?}", device.name()?, health.findings);
        summary.add(device)?;
    }
    stage.close().await;
    Ok(summary)
}

/// The phone's person has renamed some of the airports that both devices know.
fn rename_some(phone: &Device) -> Result<()> {
    let airports = phone.records("airports")?;
    for id in cast::airports(phone, 1_400..2_400)?.iter().step_by(80).take(RENAMED) {
        let record = airports.get(id)?.context("a shared airport is missing")?;
        let name = record.fields.get("name").and_then(Value::as_text).unwrap_or_default();
        airports.set(id, "name", Value::string(&format!("{name} (renamed)"))?)?;
    }
    Ok(())
}

/// Pairs two devices. The people, or in their stead the demo, type what they see.
async fn introduce(
    stage: &Stage,
    shows: &Device,
    scans: &Device,
    interactive: bool,
    tell: &Tell<'_>,
) -> Result<()> {
    let (mut shown, mut scanner) = if stage.is_network() {
        by_invite(shows, scans, tell).await?
    } else {
        by_picture(shows, scans, tell).await?
    };
    let check_code = compared(&mut shown, &mut scanner).await?;
    let emojis = check_code.emojis().emojis();
    let symbols = emojis.map(|emoji| emoji.symbol).join("  ");
    let words = emojis.map(|emoji| emoji.word).join(" ");
    tell(&format!("  {} shows  {symbols}   {words}", scans.name()?))?;
    let typed = if interactive {
        ask(&format!("  Type the four words on the {}: ", shows.name()?), tell).await?
    } else {
        words.clone()
    };
    shown.answer(Answer::Typed(typed));
    let digits = loop {
        match shown.next().await {
            Some(Step::Show(code)) => break code.back_digits(),
            Some(Step::Ask(Question::NotACheckCode | Question::Wrong(_))) if interactive => {
                let again = ask("  That is not it. Once more: ", tell).await?;
                shown.answer(Answer::Typed(again));
            }
            Some(_) => (),
            None => {
                shown.finished().await?;
                bail!("the pairing ended too early");
            }
        }
    };
    tell(&format!("  {} shows  {symbols}   {words}   and {digits}", shows.name()?))?;
    let typed = if interactive {
        ask(&format!("  Type the two digits on the {}: ", scans.name()?), tell).await?
    } else {
        digits
    };
    scanner.answer(Answer::Typed(typed));
    let (one, two) = tokio::try_join!(shown.finished(), scanner.finished())?;
    tell(&format!("  {} and {} know each other now", two.name, one.name))
}

async fn by_picture(shows: &Device, scans: &Device, tell: &Tell<'_>) -> Result<(Pairing, Pairing)> {
    let shown = shows.pair(PairOptions::default()).await?;
    let code = shown.code().context("no code to show")?.to_owned();
    let picture = handfast_qr::render_png(&code)?;
    let scanned = handfast_qr::decode_image(&picture)?;
    ensure!(scanned == code, "the picture reads as another code");
    tell(&format!(
        "  (a picture of {} bytes, a code of {} characters)",
        picture.len(),
        code.len()
    ))?;
    Ok((shown, scans.join(&scanned, JoinOptions::default()).await?))
}

async fn by_invite(
    invites: &Device,
    joins: &Device,
    tell: &Tell<'_>,
) -> Result<(Pairing, Pairing)> {
    let member = invites.invite(InviteOptions::default()).await?;
    let code = member.code().context("no code to send")?.to_owned();
    tell(&format!("  (an invite of {} characters)", code.len()))?;
    Ok((member, joins.join(&code, JoinOptions::default()).await?))
}

/// Waits until both devices ask their people; the joiner shows the check code.
async fn compared(shown: &mut Pairing, scanner: &mut Pairing) -> Result<CheckCode> {
    let (mut asked, mut check_code) = (false, None);
    loop {
        let step = tokio::select! {
            step = shown.next() => step,
            step = scanner.next() => step,
        };
        match step.context("the pairing ended too early")? {
            Step::Ask(Question::TypeCheckCode(_)) => asked = true,
            Step::Ask(Question::TypeBackDigits(_, code)) => check_code = Some(code),
            Step::Trouble(message) => bail!(message),
            _ => (),
        }
        if let (true, Some(code)) = (asked, check_code) {
            return Ok(code);
        }
    }
}

async fn edit_both(laptop: &Device, phone: &Device) -> Result<()> {
    for (device, code, runways) in [(laptop, "JFK", "4"), (phone, "SFO", "4"), (laptop, "SEA", "3")]
    {
        let id = cast::airport(device, code)?;
        device.records("airports")?.set(&id, "runways", Value::parse(runways)?)?;
    }
    // Neither knows of the other's edit.
    for (device, name) in [(laptop, "Logan"), (phone, "Boston Logan")] {
        let id = cast::airport(device, "BOS")?;
        device.records("airports")?.set(&id, "name", Value::string(name)?)?;
    }
    sync_all(&[laptop, phone]).await?;
    in_step(&[laptop, phone])
}

/// Decides every conflict: for the laptop's value where it has one, else for the latest.
fn resolve_all(device: &Device) -> Result<()> {
    for conflict in device.conflicts()? {
        for field in &conflict.fields {
            let choice = Choice::Value(Pick::Theirs);
            device.resolve(&conflict.collection, &conflict.record.id, &field.field, choice)?;
        }
    }
    Ok(())
}

/// Rounds of synchronisation until everybody has what everybody has published.
async fn sync_all(devices: &[&Device]) -> Result<()> {
    for _ in 0..2 {
        for device in devices {
            let report = device.sync().await?;
            ensure!(report.trouble.is_empty(), "{}: {}", device.name()?, report.trouble.join("; "));
        }
    }
    Ok(())
}

/// That the devices hold the same, by the hash of everything.
fn in_step(devices: &[&Device]) -> Result<()> {
    let hashes =
        devices.iter().map(|device| device.content_hash()).collect::<Result<Vec<_>, _>>()?;
    ensure!(
        hashes.windows(2).all(|pair| matches!(pair, [a, b] if a == b)),
        "the devices differ: {hashes:?}"
    );
    Ok(())
}

async fn ask(question: &str, tell: &Tell<'_>) -> Result<String> {
    tell(question)?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|read| (read, line))
    });
    let (read, line) = line.await??;
    ensure!(read > 0, "nobody answers");
    Ok(line)
}
