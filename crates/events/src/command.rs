//! `commands`: what people decided, one record each. The topic is the audit log: nothing in it is ever changed.
//!
//! Every kind has the same form: who decided what about which object, why, when, and until when. A reader leaves kinds alone
//! that it doesn't know; what it does know it reads strictly, since a decision that was half understood is none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::EventTime;
use crate::dead_letter::hexadecimal;

/// A week: an override is for one deployment, or for a few. Who needs longer has the wrong objective.
pub const OVERRIDE_US_MAX: i64 = 7 * 86_400_000_000;
/// A reason is a sentence or a link.
pub const REASON_BYTES_MAX: usize = 1000;
/// Of actors, and of what names an object.
pub const NAME_BYTES_MAX: usize = 250;

/// A decision, and who is answerable for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// 16 hexadecimal digits of the hash of everything else: nobody can change a record and keep its id.
    pub id: String,
    pub actor: String,
    pub reason: String,
    /// Wall time of the writer.
    pub at: EventTime,
    pub decision: Decision,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Deployments of a service go on though its budget is spent. Without a tenant: the service of every tenant.
    Override { tenant: Option<String>, service: String, expires: EventTime },
    /// An earlier command holds no longer.
    Revocation { command: String },
}

/// Why a record says nothing to this reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Written by a later version, or for somebody else.
    #[error("kind {0:?} is not known here")]
    UnknownKind(String),
    #[error("{0}")]
    Refused(String),
}

fn refused(message: impl Into<String>) -> Unread {
    Unread::Refused(message.into())
}

/// A record as it stands in the topic; its id is the hash of the others in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    kind: String,
    actor: String,
    /// What it is about, by name: `service`, `tenant`, `command`.
    object: BTreeMap<String, String>,
    reason: String,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

const OVERRIDE: &str = "override";
const REVOCATION: &str = "revocation";

impl Command {
    /// Checks everything that a reader will check, and derives the id.
    pub fn new(actor: &str, reason: &str, at: EventTime, decision: Decision) -> Result<Self, Unread> {
        check_text("actor", actor, NAME_BYTES_MAX)?;
        check_text("reason", reason, REASON_BYTES_MAX)?;
        match &decision {
            Decision::Override { tenant, service, expires } => {
                check_text("service", service, NAME_BYTES_MAX)?;
                tenant.iter().try_for_each(|tenant| check_text("tenant", tenant, NAME_BYTES_MAX))?;
                if *expires <= at || expires.0 - at.0 > OVERRIDE_US_MAX {
                    return Err(refused("an override must expire after it was written, and within 7 days"));
                }
            }
            Decision::Revocation { command } => check_text("command", command, NAME_BYTES_MAX)?,
        }
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let mut command = Self { id: String::new(), actor, reason, at, decision };
        let content = command.record()?;
        let content = serde_json::to_vec(&content).expect("texts always have a JSON form");
        command.id = hexadecimal(&Sha256::digest(content)[..8]);
        Ok(command)
    }

    pub fn from_json(value: &[u8]) -> Result<Self, Unread> {
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let Kind { kind } = serde_json::from_slice(value).map_err(|error| refused(error.to_string()))?;
        if ![OVERRIDE, REVOCATION].contains(&kind.as_str()) {
            return Err(Unread::UnknownKind(kind));
        }
        let record: Record = serde_json::from_slice(value).map_err(|error| refused(error.to_string()))?;
        let command = Self::new(&record.actor, &record.reason, instant(&record.at)?, record.decision()?)?;
        match record.id {
            Some(id) if id == command.id => Ok(command),
            Some(id) => Err(refused(format!("the id {id:?} is not that of its content, {}", command.id))),
            None => Err(refused("it has no id")),
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        let record = self.record().expect("the times were written once already, for the id");
        let record = Record { id: Some(self.id.clone()), ..record };
        serde_json::to_vec(&record).expect("texts always have a JSON form")
    }

    /// A command and what revokes it share a key, so that they stay in order.
    pub fn key(&self) -> &str {
        match &self.decision {
            Decision::Override { .. } => &self.id,
            Decision::Revocation { command } => command,
        }
    }

    /// Without the id.
    fn record(&self) -> Result<Record, Unread> {
        let (kind, object, expires) = match &self.decision {
            Decision::Override { tenant, service, expires } => {
                let tenant = tenant.iter().map(|tenant| ("tenant".to_owned(), tenant.clone()));
                let object = tenant.chain([("service".to_owned(), service.clone())]).collect();
                (OVERRIDE, object, Some(text_of(*expires)?))
            }
            Decision::Revocation { command } => {
                (REVOCATION, BTreeMap::from([("command".to_owned(), command.clone())]), None)
            }
        };
        let (kind, actor, reason) = (kind.to_owned(), self.actor.clone(), self.reason.clone());
        Ok(Record { id: None, kind, actor, object, reason, at: text_of(self.at)?, expires })
    }
}

impl Record {
    fn decision(&self) -> Result<Decision, Unread> {
        let mut object = self.object.clone();
        let mut take = |name: &str| object.remove(name);
        let missing = |what: &str| refused(format!("a record of kind {} needs {what}", self.kind));
        let decision = match (self.kind == OVERRIDE, &self.expires) {
            (true, Some(expires)) => {
                let service = take("service").ok_or_else(|| missing("a service as its object"))?;
                Decision::Override { tenant: take("tenant"), service, expires: instant(expires)? }
            }
            (true, None) => return Err(missing("`expires`")),
            (false, None) => Decision::Revocation {
                command: take("command").ok_or_else(|| missing("the id of a command as its object"))?,
            },
            (false, Some(_)) => return Err(refused("a revocation does not expire")),
        };
        // What narrows an object down and is not understood would make it wider.
        match object.keys().next() {
            Some(unknown) => Err(refused(format!("its object has a {unknown:?}, which is not known here"))),
            None => Ok(decision),
        }
    }
}

fn check_text(what: &str, text: &str, bytes_max: usize) -> Result<(), Unread> {
    if text.trim().is_empty() {
        return Err(refused(format!("the {what} is empty")));
    }
    if text.len() > bytes_max {
        return Err(refused(format!("the {what} is longer than {bytes_max} bytes")));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(refused(format!("the {what} holds the control character {control:?}"))),
        None => Ok(()),
    }
}

fn instant(text: &str) -> Result<EventTime, Unread> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(|time| EventTime(time.as_microsecond()))
        .map_err(|_| refused(format!("{text:?} is no time: write 2026-01-31T10:00:00Z")))
}

fn text_of(time: EventTime) -> Result<String, Unread> {
    let known = jiff::Timestamp::from_microsecond(time.0);
    known.map(|time| time.to_string()).map_err(|_| refused("a time is outside of what can be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05T11:00:00Z.
    const AT: EventTime = EventTime(1_767_610_800_000_000);
    const HOUR_US: i64 = 3_600_000_000;

    fn override_for(us: i64) -> Decision {
        Decision::Override { tenant: None, service: "checkout".to_owned(), expires: AT.plus_us(us) }
    }

    const WRITTEN: &str = r#"{"id":"c865c54a5b304bd8","kind":"override","actor":"ann","object":{"service":"checkout"},"reason":"CHK-77","at":"2026-01-05T11:00:00Z","expires":"2026-01-05T13:00:00Z"}"#;

    #[test]
    fn what_is_written_is_read() {
        let written = Command::new("ann", "CHK-77", AT, override_for(2 * HOUR_US)).expect("it is a good one");
        let text = String::from_utf8(written.to_json()).expect("JSON is UTF-8");
        assert_eq!(text, WRITTEN);
        assert_eq!(Command::from_json(text.as_bytes()), Ok(written.clone()));
        let revocation = Decision::Revocation { command: written.id.clone() };
        let revocation = Command::new("bob", "it is fixed", AT, revocation).expect("it is a good one");
        assert_eq!(Command::from_json(&revocation.to_json()), Ok(revocation.clone()));
        assert_eq!(revocation.key(), written.key());
        let of_a_tenant = Decision::Override {
            tenant: Some("acme".to_owned()),
            service: "checkout".to_owned(),
            expires: AT.plus_us(2 * HOUR_US),
        };
        let of_a_tenant = Command::new("ann", "CHK-77", AT, of_a_tenant).expect("it is a good one");
        assert_ne!(of_a_tenant.id, written.id);
        assert_eq!(Command::from_json(&of_a_tenant.to_json()), Ok(of_a_tenant));
    }

    #[test]
    fn what_must_not_be_written() {
        for (actor, reason, us, expected) in [
            ("ann", "", HOUR_US, "the reason is empty"),
            ("ann", " \t", HOUR_US, "the reason is empty"),
            ("", "why", HOUR_US, "the actor is empty"),
            ("ann", "a\u{1b}[2Jb", HOUR_US, "the reason holds the control character '\\u{1b}'"),
            ("ann", &"x".repeat(1001), HOUR_US, "the reason is longer than 1000 bytes"),
            ("ann", "why", 0, "an override must expire after it was written, and within 7 days"),
            ("ann", "why", 168 * HOUR_US + 1, "an override must expire after it was written, and within 7 days"),
        ] {
            let found = Command::new(actor, reason, AT, override_for(us));
            assert_eq!(found, Err(Unread::Refused(expected.to_owned())), "{actor} {reason} {us}");
        }
        assert!(Command::new("ann", "why", AT, override_for(168 * HOUR_US)).is_ok());
    }

    #[test]
    fn what_is_no_record_of_a_decision() {
        let check = |from: &str, to: &str, expected: &str| {
            let text = WRITTEN.replace(from, to);
            assert!(from.is_empty() || text != WRITTEN, "{from} does not stand there");
            let found = Command::from_json(text.as_bytes()).expect_err(&text).to_string();
            assert!(found.contains(expected), "{text}: {found}");
        };
        check("\"override\"", "\"silence\"", "kind \"silence\" is not known here");
        check("CHK-77", "CHK-78", "is not that of its content");
        check("T13:", "T14:", "is not that of its content");
        check("\"ann\"", "\"bob\"", "is not that of its content");
        check("\"id\":\"c865c54a5b304bd8\",", "", "it has no id");
        check(",\"expires\":\"2026-01-05T13:00:00Z\"", "", "needs `expires`");
        check("\"service\":\"checkout\"", "", "needs a service as its object");
        check("\"service\":\"checkout\"", "\"service\":\"checkout\",\"slo\":\"fast\"", "its object has a \"slo\"");
        check("\"reason\"", "\"why\"", "unknown field `why`");
        check("\"actor\"", "\"reason\":\"x\",\"actor\"", "duplicate field `reason`");
        check("2026-01-05T11:00:00Z", "yesterday", "\"yesterday\" is no time");
        check("\"override\"", "7", "invalid type");
        check("\"override\"", "\"revocation\"", "a revocation does not expire");
        check("{\"id\"", "[{\"id\"", "");
        assert_eq!(
            Command::from_json(br#"{"kind":"silence","until":{"any":"form"}}"#),
            Err(Unread::UnknownKind("silence".to_owned()))
        );
        assert!(matches!(Command::from_json(b""), Err(Unread::Refused(_))));
        assert!(matches!(Command::from_json(b"\xff"), Err(Unread::Refused(_))));
    }
}
