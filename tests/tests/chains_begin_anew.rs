//! Chains that don't simply go on: resets by operators, metadata from elsewhere, logs cut at both ends, topics that grow.
//!
//! The simulator's schedules leave these out, since here something is lost or counted twice because a person says so.
//! What the frontiers then tell must be the truth.

use std::time::Duration;

use streamgauge_definitions::Bundle;
use streamgauge_events::{EventTime, Fact, Frontier, Offset, topics};
use streamgauge_memory_log::{Broker, ClientConfig, GroupOffset, MemoryLog};
use streamgauge_stage::settings::StartAt;
use streamgauge_stage::{CommitMetadata, Exit, Halt, TimeSettings, Worker, WorkerSettings};
use streamgauge_stage_sli::SliStage;

const SECOND: i64 = 1_000_000;
const START: EventTime = EventTime(1_000 * SECOND);
const GROUP: &str = "sli";

struct World {
    broker: Broker,
    now: EventTime,
    time: TimeSettings,
}

impl World {
    fn new(partitions: i32) -> Self {
        let broker = Broker::default();
        broker.advance_to(START);
        for (topic, partitions) in [
            (topics::REQUESTS, partitions),
            (topics::SLI_WINDOWS, 2),
            (topics::DEAD_LETTERS, 1),
            (topics::SLI_STATE, 1),
        ] {
            broker.create_topic(topic, partitions);
        }
        Self { broker, now: START, time: TimeSettings::default() }
    }

    /// Requests of now, in one partition.
    fn produce(&self, partition: i32, count: usize) {
        let value = format!(r#"{{"ts":{},"service":"shop","status":200}}"#, self.now.0);
        for _ in 0..count {
            self.broker.append(topics::REQUESTS, partition, None, Some(value.as_bytes()));
        }
    }

    fn start(&self, settings: WorkerSettings) -> Worker<MemoryLog, SliStage> {
        let log = MemoryLog::connect(&self.broker, ClientConfig::new(GROUP, "w0", &[topics::REQUESTS]));
        let stage = SliStage::new(topics::REQUESTS, self.time, &Bundle::default()).expect("nothing is defined");
        Worker::new(log.expect("nobody else is here"), stage, settings)
    }

    fn run(&mut self, worker: &mut Worker<MemoryLog, SliStage>, secs: i64) -> Result<(), Exit> {
        for _ in 0..secs * 4 {
            self.now = self.now.plus_us(SECOND / 4);
            self.broker.advance_to(self.now);
            worker.turn(self.now, Duration::ZERO)?;
        }
        Ok(())
    }

    /// A process that lives for so long, and stops as it should.
    fn live(&mut self, settings: WorkerSettings, secs: i64) -> Result<(), Exit> {
        let mut worker = self.start(settings);
        self.run(&mut worker, secs)?;
        worker.stop(self.now).0
    }

    fn committed(&self, partition: i32) -> GroupOffset {
        self.broker.group_offset(GROUP, topics::REQUESTS, partition).expect("it was committed")
    }

    fn set_committed(&self, partition: i32, offset: Option<(Offset, &str)>) {
        let offset = offset.map(|(offset, metadata)| GroupOffset { offset, metadata: metadata.to_owned() });
        self.broker.alter_group_offset(GROUP, topics::REQUESTS, partition, offset);
    }

    /// The frontiers of an input partition, as one output partition has them.
    fn frontiers(&self, partition: i32) -> Vec<Frontier> {
        let facts =
            self.broker.records(topics::SLI_WINDOWS, 0).into_iter().filter_map(|record| {
                match Fact::from_json(record.value.as_deref().unwrap_or_default()) {
                    Ok(Fact::Frontier(frontier)) if frontier.partition == partition => Some(frontier),
                    _ => None,
                }
            });
        facts.collect()
    }
}

fn new_generation() -> WorkerSettings {
    WorkerSettings { new_generation: true, ..WorkerSettings::default() }
}

/// Each generation: its number, its first offset, the one behind its last, and how many records it read.
fn chain(frontiers: &[Frontier]) -> Vec<(u32, Offset, Offset, u64)> {
    let mut generations: Vec<(u32, Offset, Offset, u64)> = Vec::new();
    let mut next = 0;
    for frontier in frontiers {
        match generations.last_mut() {
            Some((generation, _, to, records)) if *generation == frontier.generation => {
                assert_eq!((frontier.batch, frontier.from), (next, *to), "the chain is unbroken");
                (*to, *records) = (frontier.to, *records + frontier.records);
            }
            _ => {
                assert_eq!(frontier.batch, 0, "a chain begins");
                generations.push((frontier.generation, frontier.from, frontier.to, frontier.records));
            }
        }
        next = frontier.batch + 1;
    }
    generations
}

#[test]
fn a_group_that_has_lost_its_metadata_halts_until_a_new_generation_is_asked_for() {
    // What the group holds afterwards, and what the message names.
    for (held, named) in [
        (None, "carries no metadata"),
        (Some((0, "")), "carries no metadata"),
        (Some((3, "somebody else's")), "can't be read"),
        (Some((3, r#"{"v":2}"#)), "can't be read"),
    ] {
        let mut world = World::new(1);
        world.produce(0, 5);
        world.live(WorkerSettings::default(), 30).expect("nothing is wrong yet");
        let before = world.frontiers(0).len() as u64;
        assert_eq!(chain(&world.frontiers(0)), [(0, 0, 5, 5)]);

        world.set_committed(0, held);
        let halted = world.live(WorkerSettings::default(), 5).expect_err("it can't go on");
        assert!(matches!(halted, Exit::Halted(_)) && halted.to_string().contains(named), "{held:?}: {halted}");
        assert_eq!(world.frontiers(0).len() as u64, before, "{held:?}: nothing was written");

        // A batch that has the number of an earlier one would be taken for a repeat, and dropped.
        world.live(new_generation(), 30).expect("it was asked for");
        let from = held.map_or(0, |(offset, _)| offset);
        let again = world.frontiers(0).split_off(before as usize);
        assert_eq!(chain(&again), [(1, from, 5, 5 - from as u64)], "{held:?}");

        // Left in the settings, it begins nothing once more.
        world.produce(0, 2);
        world.live(new_generation(), 30).expect("it goes on");
        assert!(world.frontiers(0).iter().all(|frontier| frontier.generation <= 1), "{held:?}");
    }
}

#[test]
fn new_time_settings_begin_a_new_generation_that_tells_what_it_gives_up() {
    // How many records have left the log by then, and what the first frontier says.
    for (deleted, lost) in [(0, vec![(5, 8)]), (6, vec![(5, 8)]), (10, vec![(5, 10)])] {
        let mut world = World::new(1);
        world.produce(0, 5);
        world.live(WorkerSettings::default(), 30).expect("nothing is wrong yet");
        let batches = world.frontiers(0).len();
        world.produce(0, 3);
        // Stops with these three in an open pane, before silence closes it.
        world.live(WorkerSettings::default(), 3).expect("nothing is wrong yet");
        let committed = world.committed(0);
        let metadata = CommitMetadata::decode(&committed.metadata).expect("ours");
        assert_eq!((committed.offset, metadata.m, metadata.ev), (8, 5, 3));
        assert_eq!(world.frontiers(0).len(), batches);

        world.produce(0, 4);
        world.broker.delete_before(topics::REQUESTS, 0, deleted);
        world.time.pane_us = 20 * SECOND;
        let halted = world.live(WorkerSettings::default(), 5).expect_err("panes changed their length");
        assert!(matches!(halted, Exit::Halted(Halt::TimeSettingsChanged { .. })), "{halted}");

        world.live(new_generation(), 60).expect("it was asked for");
        let first = world.frontiers(0).into_iter().find(|frontier| frontier.generation == 1).expect("a new chain");
        assert_eq!((first.batch, first.lost, first.lost_events), (0, lost, 3), "{deleted} deleted");
        let counted: u64 = world.frontiers(0).iter().skip(batches).map(|frontier| frontier.records).sum();
        // The three were read before; of the four behind them, those that the log still held.
        assert_eq!(counted, 3 + 4 - (deleted as u64).saturating_sub(8), "{deleted} deleted");
    }
}

#[test]
fn a_group_that_starts_at_the_end_skips_nothing_of_partitions_that_come_later() {
    let latest = WorkerSettings { start: StartAt::Latest, ..WorkerSettings::default() };
    let mut world = World::new(1);
    world.produce(0, 5);
    let mut worker = world.start(latest);
    world.run(&mut worker, 2).expect("nothing is wrong");
    world.produce(0, 2);
    world.run(&mut worker, 30).expect("nothing is wrong");
    assert_eq!(chain(&world.frontiers(0)), [(0, 5, 7, 2)], "what was there before it began is left out");

    world.broker.create_topic(topics::REQUESTS, 2);
    world.produce(1, 4);
    world.run(&mut worker, 30).expect("nothing is wrong");
    assert_eq!(chain(&world.frontiers(1)), [(0, 0, 4, 4)], "a new partition is new to everybody");
}

#[test]
fn a_burst_that_is_refused_for_ever_ends_the_worker() {
    let mut world = World::new(1);
    let settings = WorkerSettings { outage_max_us: 60 * SECOND, ..WorkerSettings::default() };
    let log = MemoryLog::connect(&world.broker, ClientConfig::new(GROUP, "w0", &[topics::REQUESTS]));
    let stage = SliStage::new(topics::REQUESTS, world.time, &Bundle::default()).expect("nothing is defined");
    let mut worker = Worker::new(refusing::Refusing(log.expect("nobody else is here")), stage, settings);
    world.produce(0, 5);
    let exit = (0..1000).find_map(|_| {
        world.now = world.now.plus_us(SECOND / 4);
        world.broker.advance_to(world.now);
        worker.turn(world.now, Duration::ZERO).err()
    });
    let exit = exit.expect("it gives up");
    assert!(matches!(exit, Exit::Outage { .. }) && exit.to_string().contains("too large"), "{exit}");
    assert!(!worker.ready());
}

mod refusing {
    //! A bus on which everything works but producing: a record that the topic's own bound refuses, say.

    use super::*;
    use streamgauge_stage::{Committed, Delivery, Log, LogError, Output, Polled, Position, Source};

    pub struct Refusing(pub MemoryLog);

    impl Log for Refusing {
        fn produce(&mut self, _output: &Output, _partition: i32) -> Result<(), LogError> {
            Err(LogError::Abortable("the record is too large".to_owned()))
        }

        fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
            self.0.poll(wait, deliver)
        }

        fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
            self.0.committed(sources)
        }

        fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError> {
            self.0.assign(starts)
        }

        fn release(&mut self) -> Result<(), LogError> {
            self.0.release()
        }

        fn leave(&mut self) {
            self.0.leave();
        }

        fn partitions(&mut self, topic: &str) -> Result<i32, LogError> {
            self.0.partitions(topic)
        }

        fn read_back(
            &mut self,
            topic: &str,
            partition: i32,
            deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
        ) -> Result<(), LogError> {
            self.0.read_back(topic, partition, deliver)
        }

        fn read_again(
            &mut self,
            source: Source,
            until: Offset,
            deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
        ) -> Result<(), LogError> {
            self.0.read_again(source, until, deliver)
        }

        fn begin(&mut self) -> Result<(), LogError> {
            self.0.begin()
        }

        fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
            self.0.send_offsets(positions)
        }

        fn commit(&mut self) -> Result<(), LogError> {
            self.0.commit()
        }

        fn abort(&mut self) -> Result<(), LogError> {
            self.0.abort()
        }

        fn renew_producer(&mut self) -> Result<(), LogError> {
            self.0.renew_producer()
        }
    }
}
