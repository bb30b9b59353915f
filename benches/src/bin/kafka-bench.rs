//! Fills a topic once, then lets consumers read all of it in turn, each in a process of its own: a bare loop, a bare
//! batch loop, batches with full decoding, the `sli` stage, exactly once; and, when asked, the stage's job in Java.
//!
//! CPU is that of the whole process, client threads included, as the kernel counts it. Nothing is judged here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use streamgauge_benches::kafka::{GroupLag, consumer_config, ends, fill, make_input, make_outputs};
use streamgauge_benches::peers::{JVM_FLAGS, Job, Peer, Peers};
use streamgauge_benches::process::{Circumstances, Cpu, Spread, Stopwatch, now_us};
use streamgauge_benches::records::{
    SEED, STEADY_EVENTS_PER_SEC, avro_encoder, avro_source, definitions, steady, twenty_services,
};
use streamgauge_definitions::{Bundle, Definitions};
use streamgauge_events::{EventTime, Request, topics};
use streamgauge_kafka::batch::{BatchConsumer, Fetched};
use streamgauge_kafka::source::BATCH_RECORDS_MAX;
use streamgauge_kafka::{ClientSettings, KafkaLog, KafkaSettings};
use streamgauge_stage::worker::Counters;
use streamgauge_stage::{TimeSettings, Worker, WorkerSettings};
use streamgauge_stage_sli::SliStage;
use streamgauge_synthetic::{Generator, Until};

/// CPU and throughput of the sli stage on real Kafka, beside consumers that do less
///
/// The topic is filled on the first run and used again as long as it holds that many records. Consumer groups and output
/// topics are new in every round, so wipe the broker's data now and then.
#[derive(Parser)]
#[command(name = "kafka-bench")]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Records in the topic: `steady`, 100 series, 4 partitions, 10,000 a second of event time, lz4
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Also measure the same job in Java, built in this directory (benches/peers; docs/benchmarks.md says how)
    #[arg(long, value_name = "DIRECTORY")]
    peers: Option<PathBuf>,
    /// Records in the topic that the DSL of Kafka Streams reads, at most --records: it takes several times as long
    ///
    /// With fewer its figures are those of a JVM that still compiles: of 500,000 records each takes twice as much CPU
    #[arg(long, default_value_t = 3_000_000)]
    dsl_records: u64,
    /// Leave out some contenders; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Contender>,
    /// Fill the topic and stop
    #[arg(long)]
    fill_only: bool,
    /// Write all figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run as one contender and print its figures
    #[arg(long, hide = true, value_enum)]
    contender: Option<Contender>,
    #[arg(long, hide = true, default_value = "")]
    topic: String,
    #[arg(long, hide = true, default_value = "")]
    group: String,
    #[arg(long, hide = true, default_value_t = 0)]
    ordinal: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Contender {
    /// `BaseConsumer::poll`, discards
    Bare,
    /// Batches from one queue, discards
    Batch,
    /// Batches, every record decoded in full
    Decode,
    /// The sli stage, exactly once
    Stage,
    /// The sli stage with two workers in one process, exactly once
    TwoWorkers,
    /// The sli stage in two processes of one worker each, exactly once
    TwoProcesses,
    /// As `bare`, of the same records in Avro
    BareAvro,
    /// The sli stage on the same records in Avro (single-object encoding), exactly once
    StageAvro,
    /// The sli stage with one definition, on records of 20 services
    Defined1,
    /// The same with 100 definitions, five for each service
    Defined100,
    /// The stage's job on Kafka's own clients, exactly once (needs --peers)
    JavaPlain,
    /// The stage's job on the Processor API of Kafka Streams, exactly once (needs --peers)
    JavaStreams,
    /// The stage's job in the DSL of Kafka Streams, a day of grace, exactly once (needs --peers)
    JavaDsl,
    /// The same with five seconds of grace, each pane written once (needs --peers)
    JavaDslFinal,
}

impl Contender {
    const ALL: [Self; 14] = [
        Self::Bare,
        Self::Batch,
        Self::Decode,
        Self::Stage,
        Self::TwoWorkers,
        Self::TwoProcesses,
        Self::BareAvro,
        Self::StageAvro,
        Self::Defined1,
        Self::Defined100,
        Self::JavaPlain,
        Self::JavaStreams,
        Self::JavaDsl,
        Self::JavaDslFinal,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Batch => "batch",
            Self::Decode => "decode",
            Self::Stage => "stage",
            Self::TwoWorkers => "two-workers",
            Self::TwoProcesses => "two-processes",
            Self::BareAvro => "bare-avro",
            Self::StageAvro => "stage-avro",
            Self::Defined1 => "defined1",
            Self::Defined100 => "defined100",
            Self::JavaPlain => "java-plain",
            Self::JavaStreams => "java-streams",
            Self::JavaDsl => "java-dsl",
            Self::JavaDslFinal => "java-dsl-final",
        }
    }

    /// Whose program it is, where it is not ours.
    const fn peer(self) -> Option<Peer> {
        match self {
            Self::Bare | Self::Batch | Self::Decode | Self::Stage | Self::BareAvro | Self::StageAvro => None,
            Self::Defined1 | Self::Defined100 | Self::TwoWorkers | Self::TwoProcesses => None,
            Self::JavaPlain => Some(Peer::Plain),
            Self::JavaStreams => Some(Peer::Streams),
            Self::JavaDsl => Some(Peer::Dsl),
            Self::JavaDslFinal => Some(Peer::DslFinal),
        }
    }

    /// How many records it is given.
    fn records(self, args: &Args) -> u64 {
        match self {
            Self::JavaDsl | Self::JavaDslFinal => args.dsl_records.min(args.records),
            _ => args.records,
        }
    }

    const fn writes(self) -> bool {
        !matches!(self, Self::Bare | Self::Batch | Self::Decode | Self::BareAvro)
    }

    /// What it reads.
    const fn input(self) -> Input {
        match self {
            Self::BareAvro | Self::StageAvro => Input::Avro,
            Self::Defined1 | Self::Defined100 => Input::TwentyServices,
            _ => Input::Json,
        }
    }
}

/// What a topic is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Input {
    /// The `steady` scenario in JSON
    Json,
    /// The same in Avro
    Avro,
    /// Constant traffic over 20 services in JSON
    TwentyServices,
}

impl Input {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            Self::TwentyServices => "twenty",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One contender's reading of the whole topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    contender: Contender,
    round: u32,
    records: u64,
    value_bytes: u64,
    cpu: Cpu,
    wall_ns: u64,
    /// What the stage wrote.
    #[serde(default)]
    batches: u64,
    #[serde(default)]
    transactions: u64,
    #[serde(default)]
    output_bytes: u64,
    /// Of a peer: what only it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<PeerFigures>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PeerFigures {
    /// CPU from a tenth of the records on, and those records: without the start of the virtual machine.
    steady_cpu_ns: u64,
    steady_records: u64,
    outputs: u64,
    /// Records that no pane counts, since they came later than the grace.
    dropped: u64,
}

impl Run {
    fn of(contender: Contender) -> Self {
        Self {
            contender,
            round: 0,
            records: 0,
            value_bytes: 0,
            cpu: Cpu::default(),
            wall_ns: 0,
            batches: 0,
            transactions: 0,
            output_bytes: 0,
            peer: None,
        }
    }

    /// Another process that worked on the same topic at the same time.
    fn add(&mut self, part: &Self) {
        self.records += part.records;
        self.value_bytes += part.value_bytes;
        self.cpu.user_ns += part.cpu.user_ns;
        self.cpu.system_ns += part.cpu.system_ns;
        self.wall_ns = self.wall_ns.max(part.wall_ns);
        self.batches += part.batches;
        self.transactions += part.transactions;
        self.output_bytes += part.output_bytes;
    }

    /// As [`Run::cpu_per_event_ns`], but for a peer without its start.
    fn steady_cpu_per_event_ns(&self) -> f64 {
        match &self.peer {
            Some(peer) => peer.steady_cpu_ns as f64 / peer.steady_records as f64,
            None => self.cpu_per_event_ns(),
        }
    }

    fn cpu_per_event_ns(&self) -> f64 {
        self.cpu.total_ns() as f64 / self.records as f64
    }

    fn events_per_sec(&self) -> f64 {
        self.records as f64 * 1e9 / self.wall_ns as f64
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.contender {
        Some(contender) => {
            println!("{}", serde_json::to_string(&compete(contender, &args)?)?);
            // Leaving without destroying the clients: their end is no part of what is measured.
            std::process::exit(0);
        }
        None => host(&args),
    }
}

// ---- the host: fills, starts contenders in turn, reports

fn host(args: &Args) -> anyhow::Result<()> {
    let client = ClientSettings::new(&args.brokers);
    let circumstances = Circumstances::now();
    circumstances.print();
    let peers = args.peers.as_deref().map(Peers::open).transpose()?;
    if peers.is_some() {
        println!("java     {}", JVM_FLAGS.join(" "));
    }
    let contenders = contenders(args, peers.is_some())?;
    let topics = topics_to_read(args, &client, &contenders)?;
    if args.fill_only {
        return Ok(());
    }
    let mut runs = Vec::new();
    for round in 1..=args.rounds {
        for contender in &contenders {
            let topic = &topics[&(contender.input(), contender.records(args))];
            let group = format!("bench-{}-{contender}-{round}", now_us() / 1000);
            if contender.writes() {
                make_outputs(&client, &format!("{group}."))?;
            }
            let mut run = match (contender.peer(), &peers) {
                (Some(peer), Some(peers)) => start_peer(args, &client, peers, (*contender, peer), topic, &group)?,
                _ => start(args, topic, *contender, &group)?,
            };
            run.round = round;
            print_run(&run);
            runs.push(run);
        }
    }
    println!();
    summarise(&contenders, &runs);
    if let Some(path) = &args.json {
        let topics: Vec<&String> = topics.values().collect();
        let all = serde_json::json!({ "circumstances": circumstances, "topics": topics, "runs": runs });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text + "\n").with_context(|| format!("couldn't write {}", path.display()))?;
    }
    Ok(())
}

fn contenders(args: &Args, with_peers: bool) -> anyhow::Result<Vec<Contender>> {
    if let Some(peer) = args.only.iter().find(|one| one.peer().is_some() && !with_peers) {
        bail!("{peer} is a program of its own: say with --peers where it was built");
    }
    let wanted = |one: &Contender| match args.only.as_slice() {
        [] => with_peers || one.peer().is_none(),
        only => only.contains(one),
    };
    Ok(Contender::ALL.into_iter().filter(wanted).collect())
}

/// The filled topics, by what and how many records they hold.
fn topics_to_read(
    args: &Args,
    client: &ClientSettings,
    contenders: &[Contender],
) -> anyhow::Result<BTreeMap<(Input, u64), String>> {
    let mut topics = BTreeMap::new();
    for contender in contenders {
        let (input, records) = (contender.input(), contender.records(args));
        if records < args.records {
            println!(
                "{contender} reads {records} records of the same kind only: compare figures per event, best the steady ones"
            );
        }
        if let Entry::Vacant(entry) = topics.entry((input, records)) {
            entry.insert(filled(client, input, records)?);
        }
    }
    Ok(topics)
}

/// The topic for so many records, filled unless it is already.
fn filled(client: &ClientSettings, input: Input, records: u64) -> anyhow::Result<String> {
    let topic = make_input(client, &format!("bench-{}-{records}-", input.name()))?;
    let held: i64 = ends(client, &topic)?.values().sum();
    match u64::try_from(held)? {
        held if held == records => {}
        0 => {
            let scenario = if input == Input::TwentyServices { twenty_services()? } else { steady()? };
            let span_us = (records as f64 / STEADY_EVENTS_PER_SEC * 1e6) as i64;
            // In the past as a whole: no record may be ahead of the log's clock.
            let mut generator = Generator::new(&scenario, SEED)
                .with_until(Until::Events(records))
                .with_start(now_us() - span_us - 60_000_000);
            let watch = Stopwatch::start();
            let avro = match input {
                Input::Avro => Some(avro_encoder()?.1),
                Input::Json | Input::TwentyServices => None,
            };
            fill(client, &topic, &mut generator, avro.as_ref())?;
            println!("filled {topic} with {records} records in {:.0} s", watch.elapsed().as_secs_f64());
        }
        held => bail!("{topic} holds {held} records of {records}: a fill was cut short. Wipe the broker's data"),
    }
    Ok(topic)
}

fn start(args: &Args, topic: &str, contender: Contender, group: &str) -> anyhow::Result<Run> {
    let processes: u32 = if contender == Contender::TwoProcesses { 2 } else { 1 };
    let started = (0..processes).map(|ordinal| {
        Command::new(std::env::current_exe()?)
            .args(["--brokers", &args.brokers, "--contender", contender.name()])
            .args(["--topic", topic, "--group", group, "--ordinal", &ordinal.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("couldn't start a contender")
    });
    let mut run = Run::of(contender);
    for child in started.collect::<anyhow::Result<Vec<_>>>()? {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{contender} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let part: Run = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{contender} answered {:?}", String::from_utf8_lossy(&output.stdout)))?;
        run.add(&part);
    }
    if run.records != args.records {
        bail!("{contender} read {} records of {}", run.records, args.records);
    }
    Ok(run)
}

fn start_peer(
    args: &Args,
    client: &ClientSettings,
    peers: &Peers,
    (contender, peer): (Contender, Peer),
    topic: &str,
    group: &str,
) -> anyhow::Result<Run> {
    let output = format!("{group}.{}", topics::SLI_WINDOWS);
    let job = Job { topic, group, output: &output, records: contender.records(args) };
    let report = peers.run(peer, client, &job)?;
    let mut run = Run::of(contender);
    run.records = report.records;
    run.cpu = Cpu { user_ns: report.user_ns, system_ns: report.system_ns };
    run.wall_ns = report.wall_ns;
    run.transactions = report.transactions;
    run.output_bytes = report.output_bytes;
    run.peer = Some(PeerFigures {
        steady_cpu_ns: report.steady_cpu_ns,
        steady_records: report.steady_records,
        outputs: report.outputs,
        dropped: report.dropped,
    });
    Ok(run)
}

fn print_run(run: &Run) {
    let per_event = |ns: u64| ns as f64 / run.records as f64;
    println!(
        "round {}  {:14}  {:5.0} ns/event CPU ({:5.0} user, {:4.0} system)  {:8.0} events/s  {:5.1} s{}",
        run.round,
        run.contender,
        run.cpu_per_event_ns(),
        per_event(run.cpu.user_ns),
        per_event(run.cpu.system_ns),
        run.events_per_sec(),
        run.wall_ns as f64 / 1e9,
        run.peer.map_or_else(String::new, |peer| format!(
            "  steady {:5.0} ns/event; {} outputs, {} dropped",
            run.steady_cpu_per_event_ns(),
            peer.outputs,
            peer.dropped
        )),
    );
}

/// Ratios are taken within a round, then their spread over the rounds: what slows a whole round down cancels out.
fn summarise(contenders: &[Contender], runs: &[Run]) {
    let of = |contender: Contender| runs.iter().filter(move |run| run.contender == contender);
    let ratios = |mine: Contender, base: Contender, figure: fn(&Run) -> f64| -> Vec<f64> {
        let pairs = of(mine).filter_map(|run| Some((run, of(base).find(|other| other.round == run.round)?)));
        pairs.map(|(run, other)| figure(run) / figure(other)).collect()
    };
    println!("minimum / median / maximum over the rounds; ratios within each round");
    for contender in contenders {
        let cpu: Vec<f64> = of(*contender).map(Run::cpu_per_event_ns).collect();
        let speed: Vec<f64> = of(*contender).map(|run| run.events_per_sec() / 1000.0).collect();
        println!("{contender:14}  CPU {} ns/event, throughput {} k events/s", show(&cpu, 0), show(&speed, 0));
        for base in [Contender::Bare, Contender::Decode] {
            let cpu = ratios(*contender, base, Run::cpu_per_event_ns);
            let speed = ratios(*contender, base, Run::events_per_sec);
            if base != *contender && !cpu.is_empty() {
                println!("                x {base:6}: CPU {}, throughput {}", show(&cpu, 2), show(&speed, 2));
            }
        }
    }
    for (mine, base) in [
        (Contender::TwoWorkers, Contender::Stage),
        (Contender::TwoProcesses, Contender::Stage),
        (Contender::TwoProcesses, Contender::TwoWorkers),
        (Contender::StageAvro, Contender::Bare),
        (Contender::StageAvro, Contender::BareAvro),
        (Contender::StageAvro, Contender::Stage),
        (Contender::Defined100, Contender::Defined1),
    ] {
        let cpu = ratios(mine, base, Run::cpu_per_event_ns);
        let speed = ratios(mine, base, Run::events_per_sec);
        if !cpu.is_empty() {
            println!("{mine:13} / {base:11}: CPU per event {}, throughput {}", show(&cpu, 2), show(&speed, 2));
        }
    }
    for base in contenders.iter().filter(|one| **one == Contender::Bare || one.peer().is_some()) {
        let cpu = ratios(Contender::Stage, *base, Run::cpu_per_event_ns);
        let steady = ratios(Contender::Stage, *base, Run::steady_cpu_per_event_ns);
        if cpu.is_empty() {
            continue;
        }
        let without_start = base.peer().map_or_else(String::new, |_| format!("; steady {}", show(&steady, 2)));
        println!("stage / {base:14}: CPU per event {}{without_start}", show(&cpu, 2));
    }
}

fn show(values: &[f64], digits: usize) -> String {
    let Spread { min, median, max } = Spread::of(values);
    format!("{min:.digits$} / {median:.digits$} / {max:.digits$}")
}

// ---- the contenders

fn compete(contender: Contender, args: &Args) -> anyhow::Result<Run> {
    let ends: Vec<(i32, i64)> = ends(&ClientSettings::new(&args.brokers), &args.topic)?.into_iter().collect();
    let (before, watch) = (Cpu::of_self()?, Stopwatch::start());
    let mut run = Run::of(contender);
    match contender {
        Contender::Bare | Contender::BareAvro => read_bare(args, &ends, &mut run)?,
        Contender::Batch => read_batches(args, &ends, &mut run, |_| Ok(()))?,
        Contender::Decode => read_batches(args, &ends, &mut run, |value| {
            let request = Request::from_json(value).map_err(|rejection| anyhow::anyhow!("{rejection:?}"))?;
            std::hint::black_box(&request);
            Ok(())
        })?,
        Contender::Stage => run_stage(args, &ends, &mut run, "")?,
        Contender::TwoWorkers => run_group(args, 2, &mut run)?,
        Contender::TwoProcesses => run_group(args, 1, &mut run)?,
        Contender::StageAvro => run_stage(args, &ends, &mut run, &avro_source())?,
        Contender::Defined1 => run_stage(args, &ends, &mut run, &definitions(1))?,
        Contender::Defined100 => run_stage(args, &ends, &mut run, &definitions(100))?,
        Contender::JavaPlain | Contender::JavaStreams | Contender::JavaDsl | Contender::JavaDslFinal => {
            bail!("{contender} is another program")
        }
    }
    run.wall_ns = u64::try_from(watch.elapsed().as_nanos())?;
    run.cpu = Cpu::of_self()?.since(before);
    Ok(run)
}

fn read_bare(args: &Args, ends: &[(i32, i64)], run: &mut Run) -> anyhow::Result<()> {
    let mut config = consumer_config(&args.brokers);
    config.set("enable.partition.eof", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for (partition, _) in ends {
        list.add_partition_offset(&args.topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let all: i64 = ends.iter().map(|(_, end)| end).sum();
    while run.records < all as u64 {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            run.value_bytes += message?.payload().map_or(0, <[u8]>::len) as u64;
            run.records += 1;
        }
    }
    std::mem::forget(consumer);
    Ok(())
}

fn read_batches(
    args: &Args,
    ends: &[(i32, i64)],
    run: &mut Run,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut consumer = BatchConsumer::new(&consumer_config(&args.brokers), DefaultConsumerContext)?;
    let starts: Vec<(&str, i32, i64)> =
        ends.iter().map(|(partition, _)| (args.topic.as_str(), *partition, 0)).collect();
    consumer.assign(&starts)?;
    let all: i64 = ends.iter().map(|(_, end)| end).sum();
    let mut idle = false;
    while run.records < all as u64 {
        consumer.consumer().poll(Duration::ZERO).transpose()?;
        let before = run.records;
        // As the stage waits: for one record if nothing was there, else for nothing.
        let (wait, max) = if idle { (Duration::from_millis(10), 1) } else { (Duration::ZERO, BATCH_RECORDS_MAX) };
        for fetched in consumer.fetch(wait, max).iter() {
            if let Fetched::Record { value, .. } = fetched {
                let value = value.context("a record without a value")?;
                take(value)?;
                run.value_bytes += value.len() as u64;
                run.records += 1;
            }
        }
        idle = run.records == before;
    }
    std::mem::forget(consumer);
    Ok(())
}

/// As `streamgauge-sli` runs it, on this thread: from joining the group to the commit of the last record.
fn run_stage(args: &Args, ends: &[(i32, i64)], run: &mut Run, definitions: &str) -> anyhow::Result<()> {
    let mut kafka = KafkaSettings::new(&args.brokers, &args.group, 0, 0);
    kafka.output_prefix = format!("{}.", args.group);
    let inputs = [args.topic.clone()];
    let definitions = Definitions::of_text("benchmark", definitions)
        .map_err(|mistakes| anyhow::anyhow!("the definitions of the benchmark: {mistakes:?}"))?;
    let stage = SliStage::new(&args.topic, TimeSettings::default(), &Bundle { definitions, ..Bundle::default() })?;
    let mut worker = Worker::new(KafkaLog::connect(&kafka, &inputs)?, stage, WorkerSettings::default());
    let all: i64 = ends.iter().map(|(_, end)| end).sum();
    while worker.counters().records < all as u64 {
        let turn = worker.turn(EventTime(now_us()), Duration::from_millis(20))?;
        worker.take_notes();
        if let Some(pause) = turn.pause {
            std::thread::sleep(pause);
        }
    }
    let (result, counters, _) = worker.stop(EventTime(now_us()));
    result?;
    if !counters.dead_letters.is_empty() || counters.rebuilds > 0 {
        bail!("not an undisturbed run: {counters:?}");
    }
    run.records = counters.records;
    run.value_bytes = counters.record_bytes;
    run.batches = counters.batches;
    run.transactions = counters.bursts;
    run.output_bytes = counters.output_bytes;
    Ok(())
}

/// Several workers on threads of their own, as one instance of `streamgauge-sli`, until the group has committed
/// everything: other instances may have a part of it.
fn run_group(args: &Args, workers: u32, run: &mut Run) -> anyhow::Result<()> {
    let done = AtomicBool::new(false);
    let lag = GroupLag::of(&ClientSettings::new(&args.brokers), &args.group, &args.topic)?;
    let counted = std::thread::scope(|scope| {
        let work = |index: u32| {
            let done = &done;
            move || -> anyhow::Result<Counters> {
                let mut kafka = KafkaSettings::new(&args.brokers, &args.group, args.ordinal, index);
                kafka.output_prefix = format!("{}.", args.group);
                let stage = SliStage::new(&args.topic, TimeSettings::default(), &Bundle::default())?;
                let log = KafkaLog::connect(&kafka, std::slice::from_ref(&args.topic))?;
                let mut worker = Worker::new(log, stage, WorkerSettings::default());
                while !done.load(Ordering::Relaxed) {
                    let turn = worker.turn(EventTime(now_us()), Duration::from_millis(20))?;
                    worker.take_notes();
                    if let Some(pause) = turn.pause {
                        std::thread::sleep(pause);
                    }
                }
                let (result, counters, _) = worker.stop(EventTime(now_us()));
                result?;
                Ok(counters)
            }
        };
        let threads: Vec<_> = (0..workers).map(|index| scope.spawn(work(index))).collect();
        let waited = loop {
            std::thread::sleep(Duration::from_millis(100));
            match lag.records() {
                Ok(0) => break Ok(()),
                Ok(_) if threads.iter().any(std::thread::ScopedJoinHandle::is_finished) => {
                    break Err(anyhow::anyhow!("a worker ended before its time"));
                }
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        done.store(true, Ordering::Relaxed);
        let counted: anyhow::Result<Vec<Counters>> = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
            .collect();
        waited.and(counted)
    })?;
    for counters in counted {
        if !counters.dead_letters.is_empty() {
            bail!("not an undisturbed run: {counters:?}");
        }
        run.records += counters.records;
        run.value_bytes += counters.record_bytes;
        run.batches += counters.batches;
        run.transactions += counters.bursts;
        run.output_bytes += counters.output_bytes;
    }
    Ok(())
}
