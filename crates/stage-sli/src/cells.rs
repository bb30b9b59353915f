//! The live panes of one input partition.
//!
//! The bound of series keeps, per pane, group and SLI, the K series with the smallest keyed hashes and folds the rest
//! into `__other__`. Whoever is among the K smallest of all is never evicted on the way, so its numbers are complete,
//! and what is kept is a function of the set of records, not of their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_decode::{AvroDecoder, AvroSchemas, JsonDecoder, SchemaKey};
use streamgauge_definitions::{DataSource, Format, WriterSchema};
use streamgauge_events::facts::{FactType, OTHER};
use streamgauge_events::{DeadLetter, Delta, Event, EventTime, FieldSet, Offset, Reason, Rejection, topics};
use streamgauge_stage::{Activation, BatchHead, Cells, Outbox, Output, Placement, Standing, Unusable};

use crate::cell::Cell;
use crate::names::Names;
use crate::pane::{PaneCells, Place};
use crate::plan::{Bundles, Compiled, Plan};

pub struct SliCells {
    topic: String,
    source: DataSource,
    pane_us: i64,
    decoder: Decoder,
    /// The text by which `decoder` reads each schema.
    texts: BTreeMap<SchemaKey, String>,
    fields: FieldSet,
    /// Every bundle that this worker knows.
    bundles: Bundles,
    /// Which of them applies from which pane on, ascending.
    active: Vec<Active>,
    names: Names,
    panes: BTreeMap<EventTime, PaneCells>,
    live: usize,
}

struct Active {
    start: EventTime,
    from: Offset,
    bundle: Arc<Compiled>,
    plan: Arc<Plan>,
    /// Where these definitions have another text for some schema than the cells' decoder. A text may come to say more
    /// (aliases, documentation) under the same key, and panes stay with the one that they were begun by.
    elder: Option<Box<AvroDecoder>>,
}

enum Decoder {
    Json(JsonDecoder),
    Avro(Box<AvroDecoder>),
}

/// What cells are told of the topic that they count.
pub(crate) struct Input {
    /// As the definitions call it.
    pub topic: String,
    pub source: DataSource,
    /// Writer schemas of every bundle that this worker knows, if the records are Avro.
    pub schemas: Option<WriterSchemas>,
}

/// Schemas, each with its text.
pub(crate) struct WriterSchemas {
    pub schemas: AvroSchemas,
    pub texts: BTreeMap<SchemaKey, String>,
}

impl SliCells {
    pub(crate) fn new(input: Input, pane_us: i64, bundles: Bundles) -> Self {
        let Input { topic, source, schemas } = input;
        // Fields that any known bundle reads: which of them is active is not known yet, and reading more changes nothing.
        let fields = bundles.values().map(|bundle| bundle.plan(&topic, source.event).fields);
        let fields = fields.reduce(FieldSet::union).unwrap_or_default();
        let seed = bundles.values().next().map_or(0, |bundle| bundle.settings.series_key.hash(&[]));
        let decoder = match &schemas {
            None => Decoder::Json(JsonDecoder::new(source.event, fields)),
            Some(schemas) => Decoder::Avro(Box::new(AvroDecoder::new(&schemas.schemas, fields))),
        };
        let texts = schemas.map(|schemas| schemas.texts).unwrap_or_default();
        Self {
            topic,
            source,
            pane_us,
            decoder,
            texts,
            fields,
            bundles,
            active: Vec::new(),
            names: Names::new(seed),
            panes: BTreeMap::new(),
            live: 0,
        }
    }

    /// Heap bytes of all live cells, estimated from their parts.
    pub fn heap_bytes(&self) -> usize {
        self.panes.values().map(PaneCells::heap_bytes).sum()
    }

    /// The definitions that apply to a pane.
    fn active_at(active: &[Active], pane: EventTime) -> &Active {
        let applies = active.iter().rev().find(|active| active.start <= pane).or(active.first());
        applies.expect("a ledger activates its definitions before it folds")
    }

    /// A record counts by the schemas of its own pane's definitions: a schema that came later makes it no event. Nor does
    /// one that came for its pane, but after the record, which was rejected then: whoever folds it again rejects it again.
    fn check_schema(&self, ts: EventTime, offset: Offset, key: SchemaKey) -> Result<(), Rejection> {
        let judge = self.judge(ts, offset).map(|index| &self.active[index]);
        if judge.is_none_or(|active| active.plan.schemas.as_ref().is_none_or(|schemas| schemas.contains(&key))) {
            return Ok(());
        }
        let message = format!(
            "schema {key} is not among those that are defined for the time of the record: add the writer's schema to those of the topic"
        );
        Err(Rejection::new(Reason::UnknownSchema, message))
    }

    /// Which of the active definitions judge a record.
    fn judge(&self, ts: EventTime, offset: Offset) -> Option<usize> {
        let pane = ts.floor(self.pane_us);
        let judges = |active: &Active| active.start <= pane && active.from <= offset;
        self.active.iter().rposition(judges).or((!self.active.is_empty()).then_some(0))
    }

    /// A record as the definitions of its pane read it, where they have another text for some schema than `decoder`, which
    /// has given `read`.
    #[cold]
    fn read_by_its_own<'a>(
        &mut self,
        value: &'a [u8],
        at: Standing,
        event: &mut Event<'a>,
        read: Result<SchemaKey, Rejection>,
    ) -> Result<SchemaKey, Rejection> {
        let is_known = |read: &Result<SchemaKey, Rejection>| {
            !read.as_ref().is_err_and(|rejection| rejection.reason == Reason::UnknownSchema)
        };
        // Not readable by the newest text: by that of its own pane, perhaps, if that is what it says.
        let judges = match &read {
            Ok(_) => self.judge(at.time_of(event.ts), at.offset).map_or(0..0, |judge| judge..judge + 1),
            Err(_) => 0..self.active.len(),
        };
        if !is_known(&read) {
            return read;
        }
        for index in judges {
            let Some(decoder) = &mut self.active[index].elder else { continue };
            let mut other = Event::empty();
            let again = decoder.decode_into(value, &mut other);
            let judged_at = if again.is_ok() { at.time_of(other.ts) } else { at.newest };
            let is_its_own = read.is_ok() || self.judge(judged_at, at.offset) == Some(index);
            if is_known(&again) && is_its_own {
                *event = other;
                return again;
            }
        }
        read
    }

    /// What is wrong with a record is said by a schema, which must be one of those that count. The decoder knows more of
    /// them as time goes on, and other workers know others.
    #[cold]
    fn rejected(&self, value: &[u8], at: Standing, rejection: Rejection) -> Rejection {
        let Format::Avro { framing, .. } = &self.source.format else { return rejection };
        let Some((key, _)) = framing.split(value) else { return rejection };
        self.check_schema(at.newest, at.offset, key).err().unwrap_or(rejection)
    }
}

impl Cells for SliCells {
    type Event<'a> = Event<'a>;

    #[inline]
    fn decode<'a>(&mut self, value: &'a [u8], at: Standing, event: &mut Event<'a>) -> Result<EventTime, Rejection> {
        let decoder = match &mut self.decoder {
            Decoder::Json(decoder) => {
                decoder.decode_into(value, event)?;
                return Ok(event.ts);
            }
            Decoder::Avro(decoder) => decoder,
        };
        let mut read = decoder.decode_into(value, event);
        if self.active.iter().any(|active| active.elder.is_some()) {
            read = self.read_by_its_own(value, at, event, read);
        }
        match read {
            Ok(key) => self.check_schema(at.time_of(event.ts), at.offset, key)?,
            Err(rejection) => return Err(self.rejected(value, at, rejection)),
        }
        Ok(event.ts)
    }

    #[inline]
    fn fold(&mut self, pane: EventTime, offset: Offset, event: &Event<'_>) {
        let Self { active, names, panes, live, .. } = self;
        let cells = panes.entry(pane).or_insert_with(|| {
            let active = Self::active_at(active, pane);
            PaneCells::new(Arc::clone(&active.bundle), Arc::clone(&active.plan))
        });
        let before = cells.len();
        cells.fold(event, offset, names);
        *live = *live + cells.len() - before;
    }

    fn live(&self) -> usize {
        self.live
    }

    fn digest(&self) -> u64 {
        let of_pane = |(start, pane): (&EventTime, &PaneCells)| pane.digest(*start);
        self.panes.iter().map(of_pane).fold(0, u64::wrapping_add)
    }

    fn cut(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox) {
        let Some(cells) = self.panes.remove(&pane) else { return };
        self.live -= cells.len();
        let (bundle, plan) = (Arc::clone(&cells.bundle), Arc::clone(&cells.plan));
        for (place, cell) in cells.into_sorted() {
            let delta = delta(pane, head, &bundle, &plan, &place, &cell);
            let output = Output {
                topic: topics::SLI_WINDOWS,
                key: delta.key(),
                placement: Placement::ByKey,
                value: delta.to_json(),
            };
            out.push_fact(output, || too_large(&delta));
        }
    }

    fn forget(&mut self, pane: EventTime) {
        if let Some(cells) = self.panes.remove(&pane) {
            self.live -= cells.len();
        }
    }

    fn activate(&mut self, activations: &[Activation]) -> Result<(), Unusable> {
        let resolve = |activation: &Activation| {
            let Some(bundle) = self.bundles.get(&activation.hash) else {
                return Err(Unusable::Unknown { hash: activation.hash.clone() });
            };
            // Whoever reads a topic in another way than before can't tell what it was that was counted.
            if let Some(before) = bundle.sources.get(&self.topic)
                && way_of(before) != way_of(&self.source)
            {
                let (hash, before, now) = (activation.hash.clone(), way_of(before), way_of(&self.source));
                return Err(Unusable::ReadAnotherWay { hash, before, now });
            }
            let plan = Arc::clone(bundle.plan(&self.topic, self.source.event));
            let (elder, bundle) = (self.elder_of(bundle), Arc::clone(bundle));
            Ok(Active { start: activation.start, from: activation.from, plan, bundle, elder })
        };
        self.active = activations.iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(())
    }
}

impl SliCells {
    /// A decoder by the texts of these definitions, if one of them differs from that of `decoder`.
    fn elder_of(&self, bundle: &Compiled) -> Option<Box<AvroDecoder>> {
        let source = bundle.sources.get(&self.topic)?;
        let Format::Avro { framing, schemas } = &source.format else { return None };
        let differs = |one: &WriterSchema| {
            let keys = AvroSchemas::new(source.event, *framing, &[(one.id, one.schema.as_str())]);
            keys.is_ok_and(|keys| keys.keys().any(|key| self.texts.get(&key) != Some(&one.schema)))
        };
        if !schemas.iter().any(differs) {
            return None;
        }
        let texts: Vec<(Option<u32>, &str)> = schemas.iter().map(|one| (one.id, one.schema.as_str())).collect();
        let schemas = AvroSchemas::new(source.event, *framing, &texts).ok()?;
        Some(Box::new(AvroDecoder::new(&schemas, self.fields)))
    }
}

/// How the records of a source are read, but for the schemas, which may change.
fn way_of(source: &DataSource) -> String {
    let format = match &source.format {
        Format::Json => "JSON".to_owned(),
        Format::Avro { framing, .. } => format!("Avro ({framing:?})"),
    };
    format!("{} events in {format}", source.event)
}

fn delta(pane: EventTime, head: &BatchHead<'_>, bundle: &Compiled, plan: &Plan, place: &Place, cell: &Cell) -> Delta {
    let Place { tenant, service, series, .. } = place;
    let declared = plan.slis_of(service).is_some();
    let sli = usize::from(series.sli).checked_sub(1).map(|index| &plan.slis[index]);
    let names: Vec<String> = match sli {
        None => plan.golden.labels.iter().map(|label| label.name().to_owned()).collect(),
        Some(sli) => sli.label_names().collect(),
    };
    let labels = || names.iter().zip(&series.labels.0);
    let keeps = plan.keeps(series.sli);
    Delta {
        r#type: FactType::Delta,
        tenant: tenant.to_string(),
        service: service.to_string(),
        sli: sli.map_or(plan.golden.name, |sli| &sli.name).to_owned(),
        labels: labels().filter_map(|(name, value)| Some((name.clone(), value.as_ref()?.to_string()))).collect(),
        absent: labels().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect(),
        group: if declared { service.to_string() } else { String::new() },
        series_hash: place.bounded.then(|| format!("{:016x}", cell.identity)),
        series_max: place.bounded.then_some(bundle.settings.series_max),
        pane,
        pane_us: head.pane_us,
        source: head.source.to_owned(),
        partition: head.partition,
        generation: head.generation,
        batch: head.batch,
        bundle: bundle.hash.clone(),
        n: cell.n,
        good: cell.good,
        failed: cell.failed,
        unjudged: cell.unjudged,
        le: cell.le(keeps),
        latency: cell.latency(),
        values: cell.values(),
        newest: cell.newest.unwrap_or(pane),
        exemplars: cell.exemplars(),
    }
}

/// Labels, histogram and exemplars of a delta are all bounded far below the bound of a record, so this is a last resort.
fn too_large(delta: &Delta) -> DeadLetter {
    let message = format!("a delta of {} {:?} would not fit into a record", delta.service, delta.labels);
    let origin = streamgauge_events::dead_letter::Origin {
        source: &delta.source,
        partition: delta.partition,
        offset: -1,
        timestamp: None,
        key: None,
        value: None,
    };
    DeadLetter::new(Rejection::new(Reason::OutputTooLarge, message), origin)
}

/// Whether a label value stands for what the bound folded away.
pub(crate) fn is_other(labels: &[Option<Box<str>>]) -> bool {
    !labels.is_empty() && labels.iter().all(|label| label.as_deref() == Some(OTHER))
}
