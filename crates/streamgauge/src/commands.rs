//! The log of what people decided, beside the facts: the topic `commands`, or commands.jsonl in a directory.
//!
//! What a decision means at some time is worked out by [`overrides_at`], which asks no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Serialize, Serializer};
use streamgauge_events::command::Command;
use streamgauge_events::{Decision, EventTime, topics};
use streamgauge_kafka::{RecordSender, TopicReader};

use crate::cli::bad_usage;
use crate::facts_input::FactsArgs;
use crate::topic_input::file_of;

/// Clocks of two machines differ: who decides now may be a little ahead of who asks.
const SKEW_US: i64 = 5 * 60_000_000;

/// Whoever writes something else into the topic is told a few times.
const WORDS_MAX: usize = 20;

/// All decisions in the order in which they stand there, and a word on each record that says nothing to us.
#[derive(Debug, Default)]
pub struct Log {
    pub commands: Vec<Command>,
    ids: BTreeSet<String>,
    /// The first few.
    words: Vec<String>,
    left_out: usize,
}

impl Log {
    /// A directory without the file holds no decisions.
    pub fn read(facts: &FactsArgs) -> anyhow::Result<Self> {
        let (topic, mut log) = (facts.beside(topics::COMMANDS), Self::default());
        if let Some(directory) = &facts.input
            && !file_of(directory, &topic).exists()
        {
            return Ok(log);
        }
        facts.read_topic(&topic, &mut |partition, offset, value| {
            let at = match facts.input {
                Some(_) => format!("{topic}.jsonl:{offset}"),
                None => format!("{topic}/{partition} at offset {offset}"),
            };
            log.take(&at, value);
            Ok(())
        })?;
        Ok(log)
    }

    fn take(&mut self, at: &str, value: &[u8]) {
        match Command::from_json(value) {
            // A record that was sent twice is one decision.
            Ok(command) if !self.ids.insert(command.id.clone()) => {}
            Ok(command) => self.commands.push(command),
            Err(unread) => {
                self.left_out += 1;
                if self.words.len() < WORDS_MAX {
                    self.words.push(format!("{at}: left out: {unread}"));
                }
            }
        }
    }

    pub fn warn(&self) {
        self.words.iter().for_each(|word| anstream::eprintln!("warning: {word}"));
        if self.left_out > self.words.len() {
            anstream::eprintln!("warning: {} more records of commands are left out", self.left_out - self.words.len());
        }
    }
}

/// Where it was written to.
pub fn write(facts: &FactsArgs, command: &Command) -> anyhow::Result<String> {
    let topic = facts.beside(topics::COMMANDS);
    match &facts.input {
        Some(directory) => {
            let file = file_of(directory, &topic);
            append(&file, command).with_context(|| format!("couldn't write {}", file.display()))?;
            Ok(file.display().to_string())
        }
        None => send(facts, &topic, command),
    }
}

/// One write, so that two who decide at once don't mix their lines.
fn append(file: &Path, command: &Command) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(file)?;
    let mut line = Vec::new();
    if !ends_in_a_newline(&mut file)? {
        line.push(b'\n');
    }
    line.extend(command.to_json());
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_all()
}

fn ends_in_a_newline(file: &mut std::fs::File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// If we die here, the record is there or it is not; sent once more it is the same decision.
fn send(facts: &FactsArgs, topic: &str, command: &Command) -> anyhow::Result<String> {
    let client = facts.kafka.client().map_err(bad_usage)?;
    // Says what is wrong at once, where sending would try for minutes.
    TopicReader::open(&client, &[topic])
        .and_then(|reader| reader.watermarks())
        .with_context(|| format!("couldn't write to {topic}"))?;
    let mut sender = RecordSender::open(&client, 1)?;
    sender.send(topic, 0, Some(command.key().as_bytes()), Some(&command.to_json()), 0)?;
    sender.flush()?;
    match sender.take_settled().pop().map(|delivered| delivered.result) {
        Some(Ok(stamp)) => Ok(format!("{topic}/{} at offset {}", stamp.partition, stamp.offset)),
        Some(Err(error)) => bail!("Kafka did not take it: {error}"),
        None => bail!("Kafka did not say that it took it"),
    }
}

/// An override, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Override {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    pub service: String,
    pub actor: String,
    pub reason: String,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub at: EventTime,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub expires: EventTime,
    #[serde(flatten)]
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Active,
    Expired,
    Revoked {
        #[serde(serialize_with = "revocation")]
        by: Box<Command>,
    },
    /// Written by a clock that is ahead.
    NotYet,
}

impl State {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked { .. } => "revoked",
            Self::NotYet => "not yet",
        }
    }
}

fn revocation<S: Serializer>(by: &Command, serializer: S) -> Result<S::Ok, S::Error> {
    let record: Result<serde_json::Value, _> = serde_json::from_slice(&by.to_json());
    record.map_err(serde::ser::Error::custom)?.serialize(serializer)
}

impl Override {
    pub fn is_active_for(&self, tenant: &str, service: &str) -> bool {
        let is_of = self.tenant.as_ref().is_none_or(|mine| mine == tenant);
        self.state == State::Active && is_of && self.service == service
    }
}

/// Every override there was, and whether it holds at a time. Who revokes is heard wherever the record stands.
pub fn overrides_at(commands: &[Command], now: EventTime) -> Vec<Override> {
    let mut revoked: BTreeMap<&str, &Command> = BTreeMap::new();
    for by in commands {
        if let Decision::Revocation { command } = &by.decision {
            revoked.entry(command).or_insert(by);
        }
    }
    let standing = |command: &Command| {
        let Decision::Override { tenant, service, expires } = &command.decision else { return None };
        let state = match revoked.get(command.id.as_str()) {
            Some(by) => State::Revoked { by: Box::new((*by).clone()) },
            None if *expires <= now => State::Expired,
            None if command.at > now.plus_us(SKEW_US) => State::NotYet,
            None => State::Active,
        };
        Some(Override {
            id: command.id.clone(),
            tenant: tenant.clone(),
            service: service.clone(),
            actor: command.actor.clone(),
            reason: command.reason.clone(),
            at: command.at,
            expires: *expires,
            state,
        })
    };
    commands.iter().filter_map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60_000_000;
    const AT: EventTime = EventTime(1_767_610_800_000_000);

    fn ann_decides(tenant: Option<&str>) -> Command {
        let decision = Decision::Override {
            tenant: tenant.map(str::to_owned),
            service: "checkout".to_owned(),
            expires: AT.plus_us(120 * MINUTE_US),
        };
        Command::new("ann", "CHK-77", AT, decision).expect("it is a good one")
    }

    #[test]
    fn overrides_hold_for_a_while() {
        let decided = ann_decides(None);
        let revocation = Decision::Revocation { command: decided.id.clone() };
        let revocation = Command::new("bob", "enough", AT.plus_us(MINUTE_US), revocation).expect("it is a good one");
        for (minutes, revoked, expected) in [
            (0, false, "active"),
            (119, false, "active"),
            (120, false, "expired"),
            (9_000, false, "expired"),
            (-5, false, "active"),
            (-6, false, "not yet"),
            (10, true, "revoked"),
            (9_000, true, "revoked"),
        ] {
            let now = AT.plus_us(minutes * MINUTE_US);
            // A revocation is heard even before what it revokes.
            let commands = if revoked { vec![revocation.clone(), decided.clone()] } else { vec![decided.clone()] };
            let found = overrides_at(&commands, now);
            let states: Vec<&str> = found.iter().map(|found| found.state.as_str()).collect();
            assert_eq!(states, [expected], "{minutes} min");
        }
    }

    #[test]
    fn overrides_are_for_a_service() {
        for (tenant, asked, expected) in [
            (None, ("", "checkout"), true),
            (None, ("acme", "checkout"), true),
            (Some("acme"), ("acme", "checkout"), true),
            (Some("acme"), ("", "checkout"), false),
            (Some("acme"), ("other", "checkout"), false),
            (None, ("", "search"), false),
        ] {
            let found = overrides_at(&[ann_decides(tenant)], AT);
            assert_eq!(found[0].is_active_for(asked.0, asked.1), expected, "{tenant:?} {asked:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_told_and_left_out() {
        let mut log = Log::default();
        let decided = ann_decides(None);
        log.take("commands/0/1", &decided.to_json());
        log.take("commands/0/2", br#"{"kind":"silence","matchers":[]}"#);
        log.take("commands/0/3", b"no JSON");
        log.take("commands/0/4", &decided.to_json());
        assert_eq!(log.commands, [decided]);
        assert_eq!(
            log.words,
            [
                "commands/0/2: left out: kind \"silence\" is not known here",
                "commands/0/3: left out: expected ident at line 1 column 2"
            ]
        );
    }
}
