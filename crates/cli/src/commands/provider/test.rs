//! `handfast provider test`: everything that devices need of a provider, as a table.

use handfast::{Device, Operation, ProviderConfig, Trial};
use serde_json::{Value, json};

use super::{described, to_json};
use crate::report::wording::{line, number, padded, widest};
use crate::report::{CliError, Report};

/// Runs it.
pub async fn run(
    device: &Device,
    config: &ProviderConfig,
    report: &Report,
) -> Result<(), CliError> {
    let trials = device.try_provider(config).await?;
    let ink = report.ink();
    report.say(format_args!("{}\n", described(config)))?;
    let services: Vec<String> = trials.iter().map(|trial| line(&trial.service)).collect();
    let width = widest(services.iter().map(String::as_str));
    for (trial, service) in trials.iter().zip(&services) {
        let outcome = match &trial.outcome {
            Ok(took) => format!("{} {:>7} ms", ink.green("ok    "), number(millis(*took))),
            Err(error) => format!("{} {}", ink.yellow("failed"), line(&error.kind().to_string())),
        };
        let what = padded(word(trial.what), 11);
        report.say(format_args!("{what}  {}  {outcome}", padded(service, width)))?;
    }
    let failed = trials.iter().filter_map(|trial| trial.outcome.as_ref().err());
    let total: u64 =
        trials.iter().filter_map(|it| it.outcome.as_ref().ok()).map(|it| millis(*it)).sum();
    report.json(json!({
        "provider": to_json(config),
        "ok": failed.clone().count() == 0,
        "milliseconds": total,
        "trials": trials.iter().map(trial_json).collect::<Vec<_>>(),
    }))?;
    match failed.clone().next() {
        Some(error) => Err(error.into()),
        None => report.say("\nIt is there, accepts this device and does all that is needed."),
    }
}

fn word(what: Operation) -> &'static str {
    match what {
        Operation::Credentials => "credentials",
        Operation::Put => "put",
        Operation::Get => "get",
        Operation::Pin => "pin",
        Operation::Publish => "publish",
        Operation::Resolve => "resolve",
    }
}

fn trial_json(trial: &Trial) -> Value {
    json!({
        "what": word(trial.what),
        "service": trial.service,
        "ok": trial.outcome.is_ok(),
        "milliseconds": trial.outcome.as_ref().ok().map(|took| millis(*took)),
        "error": trial.outcome.as_ref().err().map(ToString::to_string),
    })
}

fn millis(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
