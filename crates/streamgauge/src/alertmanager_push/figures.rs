//! What `/metrics` and `/health/ready` say of the push.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::post::{Receiver, Shared, State};
use crate::serve::http::Served;
use crate::serve::metrics::{Family, Samples, render, resident_bytes};

impl Served for Shared {
    fn metrics(&self) -> String {
        render(families(&self.lock()))
    }

    /// Ready: what fires is known, Kafka can be read, and somebody takes alerts.
    fn not_ready(&self) -> Option<String> {
        let state = self.lock();
        if let Some(why) = &state.kafka_failing {
            return Some(format!("can't reach Kafka: {why}"));
        }
        if !state.is_caught_up {
            return Some("the topic is still being read to its end".to_owned());
        }
        let is_anyone_up = state.receivers.iter().any(|receiver| receiver.is_up == Some(true));
        (!is_anyone_up).then(|| "no Alertmanager answers".to_owned())
    }
}

/// A value, and the outcome that it is of.
type Value = (Option<&'static str>, f64);

fn families(state: &State) -> Vec<Family> {
    let (firing, resolved) = state.book.counts();
    let read = &state.read;
    let by_receiver = |value: &dyn Fn(&Receiver) -> Vec<Value>| -> Samples {
        let mut samples = Samples::new();
        for receiver in &state.receivers {
            for (outcome, value) in value(receiver) {
                let mut labels = vec![("alertmanager", receiver.url.as_str())];
                labels.extend(outcome.map(|outcome| ("outcome", outcome)));
                samples.push((owned(&labels), value));
            }
        }
        samples
    };
    let posts = by_receiver(&|receiver| {
        let Receiver { accepted, refused, failed, .. } = receiver;
        [("accepted", accepted), ("refused", refused), ("failed", failed)]
            .map(|(outcome, count)| (Some(outcome), *count as f64))
            .into()
    });
    let alerts = by_receiver(&|receiver| vec![(None, receiver.alerts as f64)]);
    let up = by_receiver(&|receiver| receiver.is_up.map(|up| (None, f64::from(u8::from(up)))).into_iter().collect());
    let transitions =
        [("pending", read.pending), ("dropped", read.dropped), ("fired", read.fired), ("resolved", read.resolved)];
    let one = |value: f64| vec![(Vec::new(), value)];
    vec![
        (
            "push_alarms",
            "Alarms that are posted again and again",
            Gauge,
            by("phase", &[("firing", firing as u64), ("resolved", resolved as u64)]),
        ),
        (
            "push_alarms_left_out",
            "Alarms that fire, for which there was no room",
            Counter,
            one(state.book.left_out as f64),
        ),
        ("push_records", "Records of alerts that were read", Counter, by("transition", &transitions)),
        ("push_unreadable_records", "Records that are no alerts", Counter, one(read.unreadable as f64)),
        ("push_posts", "Posts to an Alertmanager; empty ones ask whether it is there", Counter, posts),
        ("push_alerts", "Alerts that an Alertmanager has taken, those of resends included", Counter, alerts),
        ("push_alertmanager_up", "1: it answered the last post", Gauge, up),
        (
            "push_caught_up",
            "1: the topic has been read to its end, and alerts are posted",
            Gauge,
            one(f64::from(u8::from(state.is_caught_up))),
        ),
        ("resident_memory_bytes", "Memory of this process", Gauge, one(resident_bytes())),
    ]
}

fn by(label: &str, counts: &[(&str, u64)]) -> Samples {
    counts.iter().map(|(name, count)| (owned(&[(label, name)]), *count as f64)).collect()
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
