//! A pre-aggregated row → as many events as it stands for, in an order and at times that depend on the row alone.

use streamgauge_events::EventTime;

use crate::convert::{Reading, head};
use crate::decimal::Decimal;
use crate::extract::Value;
use crate::file::EXPANSION_EVENTS_MAX;
use crate::mapped_event::MappedEvent;

/// How a row says what it stands for.
#[derive(Debug)]
pub struct ExpandPlan {
    pub requests: Amount,
    pub good: Option<Good>,
    pub spread_us: i64,
    pub ts_is: TsIs,
}

#[derive(Debug)]
pub enum Good {
    Count(Amount),
    /// Between 0 and 1, after scaling.
    Ratio(Amount),
}

/// Which end of the spread the row's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsIs {
    Start,
    End,
}

#[derive(Debug)]
pub struct Amount {
    pub name: &'static str,
    pub reading: Reading,
    pub scale: Decimal,
}

impl Amount {
    fn read(&self, values: &[Value<'_>]) -> Result<Decimal, String> {
        let about = |problem: String| format!("{}: {problem}", self.name);
        let text = self.reading.text(values).map_err(about)?.unwrap_or_default();
        let wrong = |problem: &str| about(format!("{} is `{}`, {problem}", self.reading.place, head(text)));
        let number = Decimal::parse(text.trim_ascii()).ok_or_else(|| wrong("which is not a decimal number"))?;
        if number.is_negative() {
            return Err(wrong("which is negative; expected 0 or more"));
        }
        number.times(self.scale).ok_or_else(|| wrong("which has too many digits to be scaled exactly"))
    }

    /// Rounded to the nearest integer, of two the even one.
    fn count(&self, values: &[Value<'_>]) -> Result<u64, String> {
        (self.read(values)?.rounded(0))
            .and_then(|count| u64::try_from(count).ok())
            .filter(|count| *count <= EXPANSION_EVENTS_MAX)
            .ok_or_else(|| {
                let place = &self.reading.place;
                format!("{}: {place} is more than {EXPANSION_EVENTS_MAX} events, scaled; is `scale` right?", self.name)
            })
    }
}

/// The events of one row that are still to come.
#[derive(Clone, Debug)]
pub struct Expansion {
    template: MappedEvent,
    requests: u64,
    good: Option<u64>,
    next: u64,
    start: EventTime,
    spread_us: i64,
}

impl ExpandPlan {
    pub fn amounts(&self) -> impl Iterator<Item = &Amount> {
        let good = self.good.as_ref().map(|good| match good {
            Good::Count(amount) | Good::Ratio(amount) => amount,
        });
        std::iter::once(&self.requests).chain(good)
    }

    /// `template` carries the row's own `ts`.
    pub fn expand(&self, template: MappedEvent, values: &[Value<'_>]) -> Result<Expansion, String> {
        let requests = self.requests.count(values)?;
        let good = match &self.good {
            None => None,
            // Of no requests no share can be told, and none is asked for.
            Some(Good::Ratio(_)) if requests == 0 => None,
            Some(Good::Count(amount)) => Some(amount.count(values)?),
            Some(Good::Ratio(amount)) => {
                let good = Decimal::from(requests).times(amount.read(values)?).and_then(|good| good.rounded(0));
                let good = good.and_then(|good| u64::try_from(good).ok());
                Some(good.ok_or_else(|| format!("{}: the ratio has too many digits", amount.name))?)
            }
        };
        if let Some(good) = good.filter(|good| *good > requests) {
            return Err(format!("expand: {good} good of {requests} requests; expected no more than all of them"));
        }
        let start = match self.ts_is {
            TsIs::Start => template.ts(),
            TsIs::End => template.ts().minus_us(self.spread_us),
        };
        if start.0 < 0 || start.plus_us(self.spread_us) > EventTime::MAX_RECORD {
            return Err("expand: the events would be spread past the years 1970 to 9999".to_owned());
        }
        Ok(Expansion { template, requests, good, next: 0, start, spread_us: self.spread_us })
    }
}

impl Iterator for Expansion {
    type Item = MappedEvent;

    /// Event i of n stands at `start + floor(spread * i / n)`, so all of them lie in [start, start + spread).
    /// It is good if `floor(good * i / n)` rises behind it: exactly `good` are, as evenly spaced as can be.
    fn next(&mut self) -> Option<MappedEvent> {
        if self.next == self.requests {
            return None;
        }
        let share = |whole: u64, i: u64| (u128::from(whole) * u128::from(i) / u128::from(self.requests)) as u64;
        let ts = self.start.plus_us(share(self.spread_us as u64, self.next) as i64);
        let ok = self.good.map(|good| share(good, self.next + 1) > share(good, self.next));
        self.next += 1;
        Some(self.template.moved(ts, ok))
    }
}

impl Expansion {
    pub const fn is_empty(&self) -> bool {
        self.requests == 0
    }
}
