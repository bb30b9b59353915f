//! What a mapping file says about rows that stand for many requests.

use serde_saphyr::Spanned;
use streamgauge_events::Kind;

use crate::check::{Checked, Checker};
use crate::check_times::duration_us;
use crate::convert::Reading;
use crate::decimal::Decimal;
use crate::definition::{AmountDefinition, Definition, ExpandDefinition};
use crate::expand::{Amount, ExpandPlan, Good, TsIs};

impl Checker<'_> {
    pub fn expand(&mut self, expand: &Spanned<ExpandDefinition>, definition: &Definition) -> Checked<ExpandPlan> {
        let written = &expand.value;
        if self.kind != Kind::Request {
            let found = format!("`expand` for {}s", self.kind);
            let remedy = "Remove it: only requests are counted by the row.";
            return Err(self.source.invalid_at(expand.referenced, "expand", &found, "`event: requests`", remedy));
        }
        if let (Some(_), Some(ratio)) = (&written.good, &written.good_ratio) {
            let (found, expected) = ("`good` and `good_ratio`", "one of them at most");
            return Err(self.source.invalid_at(ratio.referenced, "expand", found, expected, "Remove one."));
        }
        let says_good = written.good.is_some() || written.good_ratio.is_some();
        for (field, clashes, why) in [
            ("ok", says_good, "`ok` follows from `good` or `good_ratio`"),
            ("event_id", true, "all events of a row would share it"),
        ] {
            let value = definition.fields.value.iter().find(|(name, _)| clashes && name.0.value == field);
            if let Some((_, value)) = value {
                let path = format!("fields.{field}");
                let remedy = format!("Remove it: {why}.");
                return Err(self.source.invalid_at(
                    value.referenced,
                    &path,
                    "the field",
                    "none beside `expand`",
                    &remedy,
                ));
            }
        }
        let good = match (&written.good, &written.good_ratio) {
            (Some(count), _) => Some(Good::Count(self.amount("expand.good", count)?)),
            (None, Some(ratio)) => Some(Good::Ratio(self.amount("expand.good_ratio", ratio)?)),
            (None, None) => None,
        };
        let ts_is = match written.ts_is.as_ref().map(|ts_is| (ts_is, ts_is.value.as_str())) {
            None | Some((_, "start")) => TsIs::Start,
            Some((_, "end")) => TsIs::End,
            Some((ts_is, _)) => {
                let remedy = "Write `end` if a row's time is the end of the time that it covers.";
                return Err(self.source.invalid(ts_is, "expand.ts_is", "`start` or `end`", remedy));
            }
        };
        let spread_us = duration_us(&written.spread.value).ok_or_else(|| {
            let expected = "a duration such as `60s`, `500ms`, `5m` or `1h`, up to a day";
            self.source.invalid(&written.spread, "expand.spread", expected, "Write a number and its unit.")
        })?;
        Ok(ExpandPlan { requests: self.amount("expand.requests", &written.requests)?, good, spread_us, ts_is })
    }

    fn amount(&mut self, path: &'static str, written: &Spanned<AmountDefinition>) -> Checked<Amount> {
        let AmountDefinition { column, pointer, group, cell, scale } = &written.value;
        let keys = [("column", column), ("pointer", pointer), ("group", group), ("cell", cell)];
        let (slot, place) = self.place(path, written.referenced, keys)?;
        let scale = match scale {
            None => Decimal::from(1),
            Some(scale) => Decimal::parse(&scale.value).filter(|scale| scale.is_positive()).ok_or_else(|| {
                let path = format!("{path}.scale");
                self.source.invalid(scale, &path, "a decimal number above 0", "For a percentage write `scale: 0.01`.")
            })?,
        };
        let reading = Reading {
            slot,
            place,
            null_values: self.format.null_values(),
            extract: None,
            optional: false,
            table: None,
        };
        Ok(Amount { name: path, reading, scale })
    }
}
