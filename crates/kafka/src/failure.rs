//! What an error of librdkafka means for the worker: the one place where codes become decisions.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use streamgauge_stage::LogError;

use crate::settings::is_secret;

/// The step of a transaction that failed. What is known about its outcome depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Init,
    Begin,
    Produce,
    SendOffsets,
    Commit,
    Abort,
}

/// What librdkafka says about an error, apart from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    pub code: Code,
    pub fatal: bool,
    pub retriable: bool,
    pub requires_abort: bool,
}

/// The next move after a failed step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Call the same function again; librdkafka goes on where it was.
    Again,
    Stop(LogError),
}

impl Flags {
    pub fn of(error: &KafkaError) -> Self {
        match error {
            KafkaError::Transaction(inner) => Self {
                code: inner.code(),
                fatal: inner.is_fatal(),
                retriable: inner.is_retriable(),
                requires_abort: inner.txn_requires_abort(),
            },
            other => Self {
                code: other.rdkafka_error_code().unwrap_or(Code::Unknown),
                fatal: false,
                retriable: false,
                requires_abort: false,
            },
        }
    }
}

/// Classifies the failure of a transaction's step. `age` is the time since the transaction began, `timeout` the
/// coordinator's patience.
///
/// A fenced producer was either taken over, or its transaction was timed out by the coordinator, which looks the same.
/// Younger than the time-out it can only be the former. Older, both are possible: a new producer is asked for, and
/// [`crate::KafkaLog`] makes sure first that its group membership was not taken over too.
///
/// A failed commit is never called abortable: the request may have been accepted although its answer was lost.
pub fn verdict(step: Step, flags: Flags, text: &str, age: Duration, timeout: Duration) -> Verdict {
    let Flags { code, fatal, retriable, requires_abort } = flags;
    let text = text.to_owned();
    Verdict::Stop(match code {
        // Our place in the group changed hands, perhaps to ourselves: a static member that comes back after a session
        // time-out gets a new id, and the old one counts as fenced. If it was somebody else, the consumer is told too.
        Code::FencedInstanceId => LogError::Abortable(text),
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch if step == Step::Init || age < timeout => {
            LogError::Fenced(text)
        }
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => LogError::Ambiguous(text),
        code if is_hopeless(code) => LogError::Fatal(text),
        _ if retriable => return Verdict::Again,
        _ if step == Step::Init => LogError::Fatal(text),
        _ if requires_abort && step != Step::Commit => LogError::Abortable(text),
        // Fatal for the producer, or a state that should not be: a new producer settles what became of the transaction.
        _ if fatal || matches!(step, Step::Commit | Step::Abort | Step::Begin) => LogError::Ambiguous(text),
        _ => LogError::Abortable(text),
    })
}

/// Errors that only a person can mend.
pub fn is_hopeless(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::InvalidTransactionTimeout
            | Code::InconsistentGroupProtocol
            | Code::InvalidSessionTimeout
            | Code::InvalidGroupId
    )
}

/// The error as text, without the value of a property that may be a secret.
pub fn text_of(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, key, value) => {
            let value = if is_secret(key) { "[redacted]" } else { value.as_str() };
            format!("Kafka property {key}={value}: {description}")
        }
        KafkaError::Transaction(inner) => format!("{} ({})", inner.string(), inner.name()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_leads_to_one_decision() {
        let young = Duration::from_millis(3);
        let old = Duration::from_secs(11);
        // code, flags (f fatal, r retriable, a requires abort), step, age -> decision
        let table = [
            (Code::Fenced, "f", Step::SendOffsets, young, "fenced"),
            (Code::Fenced, "f", Step::Commit, young, "fenced"),
            (Code::Fenced, "f", Step::Commit, old, "ambiguous"),
            (Code::Fenced, "f", Step::Abort, old, "ambiguous"),
            (Code::Fenced, "f", Step::Init, old, "fenced"),
            (Code::FencedInstanceId, "a", Step::SendOffsets, old, "abortable"),
            (Code::UnknownMemberId, "a", Step::SendOffsets, young, "abortable"),
            (Code::IllegalGeneration, "a", Step::SendOffsets, young, "abortable"),
            (Code::OperationTimedOut, "r", Step::SendOffsets, young, "again"),
            (Code::OperationTimedOut, "a", Step::SendOffsets, young, "abortable"),
            (Code::OperationTimedOut, "r", Step::Commit, young, "again"),
            (Code::OperationTimedOut, "a", Step::Commit, young, "ambiguous"),
            (Code::CoordinatorLoadInProgress, "r", Step::Init, young, "again"),
            (Code::InvalidTransactionalState, "f", Step::Commit, young, "ambiguous"),
            (Code::State, "", Step::Begin, young, "ambiguous"),
            (Code::TransactionalIdAuthorizationFailed, "f", Step::Init, young, "fatal"),
            (Code::TopicAuthorizationFailed, "a", Step::Commit, young, "fatal"),
            (Code::OffsetMetadataTooLarge, "a", Step::SendOffsets, young, "abortable"),
        ];
        for (code, letters, step, age, expected) in table {
            let flags = Flags {
                code,
                fatal: letters.contains('f'),
                retriable: letters.contains('r'),
                requires_abort: letters.contains('a'),
            };
            let found = match verdict(step, flags, "why", age, Duration::from_secs(10)) {
                Verdict::Again => "again",
                Verdict::Stop(LogError::Retriable(_)) => "retriable",
                Verdict::Stop(LogError::Abortable(_)) => "abortable",
                Verdict::Stop(LogError::Ambiguous(_)) => "ambiguous",
                Verdict::Stop(LogError::Fenced(_)) => "fenced",
                Verdict::Stop(LogError::Fatal(_)) => "fatal",
            };
            assert_eq!(found, expected, "{code:?} {letters} at {step:?} after {age:?}");
        }
    }

    #[test]
    fn a_refused_property_is_named_without_its_secret() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("sasl.password.of.mine", "hunter2");
        let Err(error) = config.create_native_config() else { panic!("there is no such property") };
        let text = text_of(&error);
        assert!(text.contains("sasl.password.of.mine") && !text.contains("hunter2"), "{text}");
    }
}
