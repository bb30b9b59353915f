//! The summary as text for a terminal of 80 columns; those of 100 see more figures of each service.

use std::fmt::{self, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use streamgauge_slo::Severity;
use streamgauge_synthetic::Scenario;

use super::seen::{FaultSeen, Measured, Seen, ServiceSeen};

/// How the run went, which is no part of its results.
pub struct Run {
    pub workers: u16,
    pub elapsed: Duration,
    /// Whether lines may have [`WIDE`] columns; else 80.
    pub wide: bool,
}

/// As wide as the table of services is with all of its columns.
pub const WIDE: usize = 96;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

const REASONS_A_LINE: usize = 3;

/// With colours; the printer strips them where there is no terminal.
pub fn summary(scenario: &Scenario, seen: &Seen, run: &Run) -> String {
    let mut text = String::new();
    write_all(&mut text, scenario, seen, run).expect("a string takes whatever is written to it");
    text
}

fn write_all(text: &mut String, scenario: &Scenario, seen: &Seen, run: &Run) -> fmt::Result {
    let (clock, secs) = (Clock::of(seen.span), run.elapsed.as_secs_f64());
    let workers = if run.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", run.workers) };
    writeln!(text, "\n{BOLD}Streamgauge demo{BOLD:#}  {}, seed {}", seen.scenario, seen.seed)?;
    if !scenario.description().is_empty() {
        writeln!(text, "{}", scenario.description())?;
    }
    writeln!(
        text,
        "{DIM}{} records, {} to {} UTC,\nthrough {workers} in one group, in {secs:.1} s{DIM:#}",
        thousands(seen.audit.produced),
        clock.day_and_time(seen.span.0),
        clock.day_and_time(seen.span.1),
    )?;
    services(text, seen, &clock, run.wide)?;
    faults(text, seen, &clock)?;
    promises(text, seen, &clock, run.wide)?;
    dead_letters(text, seen)?;
    proof(text, seen)
}

fn services(text: &mut String, seen: &Seen, clock: &Clock, wide: bool) -> fmt::Result {
    let columns = seen.services.first().map_or(0, |service| service.chart.len());
    let (from, to) = (clock.time(seen.span.0), clock.time(seen.span.1));
    let room = columns.saturating_sub(from.len() + to.len());
    let what = if room >= 10 { "requests" } else { "" };
    let heading = format!("{from}{what:^room$}{to}");
    let figures = |name: &str, cells: [String; 6]| {
        let [requests, per_s, failed, p50, p95, p99] = cells;
        let name = shortened(name, 16);
        match wide {
            true => format!("{name:<16} {requests:>9} {per_s:>7} {failed:>7} {p50:>8} {p95:>8} {p99:>8}"),
            false => format!("{name:<16} {requests:>9} {failed:>7} {p95:>8} {p99:>8}"),
        }
    };
    let header = ["requests", "per s", "failed", "p50", "p95", "p99"].map(str::to_owned);
    writeln!(text, "\n{BOLD}{}{BOLD:#}  {DIM}{heading}{DIM:#}", figures("Service", header))?;
    for service in &seen.services {
        let ServiceSeen { service: name, requests, rate_per_sec, error_share, p50_us, p95_us, p99_us, chart, .. } =
            service;
        let (requests, per_s, failed) = (thousands(*requests), rate(*rate_per_sec), percent(*error_share));
        let cells = [requests, per_s, failed, latency(*p50_us), latency(*p95_us), latency(*p99_us)];
        writeln!(text, "{}  {}", figures(name, cells), chart_of(chart))?;
    }
    Ok(())
}

fn faults(text: &mut String, seen: &Seen, clock: &Clock) -> fmt::Result {
    if seen.planted.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{BOLD}Planted, and what the windows show{BOLD:#}")?;
    for fault in &seen.planted {
        let kind = fault.kind.replace('_', " ");
        let span = clock.span(fault.span);
        writeln!(text, "  {BAD}●{BAD:#} {:<52} planted {span}", format!("{kind}: {}", subject(fault)))?;
        let chart = &fault.windows.chart;
        let (from, to) = (clock.time(chart.from_us), clock.time(chart.to_us));
        writeln!(
            text,
            "    {DIM}{from}{DIM:#} {} {DIM}{to}{DIM:#}  {}",
            chart_of(&chart.values),
            finding(fault, clock)
        )?;
    }
    Ok(())
}

fn promises(text: &mut String, seen: &Seen, clock: &Clock, wide: bool) -> fmt::Result {
    if seen.promises.is_empty() {
        return Ok(());
    }
    let header = format!("{:<25} {:>6} {:>7} {:>11}", "Promise", "target", "was", "budget left");
    writeln!(text, "\n{BOLD}{header}{BOLD:#}  {DIM}alarms{DIM:#}")?;
    for promise in &seen.promises {
        let good = promise.total - promise.bad;
        let was = if promise.total > 0 { hundredths(good, promise.total) } else { "-".to_owned() };
        let left = promise.budget_left.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
        let name = shortened(&promise.slo, 25);
        write!(text, "{name:<25} {:>6} {was:>7} {left:>11}  ", promise.target)?;
        if promise.alerts.is_empty() {
            writeln!(text, "{DIM}none{DIM:#}")?;
        }
        for (index, alert) in promise.alerts.iter().enumerate() {
            let pages = alert.severity == Severity::Critical;
            let what = if pages { format!("{BAD}pages{BAD:#}") } else { format!("{BOLD}ticket{BOLD:#}") };
            let until = alert.span.1.map_or_else(|| "the end".to_owned(), |until| clock.time(until.0));
            let room = if index == 0 { "" } else { &" ".repeat(54) };
            let rule = if wide { format!("  {DIM}{}{DIM:#}", alert.rule) } else { String::new() };
            writeln!(text, "{room}{what} {}–{until}{rule}", clock.time(alert.span.0.0))?;
        }
    }
    Ok(())
}

/// A share in percent with two places, rounded down: 100% only where all are good.
fn hundredths(part: i128, whole: i128) -> String {
    let hundredths = part * 10_000 / whole;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn subject(fault: &FaultSeen) -> String {
    let service = fault.service.as_deref().unwrap_or("every service");
    let detail = fault.version.as_deref().or(fault.route.as_deref());
    detail.map_or_else(|| service.to_owned(), |detail| format!("{service} {detail}"))
}

fn finding(fault: &FaultSeen, clock: &Clock) -> String {
    let Some(found) = fault.windows.found else { return "the windows show nothing of it".to_owned() };
    let (span, during, otherwise) = (clock.span(found), &fault.windows.during, &fault.windows.otherwise);
    let Measured { requests, error_share, p95_us, .. } = during;
    match fault.kind.as_str() {
        "outage" => format!("{BOLD}silent {span}{BOLD:#}, {} requests", thousands(*requests)),
        "slow_dependency" => {
            format!("{BOLD}p95 {} {span}{BOLD:#}, else {}", latency(*p95_us), latency(otherwise.p95_us))
        }
        _ => format!("{BOLD}{} failed {span}{BOLD:#}, else {}", percent(*error_share), percent(otherwise.error_share)),
    }
}

fn dead_letters(text: &mut String, seen: &Seen) -> fmt::Result {
    let total: u64 = seen.dead_letters.values().sum();
    writeln!(text, "\n{BOLD}Not counted{BOLD:#}  {} records, kept as dead letters with the reason", thousands(total))?;
    let mut reasons: Vec<_> = seen.dead_letters.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for line in reasons.chunks(REASONS_A_LINE) {
        let entries: Vec<String> =
            line.iter().map(|(reason, count)| format!("{:>7}  {:<18}", thousands(**count), reason.as_str())).collect();
        writeln!(text, "{}", entries.concat().trim_end())?;
    }
    Ok(())
}

fn proof(text: &mut String, seen: &Seen) -> fmt::Result {
    let audit = &seen.audit;
    let mark = |right: bool| if right { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
    writeln!(text, "\n{BOLD}Proof{BOLD:#}")?;
    let checked = audit.source_checked == audit.produced && audit.open == 0;
    writeln!(
        text,
        "  {} audit  {} records in the log = {} counted + {} dead letters\n           {} lost, {} repeated",
        mark(audit.clean && checked),
        thousands(audit.source_checked),
        thousands(audit.counted),
        thousands(audit.dead_lettered),
        thousands(audit.lost),
        thousands(audit.repeated),
    )?;
    if !checked {
        writeln!(
            text,
            "           the workers read {}, of which {} are in no window",
            thousands(audit.produced),
            thousands(audit.open)
        )?;
    }
    writeln!(
        text,
        "  {} truth  {} cells compared with the generator's own count: {} differences",
        mark(seen.truth.differences == 0),
        thousands(seen.truth.cells_compared),
        thousands(seen.truth.differences),
    )?;
    writeln!(text, "           {DIM}a cell: a service, route and version in ten seconds, with every bucket{DIM:#}")?;
    for problem in &seen.problems {
        writeln!(text, "    {BAD}{problem}{BAD:#}")?;
    }
    writeln!(text, "\n{DIM}Next: streamgauge backfill --help, or README.md: \"On your files\", \"On Kafka\"{DIM:#}")
}

/// Times of day, with the date where a run is longer than a day.
struct Clock {
    dated: bool,
}

impl Clock {
    fn of(span: (i64, i64)) -> Self {
        Self { dated: span.1 - span.0 > 86_400_000_000 }
    }

    fn time(&self, us: i64) -> String {
        let format = match us % 60_000_000 {
            0 if self.dated => "%m-%d %H:%M",
            0 => "%H:%M",
            _ => "%H:%M:%S",
        };
        format_utc(us, format)
    }

    fn span(&self, (from, to): (i64, i64)) -> String {
        format!("{}–{}", self.time(from), self.time(to))
    }

    fn day_and_time(&self, us: i64) -> String {
        format_utc(us, "%Y-%m-%d %H:%M")
    }
}

fn format_utc(us: i64, format: &str) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |at| at.strftime(format).to_string())
}

/// From nothing at all to the largest value.
fn chart_of(values: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let max = values.iter().copied().max().unwrap_or(0).max(1);
    let bar = |value: &u64| match value {
        0 => '·',
        value => BARS[(u128::from(*value) * 8).div_ceil(u128::from(max)) as usize - 1],
    };
    values.iter().map(bar).collect()
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn rate(per_sec: f64) -> String {
    match per_sec {
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate if rate < 1000.0 => format!("{rate:.1}"),
        rate => thousands(rate.round() as u64),
    }
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 { format!("{:.2}%", share * 100.0) } else { format!("{:.1}%", share * 100.0) }
}

/// Three digits; `-` where nothing has a latency.
fn latency(us: Option<u64>) -> String {
    let Some(us) = us else { return "-".to_owned() };
    let three = |value: f64, unit: &str| match value {
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    };
    match us {
        0..1000 => format!("{us} µs"),
        1000..999_500 => three(us as f64 / 1e3, "ms"),
        _ => three(us as f64 / 1e6, "s"),
    }
}

/// Cut to so many characters.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        for (us, text) in [
            (None, "-"),
            (Some(0), "0 µs"),
            (Some(999), "999 µs"),
            (Some(1000), "1.00 ms"),
            (Some(18_350), "18.4 ms"),
            (Some(650_000), "650 ms"),
            (Some(999_600), "1.00 s"),
            (Some(5_980_000), "5.98 s"),
            (Some(59_800_000), "59.8 s"),
        ] {
            assert_eq!(latency(us), text, "{us:?}");
        }
        for (share, text) in [(0.0, "0.0%"), (0.0031, "0.31%"), (0.226, "22.6%"), (1.0, "100.0%")] {
            assert_eq!(percent(share), text);
        }
        assert_eq!([rate(0.5), rate(13.62), rate(12_345.6)], ["0.50", "13.6", "12,346"]);
        assert_eq!(shortened("recommendations", 8), "recomme…");
    }

    #[test]
    fn charts_tell_nothing_from_little() {
        assert_eq!(chart_of(&[0, 1, 50, 100]), "·▁▄█");
        assert_eq!(chart_of(&[0, 0]), "··");
        assert_eq!(chart_of(&[u64::MAX, 7]), "█▁");
    }
}
