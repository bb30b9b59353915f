//! Lines of events and one SLI → its slices, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::Expect;
use streamgauge_definitions::{Bundle, BundleSettings, Definitions, Empty, Slice};
use streamgauge_events::{EventTime, Fact, Offset, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Counting as _, Ledger, Outbox, Record, Source, TimeSettings};
use streamgauge_stage_sli::{SliCells, SliStage};
use streamgauge_windows::{Fold, Only, SliceRow, Slices};

/// 2026-01-05T00:00:00Z, a Monday.
pub const DAY_US: i64 = 1_767_571_200_000_000;
const SECOND_US: i64 = 1_000_000;

/// The name of the SLI under test.
pub const NAME: &str = "tested";

/// How the stage is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub series_max: u32,
    pub cells_max: usize,
}

pub const SETTING: Setting = Setting { series_max: 1000, cells_max: 20_000 };

/// The documents of one SLI of the service `checkout`, by the `spec` of its metric source.
pub fn documents(spec: &str) -> String {
    let metric = if spec.contains("slice:") {
        format!("thresholdMetric: {{metricSource: {{type: streamgauge, spec: {{service: checkout, {spec}}}}}}}")
    } else {
        let source = format!("{{metricSource: {{type: streamgauge, spec: {{service: checkout, {spec}}}}}}}");
        format!("ratioMetric: {{counter: true, rawType: success, raw: {source}}}")
    };
    format!(
        "apiVersion: openslo/v1\nkind: Service\nmetadata: {{name: checkout}}\nspec: {{}}\n---\napiVersion: openslo/v1\n\
         kind: SLI\nmetadata: {{name: {NAME}}}\nspec:\n  {metric}\n"
    )
}

pub fn definitions(spec: &str) -> Definitions {
    Definitions::of_text("test.yaml", &documents(spec)).unwrap_or_else(|mistakes| panic!("{spec}: {mistakes:?}"))
}

/// Judges the lines by one SLI, and compares the table of its slices. SLIs that judge single events are shown by minutes.
#[track_caller]
pub fn check(spec: &str, lines: &str, expected: Expect) {
    expected.assert_eq(&SETTING.table(spec, spec, lines));
}

impl Setting {
    #[track_caller]
    pub fn check(self, spec: &str, lines: &str, expected: Expect) {
        expected.assert_eq(&self.table(spec, spec, lines));
    }

    /// Counts by one definition and judges by another.
    pub fn table(self, counted_by: &str, judged_by: &str, lines: &str) -> String {
        let fold = self.fold(counted_by, lines);
        let definitions = definitions(judged_by);
        render(&rows(&definitions, &fold))
    }

    fn fold(self, spec: &str, lines: &str) -> Fold {
        let mut played = Played::new(self, &definitions(spec));
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            played.line(line);
        }
        played.fold()
    }
}

pub fn rows(definitions: &Definitions, fold: &Fold) -> Vec<SliceRow> {
    let sli = &definitions.slis[NAME];
    let slice = sli.good.slice().unwrap_or(Slice { length_us: 60 * SECOND_US, empty: Empty::Ignore });
    let counted_by = BTreeMap::new();
    let slices = Slices { name: NAME, sli, definitions, counted_by: &counted_by, slice, from: None, to: None };
    slices.rows(fold).expect("not too many")
}

/// The same over facts that other definitions have counted, too: those with this bound of series.
pub fn rows_counted_by(
    definitions: &Definitions,
    series_max: u32,
    earlier: &[&Definitions],
    fold: &Fold,
) -> Vec<SliceRow> {
    let sli = &definitions.slis[NAME];
    let slice = sli.good.slice().unwrap_or(Slice { length_us: 60 * SECOND_US, empty: Empty::Ignore });
    let settings = BundleSettings { series_max, ..BundleSettings::default() };
    let by_hash = |definitions: &&Definitions| {
        let definitions = (*definitions).clone();
        (Bundle { settings: settings.clone(), definitions: definitions.clone() }.hash(), definitions)
    };
    let counted_by = earlier.iter().chain([&definitions]).map(by_hash).collect();
    let slices = Slices { name: NAME, sli, definitions, counted_by: &counted_by, slice, from: None, to: None };
    slices.rows(fold).expect("not too many")
}

type Key = (&'static str, i32);

/// One ledger for each partition of each topic.
pub struct Played {
    stage: SliStage,
    ledgers: BTreeMap<Key, (Ledger<SliCells>, Offset)>,
    written: Vec<Fact>,
    /// Batches to take away, and batches that say that records were lost.
    dropped: BTreeSet<u64>,
    lost: BTreeSet<u64>,
}

impl Played {
    pub fn new(setting: Setting, definitions: &Definitions) -> Self {
        let time = TimeSettings { cells_max: setting.cells_max, max_future_skew_us: None, ..TimeSettings::default() };
        let settings = BundleSettings { series_max: setting.series_max, ..BundleSettings::default() };
        let bundle = Bundle { settings, definitions: definitions.clone() };
        let mut stage = SliStage::new(topics::REQUESTS, time, &bundle).expect("valid definitions");
        for topic in [topics::SCORES, topics::RESOURCES] {
            stage = stage.also_reading(topic).expect("a topic that is known");
        }
        let (ledgers, written) = (BTreeMap::new(), Vec::new());
        Self { stage, ledgers, written, dropped: BTreeSet::new(), lost: BTreeSet::new() }
    }

    /// `[p1] HH:MM:SS …`, see [`event`]; `[p1] idle HH:MM:SS`: silence up to that time; `end`: there is no more;
    /// `drop batch 3`, `lost before batch 3`: what happened to the batch on its way, or to the input before it.
    fn line(&mut self, line: &str) {
        let (partition, line) = match line.split_once(' ') {
            Some(("p1", rest)) => (1, rest),
            _ => (0, line),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["end"] => self.each(|ledger, offset, outbox| ledger.end(offset, outbox)),
            ["idle", time] => {
                let until = EventTime(DAY_US + clock_us(time));
                self.each(|ledger, offset, outbox| _ = ledger.idle(offset, until, outbox));
            }
            ["drop", "batch", number] => drop(self.dropped.insert(number.parse().expect("a number"))),
            ["lost", "before", "batch", number] => drop(self.lost.insert(number.parse().expect("a number"))),
            _ => {
                let (topic, value) = event(&words);
                self.record((topic, partition), value.as_bytes());
            }
        }
    }

    fn each(&mut self, what: impl Fn(&mut Ledger<SliCells>, Offset, &mut Outbox)) {
        let mut outbox = Outbox::default();
        self.ledgers.values_mut().for_each(|(ledger, offset)| what(ledger, *offset, &mut outbox));
        self.take(&outbox);
    }

    pub fn end(&mut self) {
        self.each(|ledger, offset, outbox| ledger.end(offset, outbox));
    }

    /// The partition exists from now on, even without a record.
    pub fn ledger(&mut self, key: Key) -> &mut (Ledger<SliCells>, Offset) {
        let stage = &self.stage;
        self.ledgers.entry(key).or_insert_with(|| (open(stage, key), 0))
    }

    pub fn record(&mut self, key: Key, value: &[u8]) {
        let (ledger, offset) = self.ledger(key);
        let mut outbox = Outbox::default();
        let source = Source { topic: 0, partition: key.1 };
        let record = Record { source, offset: *offset, timestamp: None, key: None, value: Some(value), rejected: None };
        ledger.fold(&record, &mut outbox).expect("nothing to compare with");
        *offset += 1;
        self.take(&outbox);
    }

    fn take(&mut self, outbox: &Outbox) {
        for output in outbox.outputs() {
            assert_eq!(output.topic, topics::SLI_WINDOWS, "{}", String::from_utf8_lossy(&output.value));
            self.written.push(Fact::from_json(&output.value).expect("the stage writes readable facts"));
        }
    }

    /// Every fact, in the order of writing.
    pub fn facts(&self) -> &[Fact] {
        &self.written
    }

    pub fn fold(&self) -> Fold {
        let partitions = 1 + self.ledgers.keys().map(|(_, partition)| *partition).max().unwrap_or_default();
        let mut fold = Fold::new(Only::default());
        for fact in &self.written {
            let mut fact = fact.clone();
            let batch = match &mut fact {
                Fact::Delta(delta) => delta.batch,
                Fact::Frontier(frontier) => {
                    frontier.partitions = frontier.partitions.map(|_| partitions);
                    if self.lost.contains(&frontier.batch) {
                        frontier.lost.push((frontier.from, frontier.from));
                    }
                    frontier.batch
                }
            };
            if !self.dropped.contains(&batch) {
                fold.add(0, &fact).expect("the stage writes readable facts");
            }
        }
        fold
    }
}

fn open(stage: &SliStage, (topic, partition): Key) -> Ledger<SliCells> {
    let opening = Opening {
        source: topic,
        partition,
        // Corrected when all lines have been read.
        partitions: 1,
        offset: 0,
        metadata: "",
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time: stage.time(),
    };
    let index = stage.topic_index(topic).expect("a topic that the stage reads");
    Ledger::open(&opening, stage.cells(index)).expect("a fresh chain")
}

/// `10:00:01 checkout/pay@2.1 120ms|95us|- ok|error|?`, `10:00:02 scores checkout satisfaction=4.2`,
/// `10:00:02 audit checkout groundedness=998/1000`, `10:00:03 resources checkout cpu=0.83 @pod-1`; further words
/// `name=text` are attributes, but for `tenant=`.
pub fn event(words: &[&str]) -> (&'static str, String) {
    let mut json = format!(r#"{{"ts":{}"#, DAY_US + clock_us(words[0]));
    let (topic, rest) = match words[1] {
        "scores" | "audit" | "resources" => {
            let (metric, value) = words[3].split_once('=').expect("metric=value");
            let _ = write!(json, r#","service":"{}","metric":"{metric}""#, words[2]);
            let _ = match value.split_once('/') {
                Some((good, total)) => write!(json, r#","good":{good},"total":{total}"#),
                None => write!(json, r#","value":{value}"#),
            };
            (if words[1] == "resources" { topics::RESOURCES } else { topics::SCORES }, &words[4..])
        }
        name => {
            let (name, version) = name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
            let (service, route) = name.split_once('/').map_or((name, None), |(name, route)| (name, Some(route)));
            let _ = write!(json, r#","service":"{service}""#);
            let _ = route.map(|route| write!(json, r#","route":"/{route}""#));
            let _ = version.map(|version| write!(json, r#","version":"{version}""#));
            if let Some(ms) = words[2].strip_suffix("ms") {
                let _ = write!(json, r#","latency_us":{ms}000"#);
            } else if let Some(us) = words[2].strip_suffix("us") {
                let _ = write!(json, r#","latency_us":{us}"#);
            }
            json.push_str(match words[3] {
                "ok" => r#","status":200"#,
                "error" => r#","status":503"#,
                _ => "",
            });
            (topics::REQUESTS, &words[4..])
        }
    };
    let mut attributes = Vec::new();
    for word in rest {
        match word.split_once('=') {
            Some(("tenant", tenant)) => json.push_str(&format!(r#","tenant":"{tenant}""#)),
            Some((name, value)) => attributes.push(format!(r#""{name}":"{value}""#)),
            None => json.push_str(&format!(r#","instance":"{}""#, word.trim_start_matches('@'))),
        }
    }
    if !attributes.is_empty() {
        let _ = write!(json, r#","attributes":{{{}}}"#, attributes.join(","));
    }
    json.push('}');
    (topic, json)
}

pub fn clock_us(text: &str) -> i64 {
    let numbers: Vec<i64> = text.split(':').map(|part| part.parse().expect("HH:MM:SS")).collect();
    (numbers[0] * 3600 + numbers[1] * 60 + numbers[2]) * SECOND_US
}

fn clock(ts: EventTime) -> String {
    let secs = (ts.0 - DAY_US) / SECOND_US;
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

fn render(rows: &[SliceRow]) -> String {
    let mut table = vec![["start", "events", "value", "verdict", "counts", ""].map(str::to_owned)];
    let mut labels = None;
    for row in rows {
        let mut own: Vec<String> = row.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        own.retain(|label| label != "service=checkout");
        if labels.as_ref() != Some(&own) && !own.is_empty() {
            table.push([own.join(" "), String::new(), String::new(), String::new(), String::new(), String::new()]);
        }
        labels = Some(own);
        let mut remarks: Vec<String> = row.lacks.iter().map(ToString::to_string).collect();
        if row.unjudged > 0 {
            remarks.push(format!("{} unjudged", row.unjudged));
        }
        table.push([
            clock(row.start),
            row.events.to_string(),
            row.value.clone().unwrap_or_else(|| "-".to_owned()),
            row.verdict.as_str().to_owned(),
            row.good.map_or("-", |good| if good == 1 { "1 of 1" } else { "0 of 1" }).to_owned(),
            remarks.join(", "),
        ]);
    }
    let is_heading = |line: &[String; 6]| line[1..].iter().all(String::is_empty);
    let width = |column: usize| {
        let lines = table.iter().filter(|line| !is_heading(line));
        lines.map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |line: &[String; 6]| {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}
