//! `handfast doctor`: checks a device.

use handfast::Finding;
use serde_json::json;

use crate::home::Home;
use crate::report::wording::{count, safe};
use crate::report::{CliError, Exit, Report, patiently};

/// What to check.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Checks the chain of every log, the signatures over them, that the records are what the logs say, \
and that the provider is there. Changes nothing.

Examples:
  handfast doctor
  handfast doctor --offline")]
pub struct Args {
    /// Don't ask the provider whether it is there
    #[arg(long)]
    offline: bool,
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    let (mut health, conflicts) = patiently(report, "Checking every log and record", {
        let device = device.clone();
        move || Ok((device.check()?, device.conflict_count()?))
    })
    .await?;
    if let Some(config) = device.provider_config()?.filter(|_| !args.offline)
        && let Err(error) = device.test_provider(&config).await
    {
        let problem = CliError::from(error).message().to_owned();
        health.findings.push(Finding { place: "provider".to_owned(), problem });
    }
    report.say(match health.logs {
        // Records have no history before the first pairing.
        0 => "Checked the database.".to_owned(),
        logs => format!(
            "Checked {}, {} and {}.",
            count(logs, "log"),
            count(health.mutations, "change"),
            count(health.records, "record"),
        ),
    })?;
    let found = health.findings.len() as u64;
    for Finding { place, problem } in &health.findings {
        let place = report.ink().yellow(safe(place));
        report.say(format_args!("  {place}: {}", safe(problem)))?;
    }
    if found == 0 {
        report.say(report.ink().green("Everything is as it should be."))?;
    }
    if conflicts > 0 {
        report.hint(format!("{} in conflict: `handfast conflicts`.", count(conflicts, "record")));
    }
    let findings = health
        .findings
        .iter()
        .map(|finding| json!({ "place": finding.place, "problem": finding.problem }));
    report.json(json!({
        "logs": health.logs,
        "mutations": health.mutations,
        "records": health.records,
        "conflicts": conflicts,
        "findings": findings.collect::<Vec<_>>(),
    }))?;
    if found == 0 {
        return Ok(());
    }
    Err(CliError::new(
        "findings",
        Exit::Findings,
        format!("{} to look at", count(found, "finding")),
    ))
}
