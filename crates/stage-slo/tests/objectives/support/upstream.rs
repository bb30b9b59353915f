//! Facts drawn from a seed: what the sli stage could have written, with everything that it may.

use streamgauge_events::{Cause, Delta, EventTime, Fact};
use streamgauge_memory_log::SplitMix64;

use super::facts::{Chain, at_or_under, point, with_values};
use super::promises::{Carries, SLIS, THRESHOLD_US};

/// What happens upstream beside plain batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    pub grows: bool,
    pub holes: bool,
    pub lost: bool,
    pub generations: bool,
    /// Hours pass without an event.
    pub silent: bool,
    /// Batches are told again.
    pub repeats: bool,
}

impl Habits {
    pub fn drawn(random: &mut SplitMix64) -> Self {
        let mut maybe = || random.chance(0.3);
        Self { grows: maybe(), holes: maybe(), lost: maybe(), generations: maybe(), silent: maybe(), repeats: maybe() }
    }
}

/// All source partitions of some topics.
pub struct Upstream {
    random: SplitMix64,
    habits: Habits,
    sources: Vec<Source>,
    /// Grid point up to which events have come.
    clock: i64,
    /// Share of bad ones, in percent, by SLI.
    moods: [u64; SLIS.len()],
}

struct Source {
    chain: Chain,
    until: i64,
    over: bool,
    last: Vec<Fact>,
}

const TENANTS: [&str; 4] = ["", "", "", "so/uth%"];

impl Upstream {
    pub fn new(seed: u64, habits: Habits, topics: &[(&'static str, i32)]) -> Self {
        let all = topics.iter().flat_map(|(topic, partitions)| (0..*partitions).map(|number| (*topic, number)));
        let sources = all.map(|(topic, number)| Source::new(topic, number)).collect();
        Self { random: SplitMix64::new(seed), habits, sources, clock: 3, moods: [5; SLIS.len()] }
    }

    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    fn partitions(&self, topic: &str) -> i32 {
        self.sources.iter().filter(|source| source.chain.source == topic).count() as i32
    }

    /// The next batch of any partition.
    pub fn batch(&mut self) -> Vec<Fact> {
        let count = self.sources.len() as u64;
        let which = self.random.below(count) as usize;
        self.batch_of(which)
    }

    /// The next batch of one partition: deltas, then the frontier.
    pub fn batch_of(&mut self, which: usize) -> Vec<Fact> {
        if self.sources[which].over {
            return Vec::new();
        }
        self.let_time_pass();
        self.misbehave(which);
        if self.habits.repeats && self.random.chance(0.03) {
            return self.sources[which].last.clone();
        }
        let lag = self.random.below(3) as i64;
        let before = self.sources[which].until;
        let fell = self.sources[which].chain.batch == 0 && self.sources[which].chain.generation > 0;
        let until = if fell && self.random.chance(0.5) {
            before - self.random.below(6) as i64
        } else {
            before.max(self.clock - lag)
        };
        self.sources[which].until = until;
        let is_full = until <= before;
        let mut facts = self.deltas(which, before, until, is_full);
        let cause = if is_full { Cause::CellsMax } else { Cause::Data };
        self.close(which, point(until), cause, &mut facts);
        facts
    }

    /// The end of a bounded input.
    pub fn end(&mut self, which: usize) -> Vec<Fact> {
        let until = self.sources[which].until;
        let mut facts = self.deltas(which, until, until + 2, true);
        self.close(which, EventTime::AFTER_ALL, Cause::End, &mut facts);
        self.sources[which].over = true;
        facts
    }

    fn close(&mut self, which: usize, until: EventTime, cause: Cause, facts: &mut Vec<Fact>) {
        let partitions = self.partitions(self.sources[which].chain.source);
        let source = &mut self.sources[which];
        let announced = (source.chain.partition == 0).then_some(partitions);
        let mut frontier = source.chain.frontier(until, announced);
        frontier.cause = cause;
        if self.habits.lost && self.random.chance(0.05) {
            frontier.lost = vec![(frontier.from, frontier.from + 3)];
        }
        facts.push(Fact::Frontier(frontier));
        source.last.clone_from(facts);
    }

    fn let_time_pass(&mut self) {
        self.clock += match self.random.below(100) {
            0..50 => 0,
            50..95 => 1,
            95..99 => self.random.below(15) as i64,
            _ if self.habits.silent => 300 + self.random.below(2_000) as i64,
            _ => 30,
        };
        if self.random.chance(0.05) {
            let mood = *self.random.pick(&[0, 2, 5, 20, 60, 100]);
            let sli = self.random.below(SLIS.len() as u64) as usize;
            self.moods[sli] = mood;
        }
    }

    fn misbehave(&mut self, which: usize) {
        if self.habits.grows && self.sources.len() < 8 && self.random.chance(0.03) {
            let topic = self.sources[which].chain.source;
            let partition = self.partitions(topic);
            self.sources.push(Source::new(topic, partition));
        }
        if self.habits.holes && self.random.chance(0.02) {
            self.sources[which].chain.skip_batch();
        }
        if self.habits.generations && self.random.chance(0.03) {
            self.sources[which].chain.begin_generation();
        }
    }

    /// Panes between two grid points, late ones, and, where a batch holds all there is, open ones.
    fn deltas(&mut self, which: usize, before: i64, until: i64, is_full: bool) -> Vec<Fact> {
        let topic = self.sources[which].chain.source;
        let slis: Vec<usize> = (0..SLIS.len()).filter(|sli| SLIS[*sli].2 == topic).collect();
        let count = self.random.below(5);
        (0..count)
            .map(|_| {
                let sli = *self.random.pick(&slis);
                let pane = match self.random.below(20) {
                    0..2 => (until - 1 - self.random.below(30) as i64).max(0),
                    2 if self.random.chance(0.2) => (until - 1 - self.random.below(3_000) as i64).max(0),
                    3..6 if is_full => until + self.random.below(4) as i64,
                    _ => (until - 1 - self.random.below((until - before).clamp(1, 8) as u64) as i64).max(0),
                };
                Fact::Delta(self.delta(which, sli, pane))
            })
            .collect()
    }

    fn delta(&mut self, which: usize, sli: usize, pane: i64) -> Delta {
        let random = &mut self.random;
        let (name, service, _, carries) = SLIS[sli];
        let n = 1 + random.below(100);
        let bad = (0..n).filter(|_| random.below(100) < self.moods[sli]).count() as u64;
        let mut delta = self.sources[which].chain.delta(name, service, pane, n, n - bad);
        delta.tenant = (*random.pick(&TENANTS)).to_owned();
        delta.newest = point(pane).plus_us(random.below(10_000_000) as i64);
        delta.unjudged = random.below(2).min(n - bad);
        delta.good -= delta.unjudged;
        if bad > 0 {
            delta.exemplars = (0..random.below(3)).map(|_| format!("t{}", random.below(1000))).collect();
        }
        match carries {
            Carries::Counts => {}
            Carries::Threshold => {
                let in_time = delta.good;
                at_or_under(&mut delta, THRESHOLD_US, in_time);
            }
            Carries::Values => {
                let worse = self.moods[sli] as i64 * 10_000;
                let around = if name == "tone" { 900_000 - worse * 8 / 10 } else { 300_000 + worse };
                let values: Vec<i64> = (0..=random.below(4)).map(|_| around + random.below(100_000) as i64).collect();
                delta.unjudged = 0;
                with_values(&mut delta, &values);
            }
        }
        delta
    }
}

impl Source {
    fn new(topic: &'static str, partition: i32) -> Self {
        Self { chain: Chain::new(topic, partition), until: 0, over: false, last: Vec::new() }
    }
}
