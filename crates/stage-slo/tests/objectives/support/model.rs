//! What is to be told, straight from the definitions of D(t), rosters and grid points: lists and loops, nothing kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use streamgauge_definitions::{Budgeting, Definitions, Measure, Rule, Share, Slice, Slo, TimeWindow};
use streamgauge_events::{Delta, EventTime, Fact, Offset};
use streamgauge_slo::calendar::Unit;
use streamgauge_slo::evaluate::Method;
use streamgauge_slo::{Alert, Calendar, Evaluator, Fraction, Objective, Period, Tally, Target, Transition};
use streamgauge_stage_slo::{AlertRecord, rules_of};
use streamgauge_windows::cell::Cell;
use streamgauge_windows::judge;
use streamgauge_windows::slice::Counted;

use super::facts::{PANE_US, number_of};

/// By tenant and SLO, a line a transition.
pub type Told = BTreeMap<(String, String), Vec<String>>;

/// Definitions that hold up to an offset of the facts.
pub struct Era<'a> {
    pub definitions: &'a Definitions,
    pub until: Offset,
}

pub fn told(facts: &[(Offset, Fact)], eras: &[Era<'_>]) -> Told {
    let topics: BTreeSet<&str> = facts.iter().map(|(_, fact)| source_of(fact)).collect();
    let mut told = Told::new();
    for topic in topics {
        let log = FactLog::of(facts, topic);
        let mut known: Option<Known> = None;
        let mut before: Option<&Era<'_>> = None;
        for era in eras {
            known = Some(log.enter(era, before, known));
            let Known { line, followed } = known.as_mut().expect("it was entered");
            log.run(era, line, followed, &mut told);
            before = Some(era);
        }
    }
    told
}

pub fn line_of(record: &AlertRecord) -> String {
    let window = |counts: Option<streamgauge_stage_slo::WindowCounts>| {
        counts.map_or("-".to_owned(), |counts| format!("{}/{}", counts.bad, counts.total))
    };
    format!(
        "{} {} at {} since {} counted {}/{} long {} short {} left {:?} {:?} {:?}",
        record.rule,
        record.transition.as_str(),
        number_of(record.at),
        number_of(record.starts_at),
        record.counted.bad,
        record.counted.total,
        window(record.long),
        window(record.short),
        record.remaining,
        record.forecast,
        record.exemplars,
    )
}

fn source_of(fact: &Fact) -> &str {
    match fact {
        Fact::Delta(delta) => &delta.source,
        Fact::Frontier(frontier) => &frontier.source,
    }
}

/// All batches of one topic.
struct FactLog {
    topic: String,
    chains: BTreeMap<i32, Vec<Batch>>,
    deltas: Vec<Delta>,
    /// Grid points at which D(t) may become more.
    steps: BTreeSet<EventTime>,
}

struct Batch {
    /// Where its frontier stands.
    at: Offset,
    until: EventTime,
    partitions: Option<i32>,
    /// Places among all deltas.
    deltas: Vec<usize>,
    lacks: bool,
}

/// Where the grid clock stands.
#[derive(Clone, Copy)]
struct Line {
    at: EventTime,
    first: Option<EventTime>,
    newest: EventTime,
}

const NOTHING: Line = Line { at: EventTime::BEFORE_ALL, first: None, newest: EventTime::BEFORE_ALL };

struct Known {
    line: Line,
    followed: BTreeMap<(String, String), Followed>,
}

struct Followed {
    measure: Measure,
    indicator: String,
    /// Slices begin with it.
    first: EventTime,
    evaluator: Evaluator,
    known: BTreeSet<usize>,
    /// What each slice counts as.
    judged: BTreeMap<EventTime, Tally>,
}

impl FactLog {
    fn of(facts: &[(Offset, Fact)], topic: &str) -> Self {
        let mut log =
            Self { topic: topic.to_owned(), chains: BTreeMap::new(), deltas: Vec::new(), steps: BTreeSet::new() };
        let mut open: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        let mut heads: BTreeMap<i32, ((u32, u64), Offset)> = BTreeMap::new();
        for (offset, fact) in facts.iter().filter(|(_, fact)| source_of(fact) == topic) {
            match fact {
                Fact::Delta(delta) => {
                    let head = heads.get(&delta.partition);
                    if head.is_none_or(|(last, _)| (delta.generation, delta.batch) > *last) {
                        open.entry(delta.partition).or_default().push(log.deltas.len());
                        log.deltas.push(delta.clone());
                    }
                }
                Fact::Frontier(frontier) => {
                    let id = (frontier.generation, frontier.batch);
                    let head = heads.get(&frontier.partition).copied();
                    if head.is_some_and(|(last, _)| id <= last) {
                        continue;
                    }
                    let follows = |((generation, batch), to): ((u32, u64), Offset)| {
                        let next = id == (generation, batch + 1) || (id.0 > generation && id.1 == 0);
                        next && to == frontier.from
                    };
                    let is_hole = head.is_some_and(|head| !follows(head));
                    heads.insert(frontier.partition, (id, frontier.to));
                    log.chains.entry(frontier.partition).or_default().push(Batch {
                        at: *offset,
                        until: frontier.complete_until,
                        partitions: frontier.partitions,
                        deltas: open.remove(&frontier.partition).unwrap_or_default(),
                        lacks: is_hole || !frontier.lost.is_empty() || frontier.lost_events > 0,
                    });
                }
            }
        }
        let ends = log.deltas.iter().map(|delta| delta.pane.plus_us(PANE_US));
        let behind = log.chains.values().flatten().map(|batch| batch.until.plus_us(PANE_US));
        log.steps = ends.chain(behind).filter(|step| *step < EventTime::AFTER_ALL).collect();
        log
    }

    /// The batches of a partition up to and including the first that is complete for `t`.
    fn batches(&self, partition: i32, t: EventTime, read: Offset) -> Option<&[Batch]> {
        let batches = self.chains.get(&partition)?;
        let last = batches.iter().position(|batch| batch.until >= t).filter(|last| batches[*last].at < read)?;
        Some(&batches[..=last])
    }

    fn roster(&self, t: EventTime, read: Offset) -> Option<i32> {
        self.batches(0, t, read)?.iter().filter_map(|batch| batch.partitions).max()
    }

    /// D(t), of the SLIs that somebody asks for; `None`: a partition is not complete for it.
    fn known(&self, t: EventTime, read: Offset, asked: &[bool]) -> Option<BTreeSet<usize>> {
        let mut known = Vec::new();
        for partition in 0..self.roster(t, read)? {
            for delta in self.batches(partition, t, read)?.iter().flat_map(|batch| &batch.deltas) {
                if asked[*delta] && self.deltas[*delta].pane.plus_us(PANE_US) <= t {
                    known.push(*delta);
                }
            }
        }
        Some(BTreeSet::from_iter(known))
    }

    /// Whether nothing of [from, to) is missing, as is known at `t`.
    fn covered(&self, t: EventTime, read: Offset, from: EventTime, to: EventTime) -> bool {
        let roster = self.roster(t, read).unwrap_or_default();
        (0..roster).all(|partition| {
            let (mut before, mut since) = (EventTime::BEFORE_ALL, None);
            for batch in self.batches(partition, t, read).unwrap_or_default() {
                if batch.lacks {
                    since = since.or(Some(before));
                }
                before = before.max(batch.until);
                if let Some(start) = since.filter(|start| before > *start) {
                    if start < to && before > from {
                        return false;
                    }
                    since = None;
                }
            }
            true
        })
    }

    fn next_point(&self, line: &Line, read: Offset, asked: &[bool]) -> Option<EventTime> {
        let have = self.known(line.at, read, asked).unwrap_or_default();
        let steps = self.steps.range(line.at.plus_us(1)..);
        let known = steps.map_while(|step| Some((*step, self.known(*step, read, asked)?)));
        let next_known = known.into_iter().find(|(_, known)| !known.is_subset(&have)).map(|(step, _)| step);
        if line.first.is_none() {
            return next_known;
        }
        const HOUR_US: i64 = 3_600_000_000;
        let next = line.at.plus_us(PANE_US);
        let next = if next.0 - line.newest.0 <= HOUR_US {
            next
        } else {
            let hour = next.plus_us(HOUR_US - 1).floor(HOUR_US);
            next_known.map_or(hour, |known| known.min(hour))
        };
        let reached =
            self.chains.values().flatten().filter(|batch| batch.at < read && batch.until < EventTime::AFTER_ALL);
        let last = reached.map(|batch| batch.until).max().max(Some(line.newest));
        let is_over =
            Some(next) > last && next_known.is_none() && self.known(EventTime::AFTER_ALL, read, asked).is_some();
        (!is_over && self.known(next, read, asked).is_some()).then_some(next)
    }

    fn enter(&self, era: &Era<'_>, before: Option<&Era<'_>>, known: Option<Known>) -> Known {
        // With its alarms, and with what slices are judged by: other predicates change no budget.
        let mine = |definitions: &Definitions| -> BTreeMap<String, (Slo, Vec<streamgauge_slo::Rule>, Option<Measure>)> {
            let with_sli = definitions.slos.iter().map(|(name, slo)| (name, slo, &definitions.slis[&slo.indicator]));
            let of_topic = with_sli.filter(|(_, _, sli)| sli.topic == self.topic);
            let judging = |measure: &Measure| measure.slice().map(|_| measure.clone());
            let alarms = |slo: &Slo| rules_of(definitions, slo, PANE_US);
            of_topic.map(|(name, slo, sli)| (name.clone(), (slo.clone(), alarms(slo), judging(&sli.good)))).collect()
        };
        let (now, earlier) = (mine(era.definitions), before.map(|era| mine(era.definitions)).unwrap_or_default());
        let (mut line, mut old) = known.map_or((NOTHING, BTreeMap::new()), |known| (known.line, known.followed));
        if earlier.is_empty() || now.is_empty() {
            line = NOTHING;
        }
        let unchanged = |name: &String| now.contains_key(name) && now.get(name) == earlier.get(name);
        let anew = BTreeSet::from_iter(now.keys().filter(|name| !unchanged(name)).cloned());
        let mut fresh = Known { line: NOTHING, followed: BTreeMap::new() };
        if let Some(before) = before {
            let so_far = Era { definitions: era.definitions, until: before.until };
            self.run(&so_far, &mut fresh.line, &mut fresh.followed, &mut Told::new());
            fresh.followed.retain(|(_, name), _| anew.contains(name));
        }
        for (key, followed) in &mut fresh.followed {
            let alarms = old.get(key).map(|old| old.evaluator.save_head().alarms).unwrap_or_default();
            followed.evaluator.adopt(&alarms);
        }
        old.retain(|(_, name), _| unchanged(name));
        old.append(&mut fresh.followed);
        line = Line {
            at: line.at.max(fresh.line.at),
            first: line.first.into_iter().chain(fresh.line.first).min(),
            newest: line.newest.max(fresh.line.newest),
        };
        Known { line, followed: old }
    }

    fn run(
        &self,
        era: &Era<'_>,
        line: &mut Line,
        followed: &mut BTreeMap<(String, String), Followed>,
        told: &mut Told,
    ) {
        let slos = &era.definitions.slos;
        let is_asked = |delta: &Delta| slos.values().any(|slo| slo.indicator == delta.sli);
        let asked: Vec<bool> = self.deltas.iter().map(is_asked).collect();
        let mut seen = BTreeSet::new();
        while let Some(t) = self.next_point(line, era.until, &asked) {
            let known = self.known(t, era.until, &asked).expect("the point can be evaluated");
            let new: Vec<usize> = known.difference(&seen).copied().collect();
            line.at = t;
            let panes = || new.iter().map(|delta| self.deltas[*delta].pane);
            line.newest = line.newest.max(panes().max().unwrap_or(EventTime::BEFORE_ALL).plus_us(PANE_US));
            line.first = line.first.or_else(|| panes().min());
            let first = line.first.unwrap_or(t);
            for delta in &new {
                let Delta { tenant, sli, .. } = &self.deltas[*delta];
                for (name, slo) in slos.iter().filter(|(_, slo)| slo.indicator == *sli) {
                    let new = || Followed::new(era.definitions, slo, first);
                    followed.entry((tenant.clone(), name.clone())).or_insert_with(new);
                }
            }
            seen = known;
            for ((tenant, name), followed) in followed.iter_mut() {
                let lines = followed.evaluate(self, tenant, &new, t, era.until);
                if !lines.is_empty() {
                    told.entry((tenant.clone(), name.clone())).or_default().extend(lines);
                }
            }
        }
    }
}

impl Followed {
    fn new(definitions: &Definitions, slo: &Slo, first: EventTime) -> Self {
        let measure = definitions.slis[&slo.indicator].good.clone();
        let step_us = measure.slice().map_or(PANE_US, |slice| slice.length_us);
        Self {
            measure,
            indicator: slo.indicator.clone(),
            first,
            evaluator: Evaluator::new(objective_of(definitions, slo), PANE_US).projected().by_steps_of(step_us),
            known: BTreeSet::new(),
            judged: BTreeMap::new(),
        }
    }

    fn evaluate(&mut self, log: &FactLog, tenant: &str, new: &[usize], t: EventTime, read: Offset) -> Vec<String> {
        let is_mine = |delta: &Delta| delta.sli == self.indicator && delta.tenant == tenant;
        let mut mine: Vec<usize> = new.iter().copied().filter(|delta| is_mine(&log.deltas[*delta])).collect();
        mine.retain(|delta| self.known.insert(*delta));
        let new: Vec<&Delta> = mine.into_iter().map(|delta| &log.deltas[delta]).collect();
        self.evaluator.advance(t);
        let all: Vec<&Delta> = self.known.iter().map(|delta| &log.deltas[*delta]).collect();
        match self.measure.clone() {
            Measure::Slice { slice, rule } => {
                let judging = self.to_judge(slice, &rule, &all, &new, t);
                for start in judging {
                    let covered = log.covered(t, read, start, start.plus_us(slice.length_us));
                    let worth = worth_of(&self.measure, slice, &rule, &all, start, covered);
                    let before = self.judged.insert(start, worth).unwrap_or_default();
                    if worth != before {
                        self.evaluator.add(start, worth - before);
                    }
                }
            }
            _ => {
                for delta in new {
                    let total = i128::from(delta.n - delta.unjudged);
                    self.evaluator.add(delta.pane, Tally::new(total - i128::from(delta.good), total));
                }
            }
        }
        let before = self.evaluator.alerts();
        let transitions = self.evaluator.evaluate();
        let mut exemplars: Vec<(EventTime, &String)> =
            all.iter().flat_map(|delta| delta.exemplars.iter().map(|id| (delta.pane, id))).collect();
        exemplars.sort_unstable();
        exemplars.dedup();
        let exemplars: Vec<&String> = exemplars.iter().rev().take(3).map(|(_, id)| *id).collect();
        transitions
            .into_iter()
            .map(|(rule, transition)| self.line(rule, transition, t, before[rule], &exemplars))
            .collect()
    }

    /// Slices that have ended since, those in which something was counted since, and those that are as fresh as these.
    fn to_judge(&self, slice: Slice, rule: &Rule, all: &[&Delta], new: &[&Delta], t: EventTime) -> BTreeSet<EventTime> {
        let length_us = slice.length_us;
        let has_ended = |start: &EventTime| start.plus_us(length_us) <= t;
        let mut judging: BTreeSet<EventTime> = new.iter().map(|delta| delta.pane.floor(length_us)).collect();
        judging.extend(
            all.iter().map(|delta| delta.pane.floor(length_us)).filter(|start| !self.judged.contains_key(start)),
        );
        let restated = judging.clone();
        let begin = self.first.floor(length_us);
        let mut start = self.judged.last_key_value().map_or(begin, |(last, _)| begin.max(*last));
        while has_ended(&start) {
            if !self.judged.contains_key(&start) {
                judging.insert(start);
            }
            start = start.plus_us(length_us);
        }
        if matches!(rule, Rule::Freshness { .. }) {
            for from in restated {
                let has_own = |start: EventTime| all.iter().any(|delta| delta.pane.floor(length_us) == start);
                let mut next = from.plus_us(length_us);
                while self.judged.contains_key(&next) && !has_own(next) {
                    judging.insert(next);
                    next = next.plus_us(length_us);
                }
            }
        }
        judging.into_iter().filter(has_ended).collect()
    }

    fn line(&self, rule: usize, transition: Transition, t: EventTime, before: Alert, exemplars: &[&String]) -> String {
        let since = match (transition, before) {
            (Transition::Resolved | Transition::Dropped, Alert::Pending { since, .. } | Alert::Firing { since }) => {
                since
            }
            _ => t,
        };
        let (standing, windows) = (self.evaluator.standing(), self.evaluator.windows(rule));
        let window =
            |tally: Option<Tally>| tally.map_or("-".to_owned(), |tally| format!("{}/{}", tally.bad, tally.total));
        format!(
            "{} {} at {} since {} counted {}/{} long {} short {} left {:?} {:?} {:?}",
            self.evaluator.objective().rules[rule].name,
            transition.as_str(),
            number_of(t),
            number_of(since),
            standing.counted.bad,
            standing.counted.total,
            window(windows.map(|(long, _)| long)),
            window(windows.map(|(_, short)| short)),
            standing.remaining,
            standing.forecast,
            exemplars,
        )
    }
}

fn worth_of(measure: &Measure, slice: Slice, rule: &Rule, all: &[&Delta], start: EventTime, covered: bool) -> Tally {
    let mut counted = Counted::default();
    for delta in all.iter().filter(|delta| delta.pane.floor(slice.length_us) == start) {
        counted.add(measure, &Cell::of(delta).expect("its histogram can be read"));
    }
    let end = start.plus_us(slice.length_us);
    counted.newest = all.iter().filter(|delta| delta.pane < end).map(|delta| delta.newest).max();
    match judge(rule, slice, end, covered, &counted).counts {
        Some(good) => Tally::new((!good).into(), 1),
        None => Tally::default(),
    }
}

fn objective_of(definitions: &Definitions, slo: &Slo) -> Objective {
    let fraction = |share: Share| Fraction::new(share.numerator, share.denominator);
    let method = match slo.budgeting {
        Budgeting::Occurrences => Method::Occurrences,
        Budgeting::Timeslices { target, width_us } => Method::Timeslices { target: fraction(target), width_us },
        Budgeting::RatioTimeslices { width_us } => Method::RatioTimeslices { width_us },
    };
    let period = match &slo.window {
        TimeWindow::Rolling { length_us } => Period::Rolling { length_us: *length_us },
        TimeWindow::Calendar { count, start, time_zone, .. } => {
            let zone = TimeZone::get(time_zone).expect("a zone");
            let count = i32::try_from(*count).expect("a small number");
            let anchor = start.parse().expect("a date");
            Period::Calendar(Calendar::new(Unit::Days, count, anchor, zone).expect("at least a day"))
        }
    };
    let target = Target::new(fraction(slo.target)).expect("it leaves a budget");
    Objective { target, method, period, rules: rules_of(definitions, slo, PANE_US) }
}
