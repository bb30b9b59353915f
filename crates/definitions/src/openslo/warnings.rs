//! What an objective may say, and probably does not mean. With the numbers.

use streamgauge_events::Kind;
use streamgauge_slo::significance::is_significant;
use streamgauge_slo::{Fraction, Severity, Tally, Target, Tier};

use super::PANE_US;
use crate::alarm::{AlertCondition, AlertRule};
use crate::mistake::{Reader, listed};
use crate::model::{Definitions, Sli};
use crate::objective::{Budgeting, Slo};
use crate::scalar::duration_text;
use crate::yaml::Place;

/// Where an SLO says what.
pub(super) struct Places {
    pub indicator: Place,
    pub objective: Place,
    /// One for each policy that it cites.
    pub policies: Vec<Place>,
}

pub(super) fn warn(reader: &mut Reader<'_>, definitions: &Definitions, slo: &Slo, places: &Places) {
    let Some(sli) = definitions.slis.get(&slo.indicator) else { return };
    let rules = definitions.alerts_of(slo, PANE_US);
    for (index, rule) in rules.iter().enumerate() {
        let (place, path) = match places.policies.get(index) {
            Some(place) => (*place, format!("spec.alertPolicies[{index}]")),
            None => (places.objective, "spec.objectives[0]".to_owned()),
        };
        if let AlertCondition::Burn { factor, long_us, short_us } = rule.condition {
            let tier = Tier { long_us, short_us, factor, severity: rule.severity };
            let remark = tier_sense(slo, &rule.name, tier)
                .or_else(|| slices_sense(slo, sli, &rule.name, tier))
                .or_else(|| pending_sense(slo, sli, rule, tier));
            if let Some((found, expected, remedy)) = remark {
                reader.warning(place, &path, &found, &expected, &remedy);
            }
        }
    }
    few_slices(reader, slo, sli, places.objective);
    page_on_a_cause(reader, definitions, slo, sli, &rules, places.indicator);
}

/// Found, expected, remedy.
type Remark = (String, String, String);

fn tier_sense(slo: &Slo, name: &str, tier: Tier) -> Option<Remark> {
    let (allowed, factor) = (allowed(slo), tier.factor);
    let product = Fraction::new(factor.numerator * allowed.numerator, factor.denominator * allowed.denominator);
    if product.numerator >= product.denominator {
        let target = Fraction::new(slo.target.numerator, slo.target.denominator);
        let most = Fraction::new(allowed.denominator * 100 / allowed.numerator, 100);
        return Some((
            format!("`{name}` at {factor} times the budget: {factor} x (1 - {target}) = {product}"),
            format!("a product below 1: where everything fails, the budget burns {most} times as fast as it may"),
            format!("It can never fire. Cite a policy with a threshold below {most}, or promise more."),
        ));
    }
    tier.fires_while_compliant().then(|| {
        (
            format!("`{name}` at {factor} times the budget"),
            "a threshold of 1 or more".to_owned(),
            "It fires while the promise is kept. Raise its threshold.".to_owned(),
        )
    })
}

/// A slice is counted when it ends, where it begins; and a tier waits for more bad ones than chance explains.
fn slices_sense(slo: &Slo, sli: &Sli, name: &str, tier: Tier) -> Option<Remark> {
    let width_us = slice_us(slo, sli)?;
    let (width, short, long) = (duration_text(width_us), duration_text(tier.short_us), duration_text(tier.long_us));
    if tier.short_us < width_us {
        return Some((
            format!("`{name}` with a short window of {short} over slices of {width}"),
            format!("a short window of at least {width}"),
            "It can never fire, since no slice lies in that window. Shorten the slices, or cite policies with longer windows."
                .to_owned(),
        ));
    }
    if matches!(slo.budgeting, Budgeting::RatioTimeslices { .. }) {
        return None;
    }
    let count = i128::from(tier.long_us.div_euclid(width_us));
    let target = Target::new(Fraction::new(slo.target.numerator, slo.target.denominator)).ok()?;
    (!is_significant(Tally::new(count, count), target, tier.factor)).then(|| {
        (
            format!("`{name}` with {count} slices of {width} in its long window of {long}"),
            "so many slices that chance, at that burn rate, makes all of them bad less than once in a hundred, and at least 3"
                .to_owned(),
            "It can never fire. Shorten the slices, or cite policies with longer windows.".to_owned(),
        )
    })
}

/// A grid point at which the short window is empty is not counted as one at which the condition holds.
fn pending_sense(slo: &Slo, sli: &Sli, rule: &AlertRule, tier: Tier) -> Option<Remark> {
    let width_us = slice_us(slo, sli)?;
    (rule.pending_us > 0 && tier.short_us < 2 * width_us - PANE_US).then(|| {
        let (short, width) = (duration_text(tier.short_us), duration_text(width_us));
        (
            format!("`{}` with a short window of {short} over slices of {width}, most of the time empty", rule.name),
            format!("a short window of at least {} beside `alertAfter`", duration_text(2 * width_us)),
            "It takes longer than `alertAfter` says, since it waits while that window is empty.".to_owned(),
        )
    })
}

fn slice_us(slo: &Slo, sli: &Sli) -> Option<i64> {
    slo.budgeting.width_us().or_else(|| sli.good.slice().map(|slice| slice.length_us))
}

/// Where a period has fewer slices than 1 / (1 - target), the first bad one spends more than all of the budget.
fn few_slices(reader: &mut Reader<'_>, slo: &Slo, sli: &Sli, place: Place) {
    // By ratios, a slice that is bad in part spends a part.
    let is_whole = !matches!(slo.budgeting, Budgeting::RatioTimeslices { .. });
    let Some(width_us) = slice_us(slo, sli).filter(|_| is_whole) else { return };
    let count = (slo.window.nominal_us() / width_us).unsigned_abs();
    let allowed = allowed(slo);
    let needed = allowed.denominator.div_ceil(allowed.numerator);
    if count < needed {
        let (target, window, width) = (slo.target.percent_text(), &slo.window, duration_text(width_us));
        let found = format!("{target} of {count} slices of {width} over {window}");
        let expected = format!("at least {needed} slices, as many as let one of them be bad");
        let remedy =
            "The first bad slice breaks the promise. Shorten the slices, lengthen the time window, or promise less.";
        reader.warning(place, "spec.objectives[0]", &found, &expected, remedy);
    }
}

/// A full disk is a reason to act, and none to wake somebody up: users have noticed nothing yet, or an SLI of requests tells.
fn page_on_a_cause(
    reader: &mut Reader<'_>,
    definitions: &Definitions,
    slo: &Slo,
    sli: &Sli,
    rules: &[AlertRule],
    place: Place,
) {
    let is_cause = definitions.source(&sli.topic).is_some_and(|source| source.event == Kind::Resource);
    let pages = rules.iter().filter(|rule| rule.severity == Severity::Critical);
    let pages: Vec<&str> = pages.map(|rule| rule.name.as_str()).collect();
    if is_cause && !pages.is_empty() {
        let found =
            format!("`{}`, which measures a resource, with alarms that are critical: {}", slo.indicator, listed(pages));
        let expected = "pages about what users notice";
        let remedy =
            "Page by an SLI of requests, and cite policies of a lower severity here, or none: `alertPolicies: []`.";
        reader.warning(place, "spec.indicatorRef", &found, expected, remedy);
    }
}

/// b = 1 - T.
fn allowed(slo: &Slo) -> Fraction {
    Fraction::new(slo.target.denominator - slo.target.numerator, slo.target.denominator)
}
