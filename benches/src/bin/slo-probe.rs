//! What objectives cost: the time and memory of many of them over a month at every grid point, and of restoring them from what
//! is kept; and what the stage pays for a fact.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Parser;
use streamgauge_benches::process::{Circumstances, Memory, Stopwatch};
use streamgauge_definitions::Definitions;
use streamgauge_events::EventTime;
use streamgauge_slo::saved::{self, Part, SavedHead};
use streamgauge_slo::{Evaluator, Tally};
use streamgauge_stage_slo::{Objectives, objective_of};

/// Time and memory of objectives
#[derive(Parser)]
#[command(name = "slo-probe")]
struct Args {
    #[arg(long, default_value_t = 1000)]
    objectives: usize,
    #[arg(long, default_value_t = 30)]
    days: i64,
    /// Grid points that pass between two grid points at which state is kept, as in a catch-up
    #[arg(long, default_value_t = 360)]
    kept_every: i64,
    /// Minutes of facts for the whole stage
    #[arg(long, default_value_t = 60)]
    fact_minutes: i64,
}

const PANE_US: i64 = 10_000_000;
const DAY_US: i64 = 86_400_000_000;
const START: EventTime = EventTime(20_000 * DAY_US);

/// What a changelog holds of one objective.
#[derive(Default)]
struct Kept {
    head: String,
    chunks: BTreeMap<(Part, i64), String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    Circumstances::now().print();
    let definitions = definitions(args.objectives)?;
    month(&args, &definitions)?;
    facts(&args, &definitions)
}

fn definitions(count: usize) -> anyhow::Result<Definitions> {
    let mut text = String::new();
    for number in 0..count {
        text.push_str(&format!(
            r#"{{apiVersion: openslo/v1, kind: Service, metadata: {{name: s{number}}}, spec: {{}}}}
---
{{apiVersion: openslo/v1, kind: SLI, metadata: {{name: i{number}}}, spec: {{ratioMetric: {{counter: true, rawType: success,
  raw: {{metricSource: {{type: streamgauge, spec: {{topic: requests, service: s{number}, good: status < 500}}}}}}}}}}}}
---
{{apiVersion: openslo/v1, kind: SLO, metadata: {{name: o{number}}}, spec: {{service: s{number}, indicatorRef: i{number},
  timeWindow: [{{duration: 30d, isRolling: true}}], budgetingMethod: Occurrences, objectives: [{{target: 0.999}}]}}}}
---
"#
        ));
    }
    let no_files = |_: &str, _: &str| Err("no files are named".to_owned());
    let text = text.trim_end().trim_end_matches("---");
    Definitions::read([("definitions.yaml", text)], &no_files).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))
}

/// Each objective goes over all grid points by itself, with the seven default rules.
fn month(args: &Args, definitions: &Definitions) -> anyhow::Result<()> {
    let slo = &definitions.slos["o0"];
    let objective = objective_of(definitions, slo, PANE_US).map_err(anyhow::Error::msg)?;
    let points = args.days * DAY_US / PANE_US;
    let mut kept: Vec<Kept> = Vec::new();
    let mut evaluators: Vec<Evaluator> =
        (0..args.objectives).map(|_| Evaluator::new(objective.clone(), PANE_US).projected()).collect();
    let (mut transitions, mut kept_bytes) = (0_u64, 0_u64);
    kept.resize_with(args.objectives, Kept::default);
    let watch = Stopwatch::start();
    for point in 1..=points {
        let now = START.plus_us(point * PANE_US);
        for (number, evaluator) in evaluators.iter_mut().enumerate() {
            evaluator.advance(now);
            // An incident of ten minutes about once a day and objective, at another time for each.
            let is_bad = (point + number as i64 * 37) % 8640 < 60;
            let bad = if is_bad { 20 } else { i128::from((point + number as i64) % 50 == 0) };
            evaluator.add(now.minus_us(PANE_US), Tally::new(bad, 100));
            transitions += evaluator.evaluate().len() as u64;
        }
        if point % args.kept_every == 0 || point == points {
            for (kept, evaluator) in kept.iter_mut().zip(&mut evaluators) {
                kept_bytes += keep(kept, evaluator)?;
            }
        }
    }
    let secs = watch.elapsed().as_secs_f64();
    let moves = args.objectives as f64 * points as f64;
    println!(
        "{} objectives, {} days, {points} grid points: {secs:.1} s of one core, {:.0} ns a move, {transitions} transitions; \
         {:.0} MB written to be kept; {:.0} MiB at the peak",
        args.objectives,
        args.days,
        secs * 1e9 / moves,
        kept_bytes as f64 / 1e6,
        Memory::of(std::process::id())?.peak_bytes as f64 / 1_048_576.0,
    );
    let held: usize =
        kept.iter().map(|kept| kept.head.len() + kept.chunks.values().map(String::len).sum::<usize>()).sum();
    let watch = Stopwatch::start();
    let mut restored = Vec::new();
    for kept in &kept {
        let mut evaluator = Evaluator::new(objective.clone(), PANE_US).projected();
        let head: SavedHead = serde_json::from_str(&kept.head)?;
        anyhow::ensure!(evaluator.restore_head(&head), "the head fits");
        for ((part, chunk), text) in &kept.chunks {
            evaluator.restore_chunk(*part, *chunk, &saved::decode(text).context("a list of tallies")?);
        }
        restored.push(evaluator);
    }
    println!("restored from {:.1} MB of texts in {:.3} s", held as f64 / 1e6, watch.elapsed().as_secs_f64());
    let same = restored.iter().zip(&evaluators).all(|(one, other)| one.standing() == other.standing());
    anyhow::ensure!(same, "what was restored stands where it stood");
    Ok(())
}

fn keep(kept: &mut Kept, evaluator: &mut Evaluator) -> anyhow::Result<u64> {
    let mut bytes = 0;
    kept.head = serde_json::to_string(&evaluator.save_head())?;
    evaluator.take_changed(&mut |part, chunk, tallies| {
        if tallies.is_empty() {
            kept.chunks.remove(&(part, chunk));
        } else {
            let text = saved::encode(tallies);
            bytes += text.len() as u64;
            kept.chunks.insert((part, chunk), text);
        }
    });
    Ok(bytes + kept.head.len() as u64)
}

/// Facts as the sli stage writes them, of every service in every pane, through the whole of [`Objectives`].
fn facts(args: &Args, definitions: &Definitions) -> anyhow::Result<()> {
    let panes = args.fact_minutes * 60_000_000 / PANE_US;
    let mut objectives = Objectives::new(definitions, &|_| "requests".to_owned())?;
    let (mut offset, mut records, mut transitions) = (0, 0_u64, 0_u64);
    let mut spent = std::time::Duration::ZERO;
    for pane in 0..panes {
        let start = START.plus_us(pane * PANE_US).0;
        let deltas = (0..args.objectives).map(|number| {
            format!(
                r#"{{"type":"delta","tenant":"","service":"s{number}","sli":"i{number}","labels":{{}},"group":"s{number}","pane":{start},"pane_us":{PANE_US},"source":"requests","partition":0,"generation":0,"batch":{pane},"bundle":"0123456789abcdef","n":100,"good":100,"failed":0,"unjudged":0,"newest":{start}}}"#
            )
        });
        let end = start + PANE_US;
        let frontier = format!(
            r#"{{"type":"frontier","source":"requests","partition":0,"generation":0,"batch":{pane},"from":{pane},"to":{},"records":1,"dead_letters":0,"deltas":{},"open":0,"complete_until":{end},"cause":"data","bundle":"0123456789abcdef","bundle_start":0,"partitions":1}}"#,
            pane + 1,
            args.objectives
        );
        let facts: Vec<String> = deltas.chain([frontier]).collect();
        let watch = Stopwatch::start();
        for fact in &facts {
            objectives.observe(offset, fact.as_bytes())?;
            offset += 1;
            records += 1;
        }
        objectives.advance(&mut |_| transitions += 1);
        spent += watch.elapsed();
    }
    anyhow::ensure!(objectives.points() as i64 == panes, "{} grid points, not {panes}", objectives.points());
    println!(
        "{} facts of {} objectives in {panes} panes: {:.1} s of one core, {:.2} us a fact with its share of a grid point",
        records,
        args.objectives,
        spent.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / records as f64
    );
    Ok(())
}
