//! Facts, read to their end → where every objective stands, the alerts that fired, and what each has counted.
//!
//! The one place that knows how `stage-slo` is driven.

mod counts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use streamgauge_definitions::{Bundle, BundleSettings, Definitions, Share, Slo};
use streamgauge_events::{EventTime, Fact};
use streamgauge_slo::{Budget, Condition, Evaluator, Objective, Period, Tally, Tier, Transition};
use streamgauge_stage_slo::{AlertRecord, ObjectiveStanding, Objectives, Span, objective_of};
use streamgauge_windows::coverage::Lack;

pub use counts::{Counts, History};

use crate::cli::bad_usage;
use crate::facts_input::{FactsArgs, warn_of_gaps};

/// Everything that was read, and what follows from it.
pub struct Reading {
    /// Those that judge.
    pub definitions: Definitions,
    /// Their hash: as the facts cite it, or that of the files.
    pub hash: String,
    /// By name; an SLO that the facts can't judge has none.
    pub standings: BTreeMap<String, ObjectiveStanding>,
    pub uncounted: BTreeMap<String, String>,
    /// Of every SLO, those among them.
    pub services: BTreeMap<String, String>,
    pub alerts: Vec<Firing>,
    known: BTreeMap<String, Definitions>,
    counts: Counts,
    pane_us: i64,
}

/// Where no fact says how long a pane is.
const PANE_US: i64 = 10_000_000;

/// Reads all facts and goes to every grid point. `definitions`: in place of those that the facts cite. `targets`: in place of
/// those of the SLOs.
pub fn read(
    facts: &FactsArgs,
    tenant: Option<&str>,
    definitions: &[PathBuf],
    targets: &[Share],
) -> anyhow::Result<Reading> {
    let given = match definitions {
        [] => None,
        paths => Some(crate::definitions::read(paths)?),
    };
    let known = match (facts.cited_definitions(), &given) {
        (Ok(known), _) => known,
        (Err(error), None) => return Err(error),
        (Err(error), Some(_)) => {
            anstream::eprintln!(
                "warning: nobody can tell whether the facts were counted by the same filters: {error:#}"
            );
            BTreeMap::new()
        }
    };
    let mut counts = Counts::new(known.values().chain(&given), tenant);
    let (mut pane_us, mut ends) = (PANE_US, BTreeMap::new());
    facts.read(&mut |partition, offset, value| {
        ends.insert(partition, offset);
        let fact = Fact::from_json(value).context("not a delta or a frontier")?;
        if let Fact::Delta(delta) = &fact {
            pane_us = delta.pane_us;
        }
        counts.add(partition, &fact)
    })?;
    if counts.tenants().len() > 1 {
        let named: Vec<String> = counts.tenants().iter().map(|tenant| format!("{tenant:?}")).collect();
        return Err(bad_usage(anyhow!(
            "the facts are of several tenants, each with budgets of its own: name one by --tenant: {}",
            named.join(", ")
        )));
    }
    warn_of_gaps(counts.coverage());
    let Some(cited) = counts.coverage().bundle().map(str::to_owned) else {
        bail!("nothing has been counted yet: there is no frontier in {}; is the stage running?", facts.topic);
    };
    let newest = facts.newest(counts.coverage(), &known);
    let (mut definitions, newest, hash) = match given {
        Some(given) => (given.clone(), newest.ok(), hash_of(given)),
        None => newest.map(|newest| (newest.clone(), Some(newest), cited))?,
    };
    if definitions.slos.is_empty() {
        bail!(
            "the definitions have no SLO, so nothing is promised; add a document of kind SLO, and name the files by \
             --definitions: what was counted can be judged by it (docs/slo.md)"
        );
    }
    try_targets(&mut definitions, targets);
    let services = definitions.slos.iter().map(|(name, slo)| (name.clone(), slo.service.clone())).collect();
    let uncounted = uncounted(&definitions, newest.as_ref());
    definitions.slos.retain(|name, _| !uncounted.contains_key(name));
    let follow = || {
        let objectives = Objectives::new(&definitions, &|name| counts.topic_of(name, &definitions));
        objectives.map(|objectives| objectives.of_tenant(tenant)).map_err(|error| anyhow!(error))
    };
    let mut lanes: BTreeMap<i32, Objectives> =
        ends.keys().map(|partition| Ok((*partition, follow()?))).collect::<anyhow::Result<_>>()?;
    let mut records = Vec::new();
    facts.read(&mut |partition, offset, value| {
        // What has come meanwhile was not counted above.
        if let Some(lane) = lanes.get_mut(&partition).filter(|_| ends.get(&partition) >= Some(&offset)) {
            lane.observe(offset, value)?;
            lane.advance(&mut |record| records.push(record));
        }
        Ok(())
    })?;
    let mut standings: BTreeMap<String, ObjectiveStanding> = BTreeMap::new();
    let mut evaluated: BTreeMap<String, Span> = BTreeMap::new();
    for (topic, span) in lanes.values().flat_map(Objectives::evaluated) {
        let known = evaluated.entry(topic.to_owned()).or_insert(span);
        *known = Span { from: known.from.min(span.from), to: known.to.max(span.to) };
    }
    for standing in lanes.values().flat_map(Objectives::standings) {
        let known = standings.get(&standing.slo).is_some_and(|known| known.span.is_some());
        if !known {
            standings.insert(standing.slo.clone(), standing);
        }
    }
    for (name, standing) in standings.iter_mut().filter(|(_, standing)| standing.span.is_none()) {
        let topic = counts.topic_of(&standing.indicator, &definitions);
        if let (Some(span), Some(lane)) = (evaluated.get(&topic), lanes.values().next()) {
            *standing = lane.standing_in_silence(name, *span).unwrap_or_else(|| standing.clone());
        }
    }
    let alerts = firings(records);
    Ok(Reading { definitions, hash, standings, uncounted, services, alerts, known, counts, pane_us })
}

fn hash_of(definitions: Definitions) -> String {
    Bundle { settings: BundleSettings::default(), definitions }.hash()
}

/// Each SLO once for each of the targets.
fn try_targets(definitions: &mut Definitions, targets: &[Share]) {
    if targets.is_empty() {
        return;
    }
    let with = |(name, slo): (&String, &Slo), target: Share| {
        (format!("{name}@{}", target.percent_text()), Slo { target, ..slo.clone() })
    };
    let slos = std::mem::take(&mut definitions.slos);
    definitions.slos = slos.iter().flat_map(|slo| targets.iter().map(move |target| with(slo, *target))).collect();
}

/// Why the facts can't judge an SLO. `newest`: the definitions that they cite, where those are known.
fn uncounted(definitions: &Definitions, newest: Option<&Definitions>) -> BTreeMap<String, String> {
    let Some(newest) = newest else { return BTreeMap::new() };
    let why = |slo: &Slo| {
        let name = &slo.indicator;
        let (asked, Some(counted)) = (definitions.slis.get(name)?, newest.slis.get(name)) else {
            return Some(format!(
                "the definitions that the newest facts cite have no SLI {name}, so it is not counted"
            ));
        };
        let what = counted.counted_unlike(asked)?;
        Some(format!("{name} was counted by another `{what}` than the definitions say; count the events again"))
    };
    definitions.slos.iter().filter_map(|(name, slo)| Some((name.clone(), why(slo)?))).collect()
}

/// An alert from its firing to its end.
#[derive(Clone, Debug)]
pub struct Firing {
    pub id: String,
    pub fired: AlertRecord,
    /// Absent while it fires.
    pub resolved: Option<AlertRecord>,
}

impl Firing {
    /// Event time from firing to the end; `end` where it still fires.
    pub fn until(&self, end: EventTime) -> EventTime {
        self.resolved.as_ref().map_or(end, |record| record.at)
    }
}

/// In the order of firing.
fn firings(records: Vec<AlertRecord>) -> Vec<Firing> {
    let mut firings: Vec<Firing> = Vec::new();
    let mut open: BTreeMap<(String, String), usize> = BTreeMap::new();
    for record in records {
        let key = (record.slo.clone(), record.rule.clone());
        match record.transition {
            Transition::Fired => {
                open.insert(key, firings.len());
                firings.push(Firing { id: record.alert.clone(), fired: record, resolved: None });
            }
            Transition::Resolved => {
                if let Some(index) = open.remove(&key) {
                    firings[index].resolved = Some(record);
                }
            }
            Transition::Pending | Transition::Dropped => {}
        }
    }
    firings.sort_by(|one, other| {
        let key = |firing: &Firing| (firing.fired.at, firing.fired.slo.clone(), firing.fired.rule.clone());
        key(one).cmp(&key(other))
    });
    firings
}

/// How far a topic has been counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    pub topic: String,
    /// Partitions that no fact tells of.
    pub unheard: Vec<i32>,
    /// `None` while a partition is unheard of.
    #[serde(serialize_with = "crate::slo_text::optional_time")]
    pub complete_until: Option<EventTime>,
    /// A bounded input, read to its end.
    pub ended: bool,
}

impl Reading {
    pub fn slo(&self, name: &str) -> &Slo {
        &self.definitions.slos[name]
    }

    pub fn topic(&self, slo: &str) -> String {
        self.counts.topic_of(&self.slo(slo).indicator, &self.definitions)
    }

    pub fn reach(&self, slo: &str) -> Reach {
        let topic = self.topic(slo);
        let coverage = self.counts.coverage();
        let complete = coverage.complete_until_of(&topic);
        let ended = complete.is_some_and(|until| until >= EventTime::AFTER_ALL);
        let complete_until = if ended { self.end(slo) } else { complete };
        Reach { unheard: coverage.unheard_of(&topic), topic, complete_until, ended }
    }

    /// The last grid point of an SLO.
    pub fn end(&self, slo: &str) -> Option<EventTime> {
        self.standings.get(slo)?.span.map(|span| span.to)
    }

    pub fn lacks(&self, slo: &str, from: EventTime, to: EventTime) -> BTreeSet<Lack> {
        self.counts.coverage().lacks_of(&self.topic(slo), from, to)
    }

    /// Panes up to this one were counted by another filter, or the like, than the definitions say.
    pub fn counted_otherwise(&self, slo: &str) -> Option<EventTime> {
        let name = &self.slo(slo).indicator;
        self.counts.counted_otherwise(name, &self.definitions.slis[name], &self.known)
    }

    pub const fn pane_us(&self) -> i64 {
        self.pane_us
    }

    /// What an SLI judges at once: a slice, or a pane of events.
    pub fn step_us(&self, slo: &str) -> i64 {
        let good = &self.definitions.slis[&self.slo(slo).indicator].good;
        good.slice().map_or(self.pane_us, |slice| slice.length_us)
    }

    /// Checked when the facts were read.
    pub fn objective(&self, slo: &str) -> Objective {
        objective_of(&self.definitions, self.slo(slo), self.pane_us).expect("the same SLO was followed")
    }

    /// The burn-rate tier of a rule.
    pub fn tier(&self, slo: &str, rule: &str) -> Option<Tier> {
        let rules = self.objective(slo).rules;
        rules.iter().find(|known| known.name == rule).and_then(|rule| match rule.condition {
            Condition::Burn(tier) => Some(tier),
            _ => None,
        })
    }

    /// What there is of an SLO, as it is known now. `None`: nothing.
    pub fn history(&self, slo: &str) -> Option<History> {
        let end = self.end(slo)?;
        let topic = self.topic(slo);
        let first = self.counts.first_of(&topic)?;
        let name = &self.slo(slo).indicator;
        Some(self.counts.history(name, &self.definitions.slis[name], &topic, self.pane_us, first, end))
    }

    /// Goes over a history again, and says at each of these times, ascending, what the budget was. `over`: another period
    /// than that of the SLO, and whether its budget is of what will have come, or of what came so far.
    pub fn budgets(&self, slo: &str, history: &History, over: Option<Over>, at: &[EventTime]) -> Vec<BudgetAt> {
        let mut objective = self.objective(slo);
        objective.rules.clear();
        let projected = over.as_ref().is_none_or(|over| over.is_projected);
        if let Some(over) = over {
            objective.period = over.period;
        }
        let target = objective.target;
        let mut evaluator = Evaluator::new(objective, self.pane_us).by_steps_of(history.width_us);
        if projected {
            evaluator = evaluator.projected();
        }
        let mut tallies = history.tallies.iter().peekable();
        let budget_at = |at: &EventTime| {
            evaluator.advance(*at);
            while let Some((start, tally)) = tallies.next_if(|(start, _)| start.plus_us(history.width_us) <= *at) {
                evaluator.add(*start, *tally);
            }
            evaluator.evaluate();
            let budget = evaluator.budget();
            let (counted, remaining) = (evaluator.counted(), budget.remaining(target));
            BudgetAt { at: *at, from: evaluator.period_from(), counted, budget, remaining }
        };
        at.iter().map(budget_at).collect()
    }
}

/// A period to look at in place of an SLO's own.
pub struct Over {
    pub period: Period,
    /// The rest is taken to be as busy.
    pub is_projected: bool,
}

/// A budget at one time.
#[derive(Clone, Copy, Debug)]
pub struct BudgetAt {
    pub at: EventTime,
    /// Where the period begins.
    pub from: EventTime,
    pub counted: Tally,
    pub budget: Budget,
    pub remaining: Option<f64>,
}
