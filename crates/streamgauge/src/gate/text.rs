//! The answer as people read it. Only shapes text.

use streamgauge_slo::Fraction;
use streamgauge_windows::window::rfc3339_text;

use super::answer::{Answer, Freeze, SloAnswer, Verdict};
use crate::slo_text::{percent, remaining, span};
use crate::windows_text::harmless;

pub fn lines(answer: &Answer) -> Vec<String> {
    let mut lines = vec![headline(answer)];
    if let Some(by) = &answer.by {
        let (at, expires) = (rfc3339_text(by.at), rfc3339_text(by.expires));
        lines.push(format!("  override {} by {}: {}", by.id, harmless(&by.actor), harmless(&by.reason)));
        lines.push(format!("  decided at {at}, until {expires}"));
    }
    if answer.rollback && answer.answer != Verdict::Go {
        lines.push("  a rollback is exempt: this one may go".to_owned());
    }
    for slo in &answer.slos {
        lines.push(String::new());
        lines.extend(slo_lines(slo));
    }
    if answer.exit_code == super::answer::EXIT_FROZEN {
        lines.push(String::new());
        lines.push(format!(
            "to deploy all the same: streamgauge override --service {} --reason WHY --expires 2h",
            harmless(&answer.service)
        ));
    }
    lines
}

fn headline(answer: &Answer) -> String {
    let service = harmless(&answer.service);
    match (answer.answer, &answer.unknown_because) {
        (Verdict::Go, _) if answer.by.is_some() => {
            format!("go: a budget of {service} was spent and has not recovered, but an override holds")
        }
        (Verdict::Go, _) => format!("go: {service} may be deployed"),
        (Verdict::Frozen, _) => format!("frozen: a budget of {service} was spent and has not recovered"),
        (Verdict::Unknown, Some(why)) => format!("unknown: {why}"),
        (Verdict::Unknown, None) => format!("unknown: nobody can tell how {service} is"),
    }
}

fn slo_lines(slo: &SloAnswer) -> Vec<String> {
    let mut headline = slo.slo.clone();
    if let Some(promise) = &slo.promise {
        headline += &format!("  {} of {} over {}", promise.target, promise.indicator, promise.window);
    }
    let mut lines = vec![headline];
    let mut tell = |what: &str, text: String| lines.push(format!("  {what:<12}  {text}"));
    tell("answer", slo.answer.as_str().to_owned());
    for why in &slo.unknown_because {
        tell("because", why.clone());
    }
    if let Some(budget) = &slo.budget {
        let left = remaining(budget.remaining);
        tell("budget left", format!("{left}: {} bad, and {} may be", budget.bad, budget.allowance));
    }
    if let Some(freeze) = &slo.freeze {
        tell("frozen", frozen_text(freeze));
        tell("may thaw", thaw_text(freeze));
    }
    if let Some(until) = slo.counted_to {
        let behind = slo.behind_us.map_or_else(String::new, |behind| format!(", {} ago", span(behind)));
        tell("counted to", format!("{}{behind}", rfc3339_text(until)));
    }
    for remark in &slo.remarks {
        tell("but", remark.clone());
    }
    lines
}

fn frozen_text(freeze: &Freeze) -> String {
    let Some(alarm) = &freeze.alarm else {
        return "no alarm watches for a spent budget, so it is frozen while nothing is left".to_owned();
    };
    let since = rfc3339_text(alarm.since);
    match &alarm.alert {
        Some(alert) => format!("since {since} by {}, alert {alert}", alarm.rule),
        None => format!("since {since} by {}, which has not fired yet", alarm.rule),
    }
}

fn thaw_text(freeze: &Freeze) -> String {
    let thaw = &freeze.thaw;
    let left = match thaw.clears_at {
        Some(Fraction { numerator, denominator }) if numerator > 0 => {
            let share = percent(numerator.into(), denominator.into()).replace(".00%", "%");
            format!("when {share} are left again")
        }
        _ => "when something is left again".to_owned(),
    };
    match thaw.may_thaw_at {
        Some(at) if thaw.is_calendar => format!("{} with the next period, or {left}", rfc3339_text(at)),
        Some(at) => format!("{}, {left}: if as much comes as came, and none of it is bad", rfc3339_text(at)),
        None => left,
    }
}
