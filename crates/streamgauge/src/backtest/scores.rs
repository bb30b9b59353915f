//! Alerts against incidents: which belong together, and what follows from that. Counts only; who shows them may divide.

use serde::Serialize;

use super::incidents::Incident;
use crate::objectives::Firing;

/// How well one set of alerts told of incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    pub alerts: usize,
    /// Alerts that fired within the grace of an incident.
    pub alerts_true: usize,
    pub incidents: usize,
    /// Incidents within whose grace an alert fired.
    pub found: usize,
    /// Incidents in which none fired, since one was firing already.
    pub already_firing: usize,
    /// From the start of each incident that was found to its first alert, ascending.
    pub detection_us: Vec<i64>,
    /// From the end of each incident that was found until the last of its alerts had resolved, ascending.
    pub reset_us: Vec<i64>,
    /// Incidents that were found, whose alerts had not resolved where the facts end.
    pub never_reset: usize,
    /// Those that nothing told of.
    pub missed: Vec<Incident>,
}

/// Whether an alert fired within the grace of an incident of its service.
pub fn belongs(firing: &Firing, incident: &Incident, grace_us: i64) -> bool {
    let fired = firing.fired.at;
    is_about(firing, incident) && incident.start.minus_us(grace_us) <= fired && fired <= incident.end.plus_us(grace_us)
}

fn is_about(firing: &Firing, incident: &Incident) -> bool {
    incident.service.as_ref().is_none_or(|service| *service == firing.fired.service)
}

pub fn score(alerts: &[&Firing], incidents: &[&Incident], grace_us: i64) -> Score {
    let is_true = |alert: &&&Firing| incidents.iter().any(|incident| belongs(alert, incident, grace_us));
    let alerts_true = alerts.iter().filter(is_true).count();
    let mut score = Score { alerts: alerts.len(), alerts_true, incidents: incidents.len(), ..Score::default() };
    for incident in incidents {
        let mine: Vec<&&Firing> = alerts.iter().filter(|alert| belongs(alert, incident, grace_us)).collect();
        let Some(first) = mine.iter().map(|alert| alert.fired.at).min() else {
            let fires = |alert: &&Firing| {
                let ends_behind = alert.resolved.as_ref().is_none_or(|end| end.at > incident.start);
                is_about(alert, incident) && alert.fired.at < incident.start && ends_behind
            };
            match alerts.iter().any(fires) {
                true => score.already_firing += 1,
                false => score.missed.push((*incident).clone()),
            }
            continue;
        };
        score.found += 1;
        score.detection_us.push(first.0 - incident.start.0);
        let ends: Option<Vec<i64>> = mine.iter().map(|alert| Some(alert.resolved.as_ref()?.at.0)).collect();
        match ends.and_then(|ends| ends.into_iter().max()) {
            Some(end) => score.reset_us.push(end - incident.end.0),
            None => score.never_reset += 1,
        }
    }
    score.detection_us.sort_unstable();
    score.reset_us.sort_unstable();
    score
}

/// By nearest rank.
pub fn median(ascending: &[i64]) -> Option<i64> {
    ascending.get(ascending.len().div_ceil(2).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamgauge_events::EventTime;
    use streamgauge_slo::{Forecast, Severity, Tally, Transition};
    use streamgauge_stage_slo::AlertRecord;

    const MINUTE_US: i64 = 60_000_000;

    fn record(minute: i64, transition: Transition) -> AlertRecord {
        AlertRecord {
            id: String::new(),
            alert: String::new(),
            fingerprint: String::new(),
            tenant: String::new(),
            targets: Vec::new(),
            starts_at: EventTime(minute * MINUTE_US),
            window: "30d".to_owned(),
            counted: Tally::default(),
            forecast: Forecast::Unknown,
            exemplars: Vec::new(),
            definition: String::new(),
            slo: "slo".to_owned(),
            service: "service".to_owned(),
            rule: "rule".to_owned(),
            severity: Severity::Critical,
            transition,
            at: EventTime(minute * MINUTE_US),
            target: "99.9%".to_owned(),
            long: None,
            short: None,
            remaining: None,
        }
    }

    /// Minutes: alerts from firing to resolving (0: never), incidents from start to end; the grace is two minutes.
    fn check(alerts: &[(i64, i64)], incidents: &[(i64, i64)], expected: &str) {
        let firing = |(fired, resolved): &(i64, i64)| Firing {
            id: String::new(),
            fired: record(*fired, Transition::Fired),
            resolved: (*resolved > 0).then(|| record(*resolved, Transition::Resolved)),
        };
        let incident = |(start, end): &(i64, i64)| Incident {
            start: EventTime(start * MINUTE_US),
            end: EventTime(end * MINUTE_US),
            service: None,
            name: String::new(),
        };
        let (firings, known): (Vec<Firing>, Vec<Incident>) =
            (alerts.iter().map(firing).collect(), incidents.iter().map(incident).collect());
        let score = score(&firings.iter().collect::<Vec<_>>(), &known.iter().collect::<Vec<_>>(), 2 * MINUTE_US);
        let minutes = |us: &[i64]| us.iter().map(|us| (us / MINUTE_US).to_string()).collect::<Vec<_>>().join(",");
        let text = format!(
            "{}/{} true, {}/{} found, {} already, {} missed, detection {}, reset {}, {} never",
            score.alerts_true,
            score.alerts,
            score.found,
            score.incidents,
            score.already_firing,
            score.missed.len(),
            minutes(&score.detection_us),
            minutes(&score.reset_us),
            score.never_reset
        );
        assert_eq!(text, expected, "{alerts:?} {incidents:?}");
    }

    #[test]
    fn alerts_and_incidents_that_belong_together() {
        let one = [(10, 20)];
        check(&[(11, 25)], &one, "1/1 true, 1/1 found, 0 already, 0 missed, detection 1, reset 5, 0 never");
        check(&[], &one, "0/0 true, 0/1 found, 0 already, 1 missed, detection , reset , 0 never");
        // Within the grace on either side, and beyond it.
        check(&[(8, 9)], &one, "1/1 true, 1/1 found, 0 already, 0 missed, detection -2, reset -11, 0 never");
        check(&[(22, 23)], &one, "1/1 true, 1/1 found, 0 already, 0 missed, detection 12, reset 3, 0 never");
        check(&[(23, 24)], &one, "0/1 true, 0/1 found, 0 already, 1 missed, detection , reset , 0 never");
        // It was firing already: nobody was told of this one.
        check(&[(5, 15)], &one, "0/1 true, 0/1 found, 1 already, 0 missed, detection , reset , 0 never");
        check(&[(5, 10)], &one, "0/1 true, 0/1 found, 0 already, 1 missed, detection , reset , 0 never");
        // Two alerts of one incident, two incidents of one alert.
        check(&[(11, 12), (15, 0)], &one, "2/2 true, 1/1 found, 0 already, 0 missed, detection 1, reset , 1 never");
        let two = [(10, 20), (22, 30)];
        check(&[(21, 40)], &two, "1/1 true, 2/2 found, 0 already, 0 missed, detection -1,11, reset 10,20, 0 never");
    }

    #[test]
    fn medians_are_values_that_occurred() {
        for (values, expected) in [(&[][..], None), (&[3], Some(3)), (&[3, 5], Some(3)), (&[3, 5, 9], Some(5))] {
            assert_eq!(median(values), expected);
        }
    }
}
