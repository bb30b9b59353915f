//! Windows for people (tables with charts) and for spreadsheets (CSV). Only shapes text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use streamgauge_events::EventTime;
use streamgauge_events::json_number::from_millionths;
use streamgauge_windows::window::{BoundsUs, ValueSummary, rfc3339_text};
use streamgauge_windows::{Level, Window};

/// Charts are as wide as this; longer spans put several windows into a column.
const CHART_COLUMNS: usize = 40;
/// So many windows are listed without being asked for.
pub const ROWS_UNASKED: usize = 30;
/// Shares of bad events from which a figure is coloured: a hundredth catches the eye, a twentieth alarms.
const NOTABLE: f64 = 0.01;
const ALARMING: f64 = 0.05;

/// For people, with styles where the terminal takes them. Stops quietly when the reader has gone (`| head`).
pub fn print_lines(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    write_lines(anstream::stdout().lock(), lines)
}

/// For programs: every byte as it is.
pub fn print_data(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    write_lines(std::io::stdout().lock(), lines)
}

fn write_lines(out: impl std::io::Write, lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(out);
    for line in lines {
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Values of scores and samples: all but their number in millionths, the squares in millionths of those.
const VALUE_COLUMNS: [&str; 6] =
    ["value_count", "value_sum", "value_sum_of_squares", "value_min", "value_max", "value_last"];

/// A header, then one line a window. Quantiles take two columns each; an empty upper one: above one hour.
pub fn csv(windows: &[Window], levels: &[Level]) -> Vec<String> {
    let labels: BTreeSet<&str> = windows.iter().flat_map(|window| window.labels.keys().map(String::as_str)).collect();
    let quantiles =
        levels.iter().flat_map(|level| [format!("{}_us_lower", level.name), format!("{}_us_upper", level.name)]);
    let mut header: Vec<String> = vec!["sli".to_owned()];
    header.extend(labels.iter().map(|label| (*label).to_owned()));
    header.extend(["start", "end", "good", "total", "failed", "unjudged"].map(str::to_owned));
    header.extend(quantiles);
    let with_values = windows.iter().any(|window| window.values.is_some());
    if with_values {
        header.extend(VALUE_COLUMNS.map(str::to_owned));
    }
    header.extend(["coverage", "complete"].map(str::to_owned));
    let mut lines = vec![csv_line(&header)];
    for window in windows {
        let mut fields = vec![window.sli.clone()];
        fields.extend(labels.iter().map(|label| window.labels.get(*label).cloned().unwrap_or_default()));
        fields.extend([rfc3339_text(window.start), rfc3339_text(window.end)]);
        fields.extend([window.good, window.total, window.failed, window.unjudged].map(|count| count.to_string()));
        for level in levels {
            let bounds = bounds_of(window, level);
            fields.push(bounds.map_or_else(String::new, |bounds| bounds.lower.to_string()));
            fields.push(bounds.and_then(|bounds| bounds.upper).map_or_else(String::new, |upper| upper.to_string()));
        }
        if with_values {
            fields.extend(window.values.map_or_else(
                || vec![String::new(); VALUE_COLUMNS.len()],
                |values| {
                    let ValueSummary { count, sum, sum_of_squares, min, max, last } = values;
                    let numbers = [count.into(), sum, sum_of_squares, min.into(), max.into(), last.into()];
                    numbers.map(|number: i128| number.to_string()).into()
                },
            ));
        }
        fields.extend([window.coverage.as_str().to_owned(), window.complete.to_string()]);
        lines.push(csv_line(&fields));
    }
    lines
}

pub fn csv_line(fields: &[String]) -> String {
    let quoted = |field: &String| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    fields.iter().map(quoted).collect::<Vec<_>>().join(",")
}

fn bounds_of(window: &Window, level: &Level) -> Option<BoundsUs> {
    window.quantiles.iter().find(|(name, _)| *name == level.name).map(|(_, bounds)| *bounds)
}

/// A table per SLI: one line a group with its totals and charts over time; then, where they are few, the windows.
pub fn tables(windows: &[Window], totals: &[Window], levels: &[Level], window_us: i64, rows: bool) -> Vec<String> {
    let (Some(start), Some(end)) =
        (windows.iter().map(|window| window.start).min(), windows.iter().map(|window| window.end).max())
    else {
        return vec!["no windows: nothing matches, or nothing has been counted yet".to_owned()];
    };
    let span = Span { start, end, window_us };
    let mut lines = Vec::new();
    for (sli, groups) in grouped(windows) {
        let count: usize = groups.values().map(Vec::len).sum();
        lines.push(format!(
            "{}{sli}{:#}  {} to {}, windows of {}",
            Style::new().bold(),
            Style::new().bold(),
            rfc3339_text(start),
            rfc3339_text(end),
            duration_text(window_us)
        ));
        lines.extend(summary(sli, &groups, totals, levels, &span));
        lines.push(String::new());
        if rows || count <= ROWS_UNASKED {
            lines.extend(listing(&groups, levels, &span));
        } else {
            lines.push(format!("{count} windows; --rows lists them, --json and --csv write them for programs"));
        }
        lines.push(String::new());
    }
    let doubts = windows.iter().flat_map(|window| &window.lacks).map(ToString::to_string).collect::<BTreeSet<_>>();
    if !doubts.is_empty() {
        lines.push(format!("partial: {}; docs/windows.md explains", doubts.into_iter().collect::<Vec<_>>().join(", ")));
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

type Groups<'w> = BTreeMap<&'w BTreeMap<String, String>, Vec<&'w Window>>;

fn grouped(windows: &[Window]) -> BTreeMap<&str, Groups<'_>> {
    let mut slis: BTreeMap<&str, Groups<'_>> = BTreeMap::new();
    for window in windows {
        slis.entry(&window.sli).or_default().entry(&window.labels).or_default().push(window);
    }
    slis
}

struct Span {
    start: EventTime,
    end: EventTime,
    window_us: i64,
}

impl Span {
    /// Windows from the first to the last, the empty ones among them.
    fn windows(&self) -> usize {
        usize::try_from((self.end.0 - self.start.0) / self.window_us).unwrap_or(1).max(1)
    }

    fn columns(&self) -> usize {
        self.windows().min(CHART_COLUMNS)
    }

    fn column(&self, window: &Window) -> usize {
        let index = usize::try_from((window.start.0 - self.start.0) / self.window_us).unwrap_or_default();
        index * self.columns() / self.windows()
    }

    /// How many windows a column stands for: one more in some columns than in others.
    fn windows_in(&self, column: usize) -> usize {
        let first = |column: usize| (column * self.windows()).div_ceil(self.columns());
        first(column + 1) - first(column)
    }
}

fn summary(sli: &str, groups: &Groups<'_>, totals: &[Window], levels: &[Level], span: &Span) -> Vec<String> {
    let labels = label_names(groups);
    let with_values = have_values(groups);
    let mut header: Vec<Cell> = labels.iter().map(|label| Cell::left(*label)).collect();
    header.extend(["events", "per s"].map(Cell::right));
    header.extend(figure_names(with_values, levels));
    header.extend(["rate over time", if with_values { "mean over time" } else { "bad over time" }].map(Cell::left));
    let mut table = vec![header];
    for (group, windows) in groups {
        // The whole span is in one window, but for times before 1970.
        let Some(total) = totals.iter().rfind(|total| total.sli == sli && total.labels == **group) else { continue };
        let secs = (span.end.0 - span.start.0) as f64 / 1e6;
        let mut row: Vec<Cell> =
            labels.iter().map(|label| Cell::left(group.get(*label).map_or("-", String::as_str))).collect();
        row.push(Cell::right(thousands(total.total)));
        row.push(Cell::right(rate_text(total.total as f64 / secs)));
        row.extend(figures(with_values, total, levels));
        let (rates, bad) = charts(windows, span);
        row.extend([Cell::left(rates), Cell::left(if with_values { mean_chart(windows, span) } else { bad })]);
        table.push(row);
    }
    aligned(&table)
}

fn listing(groups: &Groups<'_>, levels: &[Level], span: &Span) -> Vec<String> {
    let labels = label_names(groups);
    let with_values = have_values(groups);
    let mut header: Vec<Cell> = vec![Cell::left("start")];
    header.extend(labels.iter().map(|label| Cell::left(*label)));
    header.extend(["events", "per s"].map(Cell::right));
    header.extend(figure_names(with_values, levels));
    header.push(Cell::left(""));
    let mut table = vec![header];
    for window in groups.values().flatten() {
        let mut row = vec![Cell::left(rfc3339_text(window.start))];
        row.extend(labels.iter().map(|label| Cell::left(window.labels.get(*label).map_or("-", String::as_str))));
        row.push(Cell::right(thousands(window.total)));
        row.push(Cell::right(rate_text(window.total as f64 / (span.window_us as f64 / 1e6))));
        row.extend(figures(with_values, window, levels));
        let mut remarks: Vec<String> = window.lacks.iter().map(ToString::to_string).collect();
        if !window.complete {
            remarks.push("open".to_owned());
        }
        row.push(Cell::left(remarks.join(" ")));
        table.push(row);
    }
    aligned(&table)
}

/// Scores and samples have a value, requests have a fate and a latency.
fn have_values(groups: &Groups<'_>) -> bool {
    groups.values().flatten().any(|window| window.values.is_some())
}

fn figure_names(with_values: bool, levels: &[Level]) -> Vec<Cell> {
    if with_values {
        return ["mean", "min", "max", "last"].map(Cell::right).into();
    }
    let names = levels.iter().map(|level| Cell::right(&level.name));
    ["good", "failed"].map(Cell::right).into_iter().chain(names).collect()
}

fn figures(with_values: bool, window: &Window, levels: &[Level]) -> Vec<Cell> {
    if with_values {
        let Some(values) = &window.values else { return ["-"; 4].map(Cell::right).into() };
        let mean = mean_of(values.sum, values.count);
        return [mean, values.min, values.max, values.last].map(|value| Cell::right(from_millionths(value))).into();
    }
    let mut cells = vec![good_cell(window), Cell::right(thousands(window.failed))];
    cells.extend(levels.iter().map(|level| Cell::right(latency_text(bounds_of(window, level)))));
    cells
}

/// In millionths, rounded down: for the eye.
fn mean_of(sum: i128, count: u64) -> i64 {
    i64::try_from(sum.div_euclid(i128::from(count.max(1)))).unwrap_or_default()
}

/// Means of the columns, from the smallest to the largest of them. A blank: no value.
fn mean_chart(windows: &[&Window], span: &Span) -> String {
    let mut columns = vec![(0_i128, 0_u64); span.columns()];
    for window in windows {
        if let Some(values) = &window.values {
            let (sum, count) = &mut columns[span.column(window)];
            *sum += values.sum;
            *count += values.count;
        }
    }
    let means: Vec<Option<i64>> =
        columns.iter().map(|(sum, count)| (*count > 0).then(|| mean_of(*sum, *count))).collect();
    let smallest = means.iter().flatten().min().copied().unwrap_or_default();
    let largest = means.iter().flatten().max().copied().unwrap_or_default();
    let range = (largest - smallest).max(1) as f64;
    means.iter().map(|mean| mean.map_or(' ', |mean| height((mean - smallest) as f64 / range))).collect()
}

fn label_names<'w>(groups: &Groups<'w>) -> Vec<&'w str> {
    let names: BTreeSet<&str> = groups.keys().flat_map(|labels| labels.keys().map(String::as_str)).collect();
    // The order in which people look for them.
    let mut ordered: Vec<&str> = ["tenant", "service", "metric", "instance", "route", "version"]
        .into_iter()
        .filter(|name| names.contains(name))
        .collect();
    ordered.extend(names.iter().filter(|name| !ordered.contains(name)).copied().collect::<Vec<_>>());
    ordered
}

/// Rates, scaled to the highest; and shares of bad events, scaled to the worst, or to [`NOTABLE`] where that is more. A
/// blank: no event.
fn charts(windows: &[&Window], span: &Span) -> (String, String) {
    let mut columns = vec![(0_u64, 0_u64); span.columns()];
    for window in windows {
        let (total, bad) = &mut columns[span.column(window)];
        *total += window.total;
        *bad += window.bad();
    }
    let rate = |column: usize, total: u64| total as f64 / span.windows_in(column) as f64;
    let highest =
        columns.iter().enumerate().map(|(column, (total, _))| rate(column, *total)).fold(f64::MIN_POSITIVE, f64::max);
    let worst = columns.iter().map(|(total, bad)| share(*bad, *total)).fold(NOTABLE, f64::max);
    let bar = |value: f64, total: u64| if total == 0 { ' ' } else { height(value) };
    let rates = columns.iter().enumerate().map(|(column, (total, _))| bar(rate(column, *total) / highest, *total));
    let bad = columns.iter().map(|(total, bad)| bar(share(*bad, *total) / worst, *total));
    (rates.collect(), bad.collect())
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn height(value: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    BARS[((value.clamp(0.0, 1.0) * 7.0).round()) as usize]
}

fn good_cell(window: &Window) -> Cell {
    let judged = window.total - window.unjudged;
    if judged == 0 {
        return Cell::right("-");
    }
    let bad = share(window.bad(), judged);
    // Rounding must not turn a failure into perfection.
    let text =
        if window.bad() > 0 && bad < 0.000_05 { "99.99+%".to_owned() } else { format!("{:.2}%", 100.0 * (1.0 - bad)) };
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let style = match bad {
        bad if bad >= ALARMING => colour(AnsiColor::Red),
        bad if bad >= NOTABLE => colour(AnsiColor::Yellow),
        _ => Style::new(),
    };
    Cell { style, ..Cell::right(text) }
}

pub struct Cell {
    pub text: String,
    pub right: bool,
    pub style: Style,
}

/// Names come from events, and so from anybody: what would steer a terminal is spelled out.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let spelled = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(spelled).collect())
}

impl Cell {
    pub fn left(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()).into_owned(), right: false, style: Style::new() }
    }

    pub fn right(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::left(text) }
    }
}

/// Columns as wide as their widest cell; the first line is a header.
pub fn aligned(table: &[Vec<Cell>]) -> Vec<String> {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |(number, row): (usize, &Vec<Cell>)| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let style = if number == 0 { cell.style.dimmed() } else { cell.style };
            let padding = " ".repeat(width - cell.text.chars().count());
            let (before, behind) = if cell.right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            // Codes around nothing would keep the blanks at the end of a line.
            let text = if cell.text.is_empty() { String::new() } else { format!("{style}{}{style:#}", cell.text) };
            line += &format!("  {before}{text}{behind}");
        }
        line.trim_end().to_owned()
    };
    table.iter().enumerate().map(line).collect()
}

pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn rate_text(per_s: f64) -> String {
    match per_s {
        rate if rate >= 100.0 => thousands(rate.round() as u64),
        rate if rate >= 1.0 => format!("{rate:.1}"),
        rate => format!("{rate:.3}"),
    }
}

/// The upper bound, which is never below the true value.
fn latency_text(bounds: Option<BoundsUs>) -> String {
    match bounds {
        None => "-".to_owned(),
        Some(BoundsUs { upper: None, .. }) => "> 1h".to_owned(),
        Some(BoundsUs { upper: Some(us), .. }) => match us {
            0..1_000 => format!("{us}us"),
            1_000..10_000 => format!("{:.1}ms", us as f64 / 1e3),
            10_000..1_000_000 => format!("{:.0}ms", us as f64 / 1e3),
            1_000_000..600_000_000 => format!("{:.2}s", us as f64 / 1e6),
            _ => format!("{:.1}min", us as f64 / 6e7),
        },
    }
}

fn duration_text(us: i64) -> String {
    [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s")]
        .into_iter()
        .find(|(unit_us, _)| us % unit_us == 0)
        .map_or_else(|| format!("{}ms", us / 1000), |(unit_us, unit)| format!("{}{unit}", us / unit_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamgauge_windows::{Fold, Label, Only, Query};

    fn fold() -> Fold {
        let mut fold = Fold::new(Only::default());
        let delta = |service: &str, batch: u64, n: u64, failed: u64| {
            let pane = 1_767_225_600_000_000 + 10_000_000 * batch;
            format!(
                r#"{{"type":"delta","tenant":"","service":"{service}","sli":"requests","labels":{{"route":"/a,\"b\""}},"group":"","pane":{pane},"pane_us":10000000,"source":"requests","partition":0,"generation":0,"batch":{batch},"bundle":"b","n":{n},"good":{},"failed":{failed},"unjudged":0,"latency":{{"sum_us":"9","min_us":9,"max_us":9,"overflow":0,"histogram":"CQE="}},"newest":{pane}}}"#,
                n - failed
            )
        };
        for (service, batch, n, failed) in
            [("cart", 0, 1200, 0), ("checkout", 0, 40, 1), ("cart", 6, 600, 60), ("cart", 18, 1, 0)]
        {
            fold.observe(0, delta(service, batch, n, failed).as_bytes()).expect("a delta");
        }
        fold
    }

    fn query(by: &[Label]) -> Query {
        let levels = Level::defaults();
        Query { length_us: 60_000_000, by: Some(by.to_vec()), sli: None, service: None, from: None, to: None, levels }
    }

    #[test]
    fn a_table_shows_totals_charts_and_windows() {
        let query = query(&[Label::Service]);
        let windows = query.windows(&fold()).expect("whole panes");
        let totals = query.whole_span(&fold()).expect("whole panes");
        let text = tables(&windows, &totals, &query.levels, query.length_us, false).join("\n");
        expect_test::expect![[r#"
            requests  2026-01-01T00:00:00Z to 2026-01-01T00:04:00Z, windows of 1m
              service   events  per s    good  failed  p50  p95  p99  rate over time  bad over time
              cart       1,801    7.5  96.67%      60  9us  9us  9us  █▅ ▁            ▁█ ▁
              checkout      40  0.167  97.50%       1  9us  9us  9us  █               █

              start                 service   events  per s     good  failed  p50  p95  p99
              2026-01-01T00:00:00Z  cart       1,200   20.0  100.00%       0  9us  9us  9us  open
              2026-01-01T00:01:00Z  cart         600   10.0   90.00%      60  9us  9us  9us  open
              2026-01-01T00:03:00Z  cart           1  0.017  100.00%       0  9us  9us  9us  open
              2026-01-01T00:00:00Z  checkout      40  0.667   97.50%       1  9us  9us  9us  open"#]]
        .assert_eq(&anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let query = query(&[Label::Service, Label::Named("route".to_owned())]);
        let windows = query.windows(&fold()).expect("whole panes");
        expect_test::expect![[r#"
            sli,route,service,start,end,good,total,failed,unjudged,p50_us_lower,p50_us_upper,p95_us_lower,p95_us_upper,p99_us_lower,p99_us_upper,coverage,complete
            requests,"/a,""b""",cart,2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,1200,1200,0,0,9,9,9,9,9,9,full,false"#]].assert_eq(&csv(&windows[..1], &query.levels).join("\n"));
    }

    #[test]
    fn numbers_read_well() {
        for (count, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), expected);
        }
        for (upper, expected) in [
            (Some(999), "999us"),
            (Some(1_500), "1.5ms"),
            (Some(15_000), "15ms"),
            (Some(1_500_000), "1.50s"),
            (Some(3_600_000_000), "60.0min"),
            (None, "> 1h"),
        ] {
            assert_eq!(latency_text(Some(BoundsUs { lower: 0, upper })), expected);
        }
    }
}
