//! Definitions ready for the hot path: what one bundle asks of the events of one topic, by service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use streamgauge_decode::{AvroSchemas, SchemaKey};
use streamgauge_definitions::{Bundle, BundleSettings, DataSource, Failures, Format, Label, Measure, Rule, Sli};
use streamgauge_events::{Event, Field, FieldSet, Kind, NumberField, TextField};
use streamgauge_predicate::Predicate;

use crate::GOLDEN;
use crate::series::LabelsRef;

/// A bundle, compiled. Every topic has a plan of its own.
pub(crate) struct Compiled {
    pub hash: String,
    /// The same hash as a number.
    pub number: u64,
    pub settings: BundleSettings,
    pub sources: BTreeMap<String, DataSource>,
    plans: BTreeMap<String, Arc<Plan>>,
    /// For topics that nothing is defined for: golden signals alone.
    bare: BTreeMap<Kind, Arc<Plan>>,
}

pub(crate) type Bundles = BTreeMap<String, Arc<Compiled>>;

/// What a bundle asks of the events of one topic.
pub(crate) struct Plan {
    pub kind: Kind,
    pub golden: Golden,
    golden_keeps: Keeps,
    pub slis: Vec<PlannedSli>,
    /// Declared services, each with the indices of its SLIs.
    services: HashMap<String, Vec<u16>, foldhash::fast::FixedState>,
    /// What anything here reads.
    pub fields: FieldSet,
    /// Schemas that records may be written with, where they are Avro.
    pub schemas: Option<BTreeSet<SchemaKey>>,
}

/// The series that every event of a topic is counted in, defined or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Golden {
    pub name: &'static str,
    /// In the order of their names.
    pub labels: [TextField; 2],
}

pub(crate) struct PlannedSli {
    pub name: String,
    filter: Option<Predicate>,
    pub judge: Judge,
    /// In the order of their names, each with its declared values, ascending.
    pub labels: Vec<(Label, Vec<String>)>,
    pub keeps: Keeps,
}

/// What a series keeps beside counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeps {
    pub latency: bool,
    pub values: bool,
    /// Successes at or under each, ascending.
    pub thresholds_us: Vec<u64>,
}

pub(crate) enum Judge {
    When(Predicate),
    Latency {
        threshold_us: i64,
        failures: Failures,
    },
    /// Each event counts for so many.
    Counts,
    /// Every event that has one is used.
    Value,
    /// Every event.
    Any,
}

/// What an SLI says of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
    /// The event lacks what it would take.
    Unjudged,
    /// So many of so many.
    Counts {
        good: u64,
        total: u64,
    },
}

impl Verdict {
    pub fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }

    /// Whether anything in it is bad.
    pub fn is_bad(self) -> bool {
        match self {
            Self::Bad => true,
            Self::Counts { good, total } => good < total,
            Self::Good | Self::Unjudged => false,
        }
    }
}

impl Compiled {
    /// The error is a sentence: bundles are checked where they are read, so this concerns the state topic alone.
    pub fn of(bundle: &Bundle) -> Result<Self, String> {
        let definitions = &bundle.definitions;
        let mut sources = definitions.sources.clone();
        for topic in definitions.topics() {
            if let Some(source) = definitions.source(&topic) {
                sources.insert(topic, source);
            }
        }
        let bare = |kind| Plan::new(kind, definitions.services.keys());
        let mut plans = BTreeMap::new();
        for (topic, source) in &sources {
            let mut plan = bare(source.event);
            plan.schemas = schemas(source)?.map(|schemas| schemas.keys().collect());
            plans.insert(topic.clone(), plan);
        }
        for (name, sli) in &definitions.slis {
            let plan = plans.get_mut(&sli.topic).ok_or_else(|| format!("SLI {name}: no source for {}", sli.topic))?;
            plan.add(name, sli)?;
        }
        Ok(Self {
            hash: bundle.hash(),
            number: bundle.number(),
            settings: bundle.settings.clone(),
            sources,
            plans: plans.into_iter().map(|(topic, plan)| (topic, Arc::new(plan))).collect(),
            bare: Kind::ALL.into_iter().map(|kind| (kind, Arc::new(bare(kind)))).collect(),
        })
    }

    /// The plan for a topic that holds events of this kind.
    pub fn plan(&self, topic: &str, kind: Kind) -> &Arc<Plan> {
        self.plans.get(topic).unwrap_or_else(|| &self.bare[&kind])
    }
}

/// The schemas of a source, if its records are Avro.
pub(crate) fn schemas(source: &DataSource) -> Result<Option<AvroSchemas>, String> {
    let Format::Avro { framing, schemas } = &source.format else { return Ok(None) };
    let texts: Vec<(Option<u32>, &str)> = schemas.iter().map(|schema| (schema.id, schema.schema.as_str())).collect();
    let schemas = AvroSchemas::new(source.event, *framing, &texts);
    schemas.map(Some).map_err(|error| format!("source {}: {error}", source.name))
}

impl Golden {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Request => Self { name: GOLDEN, labels: [TextField::Route, TextField::Version] },
            Kind::Score => Self { name: "scores", labels: [TextField::Metric, TextField::Version] },
            Kind::Resource => Self { name: "resources", labels: [TextField::Instance, TextField::Metric] },
        }
    }

    pub fn verdict(self, event: &Event<'_>) -> Verdict {
        match self.labels {
            [TextField::Route, _] => event.failed().map_or(Verdict::Unjudged, |failed| Verdict::of(!failed)),
            _ => Verdict::Good,
        }
    }
}

impl Plan {
    fn new<'s>(kind: Kind, services: impl Iterator<Item = &'s String>) -> Self {
        let golden = Golden::of(kind);
        let fields = golden.labels.into_iter().map(Field::Text).collect::<FieldSet>();
        let always = [
            Field::Ts,
            Field::Text(TextField::Service),
            Field::Text(TextField::Tenant),
            Field::Text(TextField::TraceId),
            Field::Number(NumberField::Status),
            Field::Ok,
            Field::Number(NumberField::LatencyUs),
            Field::Number(NumberField::Value),
        ];
        Self {
            kind,
            golden,
            golden_keeps: Keeps {
                latency: kind == Kind::Request,
                values: kind != Kind::Request,
                thresholds_us: Vec::new(),
            },
            slis: Vec::new(),
            services: services.map(|name| (name.clone(), Vec::new())).collect(),
            fields: fields.union(always.into_iter().collect()),
            schemas: None,
        }
    }

    fn add(&mut self, name: &str, sli: &Sli) -> Result<(), String> {
        let kind = self.kind;
        let compile = |text: &String| {
            Predicate::compile(text, kind).map_err(|errors| {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                format!("SLI {name}: {text:?}: {}", errors.join("; "))
            })
        };
        let filter = sli.filter.as_ref().map(compile).transpose()?;
        let mut keeps = Keeps::default();
        let judge = match &sli.good {
            Measure::When(text) => {
                keeps.values = kind != Kind::Request;
                Judge::When(compile(text)?)
            }
            Measure::Latency { threshold_us, failures, thresholds_us } => {
                let all: BTreeSet<u64> = thresholds_us.iter().chain([threshold_us]).copied().collect();
                keeps = Keeps { latency: true, values: false, thresholds_us: all.into_iter().collect() };
                Judge::Latency { threshold_us: *threshold_us as i64, failures: *failures }
            }
            Measure::Counts => Judge::Counts,
            Measure::Slice { rule, .. } => match rule {
                Rule::Percentile { at_most_us, .. } => {
                    keeps = Keeps { latency: true, values: false, thresholds_us: vec![*at_most_us] };
                    Judge::Latency { threshold_us: *at_most_us as i64, failures: Failures::Bad }
                }
                Rule::Mean(_) | Rule::Saturation { .. } => {
                    keeps.values = true;
                    Judge::Value
                }
                Rule::Traffic(_) | Rule::Freshness { .. } => Judge::Any,
            },
        };
        let mut labels: Vec<(Label, Vec<String>)> =
            sli.group_by.iter().map(|(label, values)| (label.clone(), values.clone())).collect();
        // Readers, who know but names, order series by them.
        labels.sort_by_key(|(label, _)| label.name());
        let mut fields: FieldSet = labels
            .iter()
            .map(|(label, _)| match label {
                Label::Text(field) => Field::Text(*field),
                Label::Attribute(_) => Field::Attributes,
            })
            .collect();
        for predicate in filter.iter().chain(match &judge {
            Judge::When(predicate) => Some(predicate),
            _ => None,
        }) {
            fields = fields.union(predicate.fields());
        }
        if matches!(judge, Judge::Counts) {
            fields = fields.with(Field::Number(NumberField::Good)).with(Field::Number(NumberField::Total));
        }
        self.fields = self.fields.union(fields);
        let index = self.slis.len() as u16;
        self.slis.push(PlannedSli { name: name.to_owned(), filter, judge, labels, keeps });
        self.services.entry(sli.service.clone()).or_default().push(index);
        Ok(())
    }

    /// What the series of an SLI keep; 0 is the golden signals.
    #[inline]
    pub fn keeps(&self, sli: u16) -> &Keeps {
        match usize::from(sli).checked_sub(1) {
            None => &self.golden_keeps,
            Some(index) => &self.slis[index].keeps,
        }
    }

    /// Indices of the SLIs of a service; `None` if it is not declared.
    pub fn slis_of(&self, service: &str) -> Option<&[u16]> {
        self.services.get(service).map(Vec::as_slice)
    }
}

impl PlannedSli {
    /// `None`: the SLI does not count this event.
    #[inline]
    pub fn judge(&self, event: &Event<'_>) -> Option<Verdict> {
        if self.filter.as_ref().is_some_and(|filter| filter.holds(event) != Some(true)) {
            return None;
        }
        match &self.judge {
            Judge::When(predicate) => Some(predicate.holds(event).map_or(Verdict::Unjudged, Verdict::of)),
            Judge::Latency { threshold_us, failures } => match (event.failed(), event.number(NumberField::LatencyUs)) {
                (Some(true), _) if *failures == Failures::Exclude => None,
                (Some(true), _) => Some(Verdict::Bad),
                (_, None) => Some(Verdict::Unjudged),
                (_, Some(latency_us)) => Some(Verdict::of(latency_us <= *threshold_us)),
            },
            Judge::Counts => match (event.number(NumberField::Good), event.number(NumberField::Total)) {
                (Some(good), Some(total)) => Some(Verdict::Counts { good: good as u64, total: total as u64 }),
                // An event without counts has none that could be unjudged.
                _ => Some(Verdict::Counts { good: 0, total: 0 }),
            },
            Judge::Value => {
                Some(if event.number(NumberField::Value).is_some() { Verdict::Good } else { Verdict::Unjudged })
            }
            Judge::Any => Some(Verdict::Good),
        }
    }

    pub fn filter(&self) -> Option<&Predicate> {
        self.filter.as_ref()
    }

    /// Whether all of its values are declared: such a series always has a cell of its own.
    pub fn is_pinned(&self, labels: LabelsRef<'_>) -> bool {
        let declared = |((_, values), label): (&(Label, Vec<String>), &Option<&str>)| {
            label.is_some_and(|label| values.binary_search_by(|value| value.as_str().cmp(label)).is_ok())
        };
        self.labels.iter().zip(labels).all(declared)
    }

    /// The names under which its labels stand in records.
    pub fn label_names(&self) -> impl Iterator<Item = String> {
        self.labels.iter().map(|(label, _)| label.name())
    }
}
