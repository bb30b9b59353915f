//! All objectives over the facts of one partition of `sli.windows`, moved from grid point to grid point.

use std::collections::BTreeMap;

use streamgauge_definitions::{Definitions, Measure};
use streamgauge_events::{Delta, EventTime, Fact, Frontier, Offset};
use streamgauge_slo::Alert;
use streamgauge_windows::coverage::BatchId;
use streamgauge_windows::fold::Refused;

use crate::clock::{Clock, Hole};
use crate::feed::Added;
use crate::objective::{Followed, Promise, nothing_known};
use crate::records::{AlertRecord, ObjectiveStanding, Span};

/// Definitions are checked where they are read; one that can't be followed is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SLO {slo}: {why}")]
pub struct CannotFollow {
    slo: String,
    why: String,
}

/// Reads facts one by one, and evaluates every grid point as soon as it can be.
#[derive(Debug)]
pub struct Objectives {
    pub(crate) definitions: Definitions,
    /// By the name of the SLO.
    pub(crate) promises: BTreeMap<String, Promise>,
    /// SLIs that somebody asks for.
    pub(crate) indicators: BTreeMap<String, Indicator>,
    pub(crate) pane_us: Option<i64>,
    /// By source topic.
    pub(crate) clocks: BTreeMap<String, Clock<Arrived>>,
    /// By tenant and name.
    pub(crate) followed: BTreeMap<(String, String), Followed>,
    /// The only one to follow.
    tenant: Option<String>,
    /// Deltas of SLIs that came from another topic than theirs.
    foreign: u64,
    points: u64,
}

/// An SLI, and who asks for it.
#[derive(Debug)]
pub(crate) struct Indicator {
    topic: String,
    measure: Measure,
    /// Names of the SLOs.
    slos: Vec<String>,
}

/// What a delta adds, and to which SLI of which tenant.
#[derive(Debug)]
pub(crate) struct Arrived {
    tenant: String,
    sli: String,
    added: Added,
}

impl Objectives {
    /// `topic_of`: the topic that an SLI is counted from, as facts call it.
    pub fn new(definitions: &Definitions, topic_of: &dyn Fn(&str) -> String) -> Result<Self, CannotFollow> {
        let (mut promises, mut indicators) = (BTreeMap::new(), BTreeMap::new());
        for (name, slo) in &definitions.slos {
            let cannot = |why: String| CannotFollow { slo: name.clone(), why };
            let sli = definitions.slis.get(&slo.indicator);
            let sli = sli.ok_or_else(|| cannot(format!("no SLI is called {}", slo.indicator)))?;
            let topic = topic_of(&slo.indicator);
            let asked = indicators.entry(slo.indicator.clone()).or_insert_with(|| Indicator {
                topic: topic.clone(),
                measure: sli.good.clone(),
                slos: Vec::new(),
            });
            asked.slos.push(name.clone());
            let promise = Promise::new(definitions, name, slo, sli, topic);
            // Whatever is wrong with it is to be known before there is anything to count.
            Followed::new(definitions, promise.clone(), String::new(), PROBE_PANE_US).map_err(cannot)?;
            promises.insert(name.clone(), promise);
        }
        Ok(Self {
            definitions: definitions.clone(),
            promises,
            indicators,
            pane_us: None,
            clocks: BTreeMap::new(),
            followed: BTreeMap::new(),
            tenant: None,
            foreign: 0,
            points: 0,
        })
    }

    /// Leaves all other tenants out.
    pub fn of_tenant(mut self, tenant: Option<&str>) -> Self {
        self.tenant = tenant.map(str::to_owned);
        self
    }

    /// Counts for these SLOs alone; grid points stay those of all.
    pub(crate) fn follow_only(&mut self, names: &[String]) {
        self.promises.retain(|name, _| names.contains(name));
    }

    /// One record of `sli.windows`, at its offset. Answers a hole, where one shows.
    pub fn observe(&mut self, offset: Offset, value: &[u8]) -> Result<Option<Hole>, Refused> {
        match Fact::from_json(value).map_err(|error| Refused::Undecodable(error.to_string()))? {
            Fact::Delta(Delta { n, good, unjudged, .. }) if good.checked_add(unjudged).is_none_or(|sum| sum > n) => {
                Err(Refused::Undecodable(format!("{good} good and {unjudged} unjudged events of {n}")))
            }
            Fact::Frontier(Frontier { complete_until, .. }) if complete_until > EventTime::AFTER_ALL => {
                Err(Refused::Undecodable(format!("complete until {}, which is no time", complete_until.0)))
            }
            Fact::Delta(delta) if delta.n > COUNT_MAX => {
                Err(Refused::Undecodable(format!("n is {}, more than there can be events in a pane", delta.n)))
            }
            Fact::Frontier(Frontier { partitions: Some(partitions), .. }) if partitions > PARTITIONS_MAX => {
                Err(Refused::Undecodable(format!("{partitions} partitions, more than a topic can have")))
            }
            Fact::Delta(delta) => self.delta(offset, &delta).map(|()| None),
            Fact::Frontier(frontier) => Ok(self.frontier(offset, &frontier)),
        }
    }

    fn delta(&mut self, offset: Offset, delta: &Delta) -> Result<(), Refused> {
        let (service, pane, pane_us) = (&delta.service, delta.pane.0, delta.pane_us);
        let far = EventTime::MAX_RECORD.0;
        let is_whole =
            (PANE_US_MIN..=far).contains(&pane_us) && (-far..=far).contains(&pane) && pane.rem_euclid(pane_us) == 0;
        if !is_whole || self.pane_us.is_some_and(|known| known != pane_us) {
            return Err(Refused::BadPane { service: service.clone(), pane, pane_us });
        }
        let Some(Indicator { topic, measure, .. }) = self.indicators.get(&delta.sli) else { return Ok(()) };
        if self.tenant.as_ref().is_some_and(|tenant| *tenant != delta.tenant) {
            return Ok(());
        }
        if *topic != delta.source {
            self.foreign += 1;
            return Ok(());
        }
        let added = Added::of(delta, measure);
        let added = added.map_err(|error| Refused::BadHistogram { service: service.clone(), pane, error })?;
        let arrived = Arrived { tenant: delta.tenant.clone(), sli: delta.sli.clone(), added };
        let id = BatchId::of(delta.generation, delta.batch);
        self.know_panes(pane_us);
        self.clock(&delta.source).delta(delta.partition, id, offset, delta.pane, arrived);
        Ok(())
    }

    fn frontier(&mut self, offset: Offset, frontier: &Frontier) -> Option<Hole> {
        if !self.indicators.values().any(|indicator| indicator.topic == frontier.source) {
            return None;
        }
        self.clock(&frontier.source).frontier(frontier, offset)
    }

    fn know_panes(&mut self, pane_us: i64) {
        if self.pane_us.is_none() {
            self.pane_us = Some(pane_us);
            self.clocks.values_mut().for_each(|clock| clock.know_panes(pane_us));
        }
    }

    fn clock(&mut self, topic: &str) -> &mut Clock<Arrived> {
        let pane_us = self.pane_us.unwrap_or(PROBE_PANE_US);
        self.clocks.entry(topic.to_owned()).or_insert_with(|| Clock::new(pane_us))
    }

    /// What waits needs facts from here on; `None`: nothing waits.
    pub(crate) fn needed_from(&self) -> Option<Offset> {
        self.clocks.values().filter_map(Clock::needed_from).min()
    }

    /// All is known again that waited.
    pub(crate) fn caught_up(&mut self) {
        self.clocks.values_mut().for_each(Clock::caught_up);
    }

    /// Has the objectives of another one, which has read the same facts for them; with these alarms, or none.
    pub(crate) fn take_in(&mut self, mut other: Self, alarms: &BTreeMap<(String, String), BTreeMap<String, Alert>>) {
        if let Some(pane_us) = other.pane_us {
            self.know_panes(pane_us);
        }
        for (topic, clock) in &other.clocks {
            self.clock(topic).come_to(clock.kept());
        }
        for (key, followed) in &mut other.followed {
            followed.evaluator.adopt(alarms.get(key).unwrap_or(&BTreeMap::new()));
        }
        self.followed.append(&mut other.followed);
    }

    /// Every grid point that can be evaluated, in order; `tell` hears of each transition. How many there were.
    pub fn advance(&mut self, tell: &mut dyn FnMut(AlertRecord)) -> u64 {
        let Some(pane_us) = self.pane_us else { return 0 };
        let before = self.points;
        for (topic, clock) in &mut self.clocks {
            while let Some((now, parts)) = clock.next_point() {
                self.points += 1;
                for (pane, arrived) in parts {
                    let asking = self.indicators.get(&arrived.sli).map_or(&[][..], |indicator| &indicator.slos);
                    for promise in asking.iter().filter_map(|name| self.promises.get(name)) {
                        let key = (arrived.tenant.clone(), promise.name.clone());
                        let followed = self.followed.entry(key).or_insert_with(|| {
                            Followed::new(&self.definitions, promise.clone(), arrived.tenant.clone(), pane_us)
                                .expect("it was followed when it was defined")
                        });
                        followed.add(pane, &arrived.added);
                    }
                }
                let first = clock.kept().first.unwrap_or(now);
                let covered = |from: EventTime, to: EventTime| clock.is_covered(from, to);
                for followed in self.followed.values_mut().filter(|followed| followed.promise.topic == *topic) {
                    followed.evaluate(first, now, &covered).into_iter().for_each(&mut *tell);
                }
            }
        }
        self.points - before
    }

    /// Where each objective stands at its last grid point, by name and tenant; those of which nothing was counted, too.
    pub fn standings(&self) -> Vec<ObjectiveStanding> {
        let mut standings = Vec::new();
        for (name, promise) in &self.promises {
            let mine = self.followed.values().filter(|followed| followed.promise.name == *name);
            let before = standings.len();
            standings.extend(mine.map(Followed::standing));
            if standings.len() == before {
                standings.push(nothing_known(promise, ""));
            }
        }
        standings
    }

    /// Where an objective stands of which nothing was counted, though its topic was evaluated: it had no traffic.
    pub fn standing_in_silence(&self, slo: &str, topic: Span) -> Option<ObjectiveStanding> {
        let (promise, pane_us) = (self.promises.get(slo)?.clone(), self.pane_us.unwrap_or(PROBE_PANE_US));
        let mut followed = Followed::new(&self.definitions, promise, String::new(), pane_us).ok()?;
        followed.evaluate(topic.from, topic.from, &|_, _| true);
        followed.evaluate(topic.from, topic.to, &|_, _| true);
        Some(followed.standing())
    }

    /// From the first to the last grid point of each topic that something was counted of.
    pub fn evaluated(&self) -> BTreeMap<&str, Span> {
        let span = |clock: &Clock<Arrived>| Some(Span { from: clock.kept().first?, to: clock.kept().at });
        self.clocks.iter().filter_map(|(topic, clock)| Some((topic.as_str(), span(clock)?))).collect()
    }

    /// The last grid point that could be evaluated of each topic that something was counted of.
    pub fn evaluated_until(&self) -> BTreeMap<&str, EventTime> {
        let known = self.clocks.iter().filter(|(_, clock)| clock.kept().first.is_some());
        known.map(|(topic, clock)| (topic.as_str(), clock.kept().at)).collect()
    }

    /// Deltas that wait for their grid point.
    pub fn waiting(&self) -> usize {
        self.clocks.values().map(Clock::waiting).sum()
    }

    /// Deltas of SLIs that came from another topic than theirs, and were left out.
    pub const fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Grid points evaluated here, over all topics.
    pub const fn points(&self) -> u64 {
        self.points
    }
}

/// What no sli stage writes: shorter panes, more events in one, more partitions than a cluster holds.
const PANE_US_MIN: i64 = 1_000_000;
const COUNT_MAX: u64 = 1 << 48;
const PARTITIONS_MAX: i32 = 200_000;

/// A pane by which definitions are tried before any fact says how long panes are.
pub(crate) const PROBE_PANE_US: i64 = 10_000_000;
