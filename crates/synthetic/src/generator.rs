//! Scenario and seed to records, in the order in which they are appended.
//!
//! Each event draws from a random stream of its own, so what one event needs never shifts the next, and a fault changes
//! only the requests that it touches. The schedule has a stream of its own too.

use streamgauge_events::partitioner::partition_of;

use crate::plan::Plan;
use crate::random::SplitMix64;
use crate::rate::Arrivals;
use crate::record::{Breakage, CLOCK_AHEAD_US, Facts, Kind, Parts, push_key, write};
use crate::scenario::Scenario;
use crate::truth::Series;

/// Stream 0 of a seed is the schedule, the n-th event has stream n.
const SCHEDULE_STREAM: u64 = 0;

/// One record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// When it is appended, microseconds since the Unix epoch; never before the record ahead of it.
    pub at_us: i64,
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    pub facts: Facts,
}

impl Default for Generated {
    /// An empty record, to be filled.
    fn default() -> Self {
        let facts = Facts { kind: Kind::OnTime, partition: 0, ts_us: 0, series: 0, failed: false, latency_us: None };
        Self { at_us: 0, partition: 0, key: None, value: Vec::new(), facts }
    }
}

/// Where a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Behind so much scenario time. Rates go on as their profile says beyond the scenario's own duration.
    DurationUs(i64),
    /// After so many records.
    Events(u64),
}

/// An endless supply would be no scenario: it ends with the scenario's duration unless told otherwise.
pub struct Generator {
    plan: Plan,
    scenario: Scenario,
    seed: u64,
    start_us: i64,
    rate_factor: f64,
    until: Until,
    arrivals: Arrivals,
    /// Requests that arrived, also those that an outage swallowed.
    arrived: u64,
    generated: u64,
}

impl Generator {
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self {
            plan: Plan::new(scenario),
            scenario: scenario.clone(),
            seed,
            start_us: scenario.start_us(),
            rate_factor: 1.0,
            until: Until::DurationUs(scenario.duration_secs() as i64 * 1_000_000),
            arrivals: Self::arrivals(scenario, seed, 1.0),
            arrived: 0,
            generated: 0,
        }
    }

    fn arrivals(scenario: &Scenario, seed: u64, rate_factor: f64) -> Arrivals {
        Arrivals::new(scenario.rate.clone(), rate_factor, SplitMix64::new(seed, SCHEDULE_STREAM))
    }

    /// Shifts scenario time zero, say to the present.
    pub fn with_start(mut self, start_us: i64) -> Self {
        self.start_us = start_us;
        self
    }

    /// Makes everything arrive more often, or less. Only before the first record is taken.
    pub fn with_rate_factor(mut self, rate_factor: f64) -> Self {
        assert!(rate_factor.is_finite() && rate_factor > 0.0, "a rate factor is a positive number, not {rate_factor}");
        assert_eq!(self.arrived, 0, "a schedule that has begun keeps its rate");
        self.rate_factor = rate_factor;
        self.arrivals = Self::arrivals(&self.scenario, self.seed, rate_factor);
        self
    }

    pub fn with_until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn start_us(&self) -> i64 {
        self.start_us
    }

    pub fn rate_factor(&self) -> f64 {
        self.rate_factor
    }

    /// Every series that a record of this scenario can belong to; [`Facts::series`] is an index into it.
    pub fn series(&self) -> &[Series] {
        &self.plan.series
    }

    /// Replaces `into` by the next record, using its buffers again. `false`: the run is over.
    pub fn fill(&mut self, into: &mut Generated) -> bool {
        loop {
            if matches!(self.until, Until::Events(events) if self.generated >= events) {
                return false;
            }
            let offset_us = self.arrivals.next_us();
            if matches!(self.until, Until::DurationUs(duration_us) if offset_us >= duration_us) {
                return false;
            }
            self.arrived += 1;
            if self.request(offset_us, into) {
                self.generated += 1;
                return true;
            }
        }
    }

    /// One arrival; `false` where an outage swallows it.
    fn request(&self, offset_us: i64, into: &mut Generated) -> bool {
        let plan = &self.plan;
        let random = &mut SplitMix64::new(self.seed, self.arrived);
        let customer = plan.customers.as_ref().map(|customers| customers.pick(random) as u32 + 1);
        self.address(customer, into, random);
        let (kind, delay_us) = match plan.fate(random) {
            _ if self.scenario.broken.garbage_partitions.contains(&into.partition) => {
                (Kind::Broken(Breakage::NotJson), 0)
            }
            fate => fate,
        };
        let endpoint = &plan.endpoints[plan.endpoint_choice.pick(random)];
        let service = &plan.services[endpoint.service as usize];
        let Some(outcome) = service.outcome(endpoint, offset_us - delay_us, random) else { return false };

        let latency_us = plan.latencies[endpoint.latency as usize].sample_us(outcome, random);
        let unmeasured = !outcome.failed && plan.without_latency.hit(random);
        let tenant = plan.tenants.pick(random);
        let place = plan.places.pick(random);
        let ahead_us = if kind == Kind::Broken(Breakage::ClockAhead) { CLOCK_AHEAD_US } else { 0 };
        into.at_us = self.start_us + offset_us;
        into.facts = Facts {
            kind,
            partition: into.partition,
            ts_us: (into.at_us - delay_us + ahead_us).max(0),
            series: endpoint.series[tenant * service.versions_json.len() + outcome.version as usize],
            failed: outcome.failed,
            latency_us: (!unmeasured).then_some(latency_us),
        };
        let parts = Parts {
            facts: into.facts,
            service: &service.json,
            endpoint: &endpoint.json,
            version: &service.versions_json[outcome.version as usize],
            tenant: &plan.tenants.json[tenant],
            place: &plan.places.json[place],
            status: if outcome.failed {
                failure_status(random)
            } else {
                success_status(service.client_error.hit(random), random)
            },
            customer,
            event_id: self.scenario.event_ids,
        };
        write(&mut into.value, &parts, random);
        true
    }

    /// Key and partition: by the customer as Kafka's own partitioner would, else at random.
    fn address(&self, customer: Option<u32>, into: &mut Generated, random: &mut SplitMix64) {
        let partitions = self.scenario.partitions();
        match customer {
            Some(customer) => {
                let key = into.key.get_or_insert_default();
                key.clear();
                push_key(key, customer);
                into.partition = partition_of(key, partitions);
            }
            None => {
                into.key = None;
                into.partition = random.below(partitions as u64) as i32;
            }
        }
    }
}

/// One failure in eight gets no answer at all.
fn failure_status(random: &mut SplitMix64) -> Option<u16> {
    const STATUSES: [Option<u16>; 8] =
        [Some(500), Some(500), Some(500), Some(503), Some(503), Some(502), Some(504), None];
    STATUSES[random.below(8) as usize]
}

fn success_status(client_error: bool, random: &mut SplitMix64) -> Option<u16> {
    const CLIENT_ERRORS: [u16; 4] = [404, 404, 400, 401];
    const SUCCESSES: [u16; 8] = [200, 200, 200, 200, 200, 200, 201, 304];
    Some(if client_error { CLIENT_ERRORS[random.below(4) as usize] } else { SUCCESSES[random.below(8) as usize] })
}

impl Iterator for Generator {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        let mut generated = Generated::default();
        self.fill(&mut generated).then_some(generated)
    }
}
