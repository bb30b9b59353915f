//! `streamgauge override`: deployments go on though a budget is spent. Who said so, why, and until when is kept.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use streamgauge_definitions::{Definitions, duration_us};
use streamgauge_events::{Command, Decision, EventTime};
use streamgauge_windows::window::rfc3339_text;

use crate::cli::bad_usage;
use crate::commands::{self, Log, Override, State, overrides_at};
use crate::facts_input::FactsArgs;
use crate::windows::instant;
use crate::windows_text::{Cell, aligned, print_data, print_lines};

/// Let a service be deployed though its error budget is spent, for a while and for a reason
///
/// Writes one record to the topic `commands`, or with --input to commands.jsonl: `streamgauge gate` answers go while it holds.
/// The log is for ever: an override is revoked by another record, and both stay.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge override --service checkout --reason 'CHK-77: repairs the timeouts' --expires 2h
  streamgauge override --list
  streamgauge override --revoke c865c54a5b304bd8 --reason 'it is repaired'
  streamgauge override --service checkout --reason CHK-77 --expires 2h --input out --actor ann

Exit codes: 0 done, 1 it could not be written or read, 2 bad usage: no reason, more than 7 days, a service without any SLO, no \
such override.

docs/gate.md shows all of it.")]
pub struct OverrideArgs {
    /// The service that may be deployed; with --list, only its overrides
    #[arg(long, value_name = "NAME", required_unless_present_any = ["list", "revoke"])]
    service: Option<String>,
    /// Why: a sentence, or a ticket
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    reason: Option<String>,
    /// How long it holds, at most 7d
    #[arg(long, value_name = "DURATION", value_parser = duration_us, required_unless_present_any = ["list", "revoke"])]
    expires: Option<i64>,
    /// Who decides; without it, the user of this process
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only for this tenant's service of that name
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Show all overrides, those that hold no longer among them
    #[arg(long, conflicts_with_all = ["revoke", "reason", "expires", "actor"])]
    list: bool,
    /// End an override before it expires; its first digits are enough
    #[arg(long, value_name = "ID", conflicts_with_all = ["service", "tenant", "expires"])]
    revoke: Option<String>,
    #[command(flatten)]
    facts: FactsArgs,
    /// Definitions that name the service's SLOs, beside those that the facts cite: files, or directories of them
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// With --input, the time to go by in place of the clock's: to play through what was
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "input")]
    now: Option<EventTime>,
    /// JSON: the record that was written; with --list, one object an override
    #[arg(long)]
    json: bool,
}

pub fn run(args: OverrideArgs) -> anyhow::Result<ExitCode> {
    // Nobody decides by the microsecond, and everybody reads it.
    let now = args.now.unwrap_or_else(crate::shell::now).floor(1_000_000);
    match (&args.revoke, args.list) {
        (_, true) => list(&args, now)?,
        (Some(id), _) => revoke(&args, id, now)?,
        (None, false) => decide(&args, now)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn decide(args: &OverrideArgs, now: EventTime) -> anyhow::Result<()> {
    let service = args.service.clone().context("clap asks for a service")?;
    let expires = now.plus_us(args.expires.context("clap asks for a time")?);
    let decision = Decision::Override { tenant: args.tenant.clone(), service: service.clone(), expires };
    let command = command_of(args, now, decision)?;
    check_service(args, &service)?;
    let place = commands::write(&args.facts, &command)?;
    show(args, &command, &format!("override {} of {service} until {}", command.id, rfc3339_text(expires)), &place)
}

fn revoke(args: &OverrideArgs, id: &str, now: EventTime) -> anyhow::Result<()> {
    let log = Log::read(&args.facts)?;
    log.warn();
    let known = revocable(&overrides_at(&log.commands, now), id).map_err(bad_usage)?;
    let command = command_of(args, now, Decision::Revocation { command: known.id.clone() })?;
    let place = commands::write(&args.facts, &command)?;
    show(args, &command, &format!("override {} of {} is revoked", known.id, known.service), &place)
}

/// The one override that an id or its first digits mean, if there is still something to revoke.
fn revocable(overrides: &[Override], id: &str) -> anyhow::Result<Override> {
    let found: Vec<&Override> = overrides.iter().filter(|known| !id.is_empty() && known.id.starts_with(id)).collect();
    let [known] = found.as_slice() else {
        bail!("{} overrides have an id that begins with {id:?}; --list shows them", found.len());
    };
    match &known.state {
        State::Active | State::NotYet => Ok((*known).clone()),
        State::Expired => bail!("override {} expired at {}", known.id, rfc3339_text(known.expires)),
        State::Revoked { by } => bail!("override {} was revoked by {} already", known.id, by.actor),
    }
}

fn command_of(args: &OverrideArgs, now: EventTime, decision: Decision) -> anyhow::Result<Command> {
    let actor = match &args.actor {
        Some(actor) => actor.clone(),
        None => user().context("nobody knows whose process this is: name yourself by --actor").map_err(bad_usage)?,
    };
    let reason = args.reason.as_deref().unwrap_or_default();
    Command::new(&actor, reason, now, decision).map_err(bad_usage)
}

/// Of the process, as the system calls it; the environment may say anything.
fn user() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let named = |uid: u32| {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            (number == uid.to_string()).then(|| name.to_owned())
        })
    };
    let own = std::fs::metadata("/proc/self").ok().and_then(|own| named(own.uid()));
    own.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty())
}

/// Who mistypes a service overrides nothing, and should hear of it.
fn check_service(args: &OverrideArgs, service: &str) -> anyhow::Result<()> {
    let mut known: Vec<Definitions> = match args.facts.cited_definitions() {
        Ok(cited) => cited.into_values().collect(),
        Err(error) => {
            anstream::eprintln!("warning: nobody can tell whether {service} has an SLO: {error:#}");
            return Ok(());
        }
    };
    if !args.definitions.is_empty() {
        known.push(crate::definitions::read(&args.definitions).map_err(bad_usage)?);
    }
    let with_slo: BTreeSet<&str> =
        known.iter().flat_map(|known| known.slos.values()).map(|slo| slo.service.as_str()).collect();
    match (known.is_empty(), with_slo.contains(service)) {
        (false, true) => Ok(()),
        (true, _) => {
            anstream::eprintln!("warning: nobody can tell whether {service} has an SLO: there are no definitions");
            Ok(())
        }
        (false, false) => {
            let with_slo: Vec<&str> = with_slo.into_iter().collect();
            let named = if with_slo.is_empty() { "none".to_owned() } else { with_slo.join(", ") };
            Err(bad_usage(anyhow!("{service:?} has no SLO, so nothing freezes it; services with one: {named}")))
        }
    }
}

fn show(args: &OverrideArgs, command: &Command, headline: &str, place: &str) -> anyhow::Result<()> {
    let record = String::from_utf8(command.to_json()).context("JSON is UTF-8")?;
    if args.json {
        return print_data([record]);
    }
    let by = format!("  by {}: {}", command.actor, command.reason);
    print_lines([headline.to_owned(), by, format!("written to {place}:"), format!("  {record}")])
}

fn list(args: &OverrideArgs, now: EventTime) -> anyhow::Result<()> {
    let log = Log::read(&args.facts)?;
    log.warn();
    let is_asked = |known: &Override| {
        let of_service = args.service.as_ref().is_none_or(|service| *service == known.service);
        of_service && args.tenant.as_ref().is_none_or(|tenant| known.tenant.as_ref().is_none_or(|own| own == tenant))
    };
    let overrides: Vec<Override> = overrides_at(&log.commands, now).into_iter().filter(is_asked).collect();
    if args.json {
        let line = |known| serde_json::to_string(known).expect("texts always have a JSON form");
        return print_data(overrides.iter().map(line));
    }
    if overrides.is_empty() {
        return print_lines(["no overrides".to_owned()]);
    }
    print_lines(aligned(&table(&overrides)))
}

fn table(overrides: &[Override]) -> Vec<Vec<Cell>> {
    let header = ["override", "service", "state", "written", "expires", "by", "reason"];
    let row = |known: &Override| {
        let service = match &known.tenant {
            Some(tenant) => format!("{} of {tenant}", known.service),
            None => known.service.clone(),
        };
        let state = match &known.state {
            State::Revoked { by } => format!("revoked by {}: {}", by.actor, by.reason),
            state => state.as_str().to_owned(),
        };
        let (at, expires) = (rfc3339_text(known.at), rfc3339_text(known.expires));
        [known.id.clone(), service, state, at, expires, known.actor.clone(), known.reason.clone()]
    };
    let header = Vec::from(header.map(Cell::left));
    std::iter::once(header).chain(overrides.iter().map(|known| Vec::from(row(known).map(Cell::left)))).collect()
}
