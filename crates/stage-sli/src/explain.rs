//! Why an SLI counts an event as it does: the judgement of the stage itself, with its parts.

use std::sync::Arc;

use streamgauge_definitions::{Bundle, Label, Measure};
use streamgauge_events::{Event, Kind, NumberField};
use streamgauge_predicate::Part;

use crate::plan::{Compiled, Judge, Plan, PlannedSli, Verdict};

/// One SLI, ready to judge single events.
pub struct Explainer {
    plan: Arc<Plan>,
    index: usize,
    service: String,
    measure: Measure,
    topic: String,
}

/// What becomes of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It belongs to another service.
    OtherService,
    /// The filter does not hold.
    NotMatched,
    /// Failed events are left out by definition, and results of audits without counts.
    LeftOut,
    Good,
    Bad,
    /// It matches, and lacks what would judge it.
    Unjudged,
    /// It counts for so many.
    Counts {
        good: u64,
        total: u64,
    },
    /// Slices are judged, and this event is used for them.
    Used,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub outcome: Outcome,
    /// A sentence.
    pub why: String,
    pub filter: Vec<Part>,
    pub good: Vec<Part>,
    /// The series that counts it, by label; a label that it lacks has no value.
    pub labels: Vec<(String, Option<String>)>,
}

impl Explainer {
    /// The error is a sentence that names what there is instead.
    pub fn new(bundle: &Bundle, name: &str) -> Result<Self, String> {
        let compiled = Compiled::of(bundle)?;
        let slis = &bundle.definitions.slis;
        let Some(sli) = slis.get(name) else {
            let known: Vec<&str> = slis.keys().map(String::as_str).collect();
            return Err(format!("no SLI is called {name:?}; the definitions have {}", known.join(", ")));
        };
        let source = bundle.definitions.source(&sli.topic).ok_or_else(|| format!("no source for {}", sli.topic))?;
        let plan = Arc::clone(compiled.plan(&sli.topic, source.event));
        let index = plan.slis.iter().position(|planned| planned.name == name).ok_or("an SLI without a plan")?;
        let (service, measure, topic) = (sli.service.clone(), sli.good.clone(), sli.topic.clone());
        Ok(Self { plan, index, service, measure, topic })
    }

    pub fn kind(&self) -> Kind {
        self.plan.kind
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn measure(&self) -> &Measure {
        &self.measure
    }

    fn sli(&self) -> &PlannedSli {
        &self.plan.slis[self.index]
    }

    pub fn explain(&self, event: &Event<'_>) -> Explanation {
        let sli = self.sli();
        let nothing = |outcome, why, filter| Explanation { outcome, why, filter, good: Vec::new(), labels: Vec::new() };
        if event.service() != self.service {
            let why = format!("it belongs to {}; the SLI measures {}", event.service(), self.service);
            return nothing(Outcome::OtherService, why, Vec::new());
        }
        let filter = sli.filter().map(|filter| filter.explain(event)).unwrap_or_default();
        let matched = sli.filter().map_or(Some(true), |filter| filter.holds(event));
        let Some(verdict) = sli.judge(event) else {
            return match matched {
                Some(true) => nothing(Outcome::LeftOut, "it failed, and failures are excluded".to_owned(), filter),
                Some(false) => nothing(Outcome::NotMatched, "the filter does not hold".to_owned(), filter),
                None => nothing(Outcome::NotMatched, "it lacks what the filter asks for".to_owned(), filter),
            };
        };
        let lacks_counts = event.number(NumberField::Good).is_none() || event.number(NumberField::Total).is_none();
        if matches!(sli.judge, Judge::Counts) && lacks_counts {
            return nothing(Outcome::LeftOut, "it carries no counts, so it adds nothing".to_owned(), filter);
        }
        let (good, why) = self.reason(event, verdict);
        let outcome = match verdict {
            Verdict::Counts { good, total } => Outcome::Counts { good, total },
            Verdict::Unjudged => Outcome::Unjudged,
            Verdict::Good if matches!(sli.judge, Judge::Value | Judge::Any) => Outcome::Used,
            Verdict::Good => Outcome::Good,
            Verdict::Bad => Outcome::Bad,
        };
        let value = |label: &Label| match label {
            Label::Text(field) => event.text(*field).map(str::to_owned),
            Label::Attribute(name) => event.attributes.get(name).map(|value| value.into_owned()),
        };
        let labels = sli.labels.iter().map(|(label, _)| (label.name(), value(label))).collect();
        Explanation { outcome, why, filter, good, labels }
    }

    fn reason(&self, event: &Event<'_>, verdict: Verdict) -> (Vec<Part>, String) {
        let why = match (&self.sli().judge, verdict) {
            (Judge::When(predicate), verdict) => {
                let why = match verdict {
                    Verdict::Good => "`good` holds",
                    Verdict::Bad => "`good` does not hold",
                    _ => "it lacks what `good` asks for",
                };
                return (predicate.explain(event), why.to_owned());
            }
            (Judge::Latency { .. }, Verdict::Unjudged) => "it has no latency".to_owned(),
            (Judge::Latency { .. }, Verdict::Bad) if event.failed() == Some(true) => {
                "it failed, so its latency does not matter".to_owned()
            }
            (Judge::Latency { threshold_us, .. }, _) => {
                let latency_us = event.number(NumberField::LatencyUs).unwrap_or_default();
                let compared = if latency_us <= *threshold_us { "within" } else { "above" };
                format!("{latency_us} us is {compared} {threshold_us} us")
            }
            (Judge::Counts, _) => "so many are added up".to_owned(),
            (Judge::Value, Verdict::Unjudged) => "it has no value".to_owned(),
            (Judge::Value, _) => "its value goes into the slice".to_owned(),
            (Judge::Any, _) => "every event of the slice counts".to_owned(),
        };
        (Vec::new(), why)
    }
}
