#!/usr/bin/env python3
"""What budgets, burn rates, forecasts and alarms are at each grid point of 1,000 random histories, by fractions, integers
and lists that are summed anew at each point: it shares no code and no method with the crate.

    python3 histories.py            # writes histories.jsonl.gz beside this file; needs scipy
    python3 histories.py 17         # prints the history of one seed

A line is a history. Its input: `target`, `method`, `period`, `rules`, and `points`: [grid point in panes since 1970, changes],
where a change is [how many panes before the grid point its pane starts, bad, total]. What is expected: `transitions`, each
[number of the point, number of the rule, what], and at every fifth point `checks`: [number of the point, bad and total of the
period, remaining, for each rule long bad, long total, short bad, short total or null, forecast]. A forecast is null, "now",
"never" or seconds.

Where slo.md and semantics.md leave something open, the sentence that decides stands at the function.
"""

import gzip
import json
import random
import sys
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from multiprocessing import Pool
from pathlib import Path
from zoneinfo import ZoneInfo

from scipy.stats import binom

PANE = 10
QUARTER = 900
HOUR = 3600
DAY = 86_400
MILLIONTH_OF_MILLIONTHS = 10**12
HISTORIES = 1_000


# --- Windows, in seconds ---------------------------------------------------------------------------------------------


def floor_to(step, time):
    return time // step * step


def bucket_width(length):
    """The largest of 10 s, 1 m, 5 m, 15 m, 1 h not above max(10 s, L/360)."""
    limit = max(Fraction(PANE), Fraction(length, 360))
    return max(width for width in (10, 60, 300, 900, 3600) if width <= limit)


def window_start(length, now):
    return floor_to(bucket_width(length), now - length)


def events_between(panes, start, now):
    """Of panes within [start, now)."""
    inside = [counts for pane, counts in panes.items() if start <= pane and pane + PANE <= now]
    return sum(bad for bad, _ in inside), sum(total for _, total in inside)


def counted_items(method, panes, now):
    """What the method of budgeting counts at `now`, as (start, bad, total).

    A slice counts once it has ended. It is judged by all of its events that are known, so one that is late judges it anew.
    """
    if method["kind"] == "occurrences":
        return [(pane, bad, total) for pane, (bad, total) in panes.items() if pane + PANE <= now]
    width = method["width"]
    slices = {}
    for pane, counts in panes.items():
        slices.setdefault(floor_to(width, pane), []).append(counts)
    items = []
    for start, members in slices.items():
        bad, total = sum(bad for bad, _ in members), sum(total for _, total in members)
        if start + width > now or total == 0:
            continue
        if method["kind"] == "timeslices":
            is_good = Fraction(total - bad, total) >= Fraction(method["target"])
            items.append((start, 0 if is_good else 1, 1))
        else:
            # The nearest millionth of millionths to bad / total, and the upper one of two that are equally near.
            share = Fraction(bad, total) * MILLIONTH_OF_MILLIONTHS
            items.append((start, (2 * share + 1) // 2, MILLIONTH_OF_MILLIONTHS))
    return items


def items_between(items, start, end=None):
    """A slice lies in a window by its start."""
    inside = [(bad, total) for at, bad, total in items if at >= start and (end is None or at < end)]
    return int(sum(bad for bad, _ in inside)), sum(total for _, total in inside)


# --- Calendars -------------------------------------------------------------------------------------------------------


@lru_cache(None)
def boundary_of(zone_name, day):
    """The first instant whose local date is not before the day: tried minute by minute."""
    zone = ZoneInfo(zone_name)
    first = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) - 15 * HOUR
    for instant in range(first, first + 31 * HOUR, 60):
        if datetime.fromtimestamp(instant, zone).date() >= day:
            return instant
    raise AssertionError(f"no {day} in {zone_name}")


def date_of_span(calendar, index):
    anchor = date.fromisoformat(calendar["anchor"])
    count = index * calendar["count"]
    if calendar["unit"] != "months":
        return anchor + timedelta(days=count * (7 if calendar["unit"] == "weeks" else 1))
    months = anchor.year * 12 + anchor.month - 1 + count
    for day in range(anchor.day, 0, -1):
        try:
            return date(months // 12, months % 12 + 1, day)
        except ValueError:
            # The month is shorter than the anchor's day.
            continue
    raise AssertionError("each month has a first day")


def span_of(calendar, now):
    """The span that holds the last microsecond before `now`: what ends at a boundary belongs to the span before it."""
    return span_of_kept(json.dumps(calendar), now)


@lru_cache(4)
def span_of_kept(calendar, now):
    calendar = json.loads(calendar)
    index = -200 if calendar["unit"] == "months" else -800
    # By dates up to some days before, then by instants.
    before = datetime.fromtimestamp(now, timezone.utc).date() - timedelta(days=3)
    while date_of_span(calendar, index + 1) <= before:
        index += 1
    assert boundary_of(calendar["zone"], date_of_span(calendar, index)) < now
    while boundary_of(calendar["zone"], date_of_span(calendar, index + 1)) < now:
        index += 1
    start, end = (boundary_of(calendar["zone"], date_of_span(calendar, number)) for number in (index, index + 1))
    assert start < now <= end
    return start, end


# --- Budgets, burn rates, forecasts ----------------------------------------------------------------------------------


def period_start(period, now):
    if period["kind"] == "rolling":
        return window_start(period["length"], now)
    return floor_to(QUARTER, span_of(period, now)[0])


def remaining_share(history, period_tally, now):
    """1 - bad / (b n). By slices n is the number of all slices of the period, by events those that came."""
    bad, total = period_tally
    if history["method"]["kind"] == "timeslices":
        period = history["period"]
        length = period["length"] if period["kind"] == "rolling" else span_of(period, now)[1] - span_of(period, now)[0]
        total = length // history["method"]["width"]
    if total == 0:
        return None
    return 1 - Fraction(bad) / ((1 - Fraction(history["target"])) * total)


def burn_rate(target, tally):
    bad, total = tally
    return Fraction(bad, total) / (1 - Fraction(target))


def is_beyond_chance(target, factor, tally):
    bad, total = tally
    chance = Fraction(factor) * (1 - Fraction(target))
    if chance >= 1 or bad < 3:
        return False
    return total >= 1_000_000 or binom.sf(bad - 1, total, float(chance)) < 0.01


def buckets_of_period(period, items, now):
    """Width and (bad, total) of each bucket, oldest first; the last may be partly filled."""
    width = bucket_width(period["length"]) if period["kind"] == "rolling" else QUARTER
    starts = range(period_start(period, now), now, width)
    buckets = {start: [0, 0] for start in starts}
    for at, bad, total in items:
        bucket = buckets.get(floor_to(width, at))
        if bucket:
            bucket[0] += int(bad)
            bucket[1] += total
    return width, [buckets[start] for start in starts]


def forecast(history, items, now):
    """In seconds from now. Spent already at `slack` <= 0; but where nothing came in the last hours there is none."""
    period, allowed = history["period"], 1 - Fraction(history["target"])
    width, buckets = buckets_of_period(period, items, now)
    recent = buckets[-max(1, 6 * HOUR // width) :]
    recent_bad, recent_total = sum(bad for bad, _ in recent), sum(total for _, total in recent)
    if recent_total == 0:
        return None
    bad, total = Fraction(sum(bad for bad, _ in buckets)), Fraction(sum(total for _, total in buckets))
    if period["kind"] == "calendar":
        # Nothing leaves before the span ends. At the rate of the recent buckets b N will be allowed by then.
        seconds = len(recent) * width
        left = span_of(period, now)[1] - now
        unspent = allowed * (total + Fraction(recent_total, seconds) * left) - bad
        if unspent <= 0:
            return "now"
        if recent_bad == 0:
            return "never"
        reached = unspent / Fraction(recent_bad, seconds)
        return float(reached) if reached <= left else "never"
    # Average buckets come in as the oldest go out; all is scaled by their number, so that only integers are added.
    count, of = len(recent), Fraction(history["target"]).denominator
    allowed_of = int(allowed * of)
    bad, total = int(bad) * count, int(total) * count
    slack = allowed_of * total - of * bad
    if slack <= 0:
        return "now"
    for number, (old_bad, old_total) in enumerate(buckets):
        total += recent_total - count * old_total
        bad += recent_bad - count * old_bad
        next_slack = allowed_of * total - of * bad
        if next_slack <= 0:
            return float((number + Fraction(slack, slack - next_slack)) * width)
        slack = next_slack
    return "never"


# --- Rules -----------------------------------------------------------------------------------------------------------


def windows_of(rule, items, panes, now):
    """Long and short tally. An absence is one of events, whatever the budget counts."""
    if rule["kind"] == "burn":
        return [items_between(items, window_start(rule[name], now)) for name in ("long", "short")]
    if rule["kind"] == "absence":
        return [events_between(panes, window_start(rule[name], now), now) for name in ("within", "silent")]
    return None


def whole(history, tally):
    """Chance chooses among events or slices, not among the parts of slices."""
    if history["method"]["kind"] != "ratio_timeslices":
        return tally
    return [count // MILLIONTH_OF_MILLIONTHS for count in tally]


def verdict(history, rule, windows, remaining):
    """True: it holds. False: it is clear. None: it says nothing."""
    if rule["kind"] == "burn":
        long, short = windows
        if short[1] == 0:
            return None
        if any(burn_rate(history["target"], tally) <= Fraction(rule["factor"]) for tally in windows):
            return False
        # What may be chance neither fires nor resolves.
        return True if is_beyond_chance(history["target"], rule["factor"], whole(history, long)) else None
    if rule["kind"] == "remaining":
        if remaining is None:
            return None
        share = Fraction(rule["share"])
        if remaining < share or (share == 0 and remaining <= 0):
            return True
        return False if remaining >= Fraction(rule["clears_at"]) else None
    within, silent = windows
    if silent[1] > 0:
        return False
    return True if within[1] > 0 else None


def step(alarm, holds, pending_points):
    """The next [phase, points], and what to tell."""
    phase, points = alarm
    if holds is None:
        return alarm, None
    if phase == "firing":
        return (alarm, None) if holds else (["inactive", 0], "resolved")
    if not holds:
        return ["inactive", 0], "dropped" if phase == "pending" else None
    points += 1
    if points >= pending_points:
        return ["firing", 0], "fired"
    return ["pending", points], "pending" if phase == "inactive" else None


def expected(history):
    panes, alarms = {}, [["inactive", 0] for _ in history["rules"]]
    transitions, checks = [], []
    for number, (now, changes) in enumerate(history["points"]):
        now *= PANE
        for panes_ago, bad, total in changes:
            pane = now - panes_ago * PANE
            assert panes_ago >= 1
            before = panes.get(pane, (0, 0))
            panes[pane] = (before[0] + bad, before[1] + total)
            assert 0 <= panes[pane][0] <= panes[pane][1]
        items = counted_items(history["method"], panes, now)
        period_tally = items_between(items, period_start(history["period"], now))
        remaining = remaining_share(history, period_tally, now)
        windows = [windows_of(rule, items, panes, now) for rule in history["rules"]]
        for index, rule in enumerate(history["rules"]):
            holds = verdict(history, rule, windows[index], remaining)
            alarms[index], told = step(alarms[index], holds, rule["pending_points"])
            if told:
                transitions.append([number, index, told])
        if number % 5 == 0:
            left = None if remaining is None else float(remaining)
            tallies = [pair and [*pair[0], *pair[1]] for pair in windows]
            checks.append([number, *period_tally, left, tallies, forecast(history, items, now)])
    return {"transitions": transitions, "checks": checks}


# --- Random histories ------------------------------------------------------------------------------------------------

# Zones with an instant near which something happens to their days: summer time that begins or ends, at midnight or by half
# an hour, a day that never was, a clock that goes back just after midnight.
TURNS = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2025-11-02T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2025-10-04T15:30"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("America/Havana", "2025-03-09T05:00"),
    ("America/Havana", "2025-11-02T05:00"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),
    ("America/Sao_Paulo", "2018-02-18T02:00"),
    ("America/St_Johns", "2008-11-02T02:31"),
    ("America/St_Johns", "2008-03-09T03:31"),
    ("Asia/Kathmandu", "2026-01-01T18:15"),
    ("Pacific/Chatham", "2026-04-04T14:00"),
    ("Asia/Beirut", "2024-03-30T22:00"),
    ("UTC", "2024-02-29T00:00"),
    ("UTC", "2026-12-31T00:00"),
    ("Asia/Kolkata", "2026-06-30T18:30"),
]


def random_period(rng):
    """A period and an instant that is of interest to it."""
    if rng.random() < 0.6:
        lengths = [HOUR, HOUR, 4_000, 5_400, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, DAY, 36 * HOUR, 2 * DAY, 3 * DAY]
        return {"kind": "rolling", "length": rng.choice(lengths)}, 1_700_000_000 + rng.randrange(10**8)
    zone, turn = rng.choice(TURNS)
    near = int(datetime.fromisoformat(turn).replace(tzinfo=timezone.utc).timestamp())
    unit = rng.choice(["days", "days", "days", "weeks", "months", "months"])
    count = rng.choice([1, 1, 1, 1, 2, 3])
    anchor = datetime.fromtimestamp(near, timezone.utc).date() + timedelta(days=rng.randrange(-700, 700))
    if rng.random() < 0.4:
        # A boundary close to the turn.
        anchor = datetime.fromtimestamp(near, ZoneInfo(zone)).date() + timedelta(days=rng.randrange(0, 2))
    if unit == "months" and rng.random() < 0.3:
        anchor = date(rng.choice([2012, 2023, 2024]), 1, 31)
    return {"kind": "calendar", "unit": unit, "count": count, "anchor": anchor.isoformat(), "zone": zone}, near


def random_method(rng, period):
    kind = rng.choice(["occurrences", "occurrences", "timeslices", "ratio_timeslices"])
    if kind == "occurrences":
        return {"kind": kind}
    whole = period["length"] if period["kind"] == "rolling" else QUARTER
    width = rng.choice([width for width in (10, 20, 30, 60, 60, 90, 300, 300, 900, 3600) if whole % width == 0])
    method = {"kind": kind, "width": width}
    if kind == "timeslices":
        method["target"] = rng.choice(["0.5", "0.9", "0.95", "0.99", "0.999"])
    return method


def random_rules(rng, period, step_length):
    """Windows about as long as some steps of the grid, and some that are far longer or shorter."""
    rules = []
    for _ in range(rng.randrange(1, 4)):
        if rng.random() < 0.3:
            long, short = rng.choice([(HOUR, 300), (6 * HOUR, 1_800), (DAY, 2 * HOUR), (3 * DAY, 6 * HOUR)])
        else:
            panes = max(1, int(step_length / PANE * 2 ** rng.uniform(0, 6)))
            long, short = PANE * panes, PANE * max(1, int(panes / rng.choice([1, 2, 4, 6, 12])))
        factor = rng.choice(["14.4", "13.44", "6", "5.6", "3.5", "3", "2.8", "2", "1.4", "1", "1", "0.5"])
        rules.append({"kind": "burn", "long": long, "short": short, "factor": factor})
    for _ in range(rng.choice([0, 1, 1, 2])):
        share, clears_at = rng.choice([("0.1", "0.2"), ("0.1", "0.1"), ("0", "0.05"), ("0", "0"), ("0.5", "0.6"), ("0.25", "1")])
        rules.append({"kind": "remaining", "share": share, "clears_at": clears_at})
    if rng.random() < 0.6:
        silent = PANE * max(1, int(step_length / PANE * 2 ** rng.uniform(0, 3)))
        within = rng.choice([DAY, HOUR, 2 * silent, 20 * silent])
        rules.append({"kind": "absence", "silent": silent, "within": max(silent, within)})
    rng.shuffle(rules)
    for rule in rules:
        rule["pending_points"] = rng.choice([0, 1, 1, 2, 2, 3, 5])
    return rules


def random_count(rng, regime, allowed):
    """Bad and total of a pane."""
    volume, ratio = regime
    total = max(1, int(volume * rng.uniform(0.5, 1.5)))
    share = min(1.0, ratio if ratio >= 0.3 else ratio * allowed * 100)
    whole = int(total * share)
    return min(total, whole + (rng.random() < total * share - whole)), total


def random_regime(rng, volume, is_calm):
    """Events in a pane, and what share of them is bad: below 0.3 in hundredths of what is allowed.

    Most incidents spend all there is at once. Only where they are small is there something to foretell.
    """
    if is_calm:
        return volume, rng.choice([0.0, rng.uniform(0, 0.01), rng.uniform(0.01, 0.05)])
    return rng.choice(
        [
            (volume, rng.uniform(0, 0.01)),
            (volume, 0.0),
            (volume, rng.uniform(0.005, 0.03)),
            (volume, rng.uniform(0.03, 0.25)),
            (volume, 1.0),
            (volume, rng.uniform(0.3, 0.9)),
            (rng.choice([1, 2, 3, 10]), rng.choice([0.0, 0.02, 1.0])),
            None,
            None,
        ]
    )


def random_history(seed):
    rng = random.Random(seed)
    target = rng.choice(["0.5", "0.75", "0.9", "0.95", "0.99", "0.99", "0.995", "0.999", "0.999", "0.9995", "0.9999", "0.99999"])
    allowed = float(1 - Fraction(target))
    period, near = random_period(rng)
    method = random_method(rng, period)
    steps = rng.choice([[10], [10], [10, 20], [30], [60], [60, 10], [90], [300], [300, 10], [600, 900], [900], [1_800], [3_600], [3_600, 10], [7_200, 3_600], [10_800]])
    count = rng.randrange(40, 151)
    volume = rng.choice([2, 10, 100, 100, 1_000, 10_000, 300_000])
    may_be_late, may_take_back = rng.random() < 0.5, rng.random() < 0.1
    now = floor_to(max(steps) if rng.random() < 0.5 else PANE, near - int(count * max(steps) * rng.random()))
    is_calm = rng.random() < 0.4
    if is_calm and period["kind"] == "rolling" and period["length"] < 12 * HOUR:
        # In shorter periods nothing is foretold, since all of them is recent.
        period["length"] *= 12
    panes, points, regime, left = {}, [], random_regime(rng, volume, is_calm), rng.randrange(1, 20)
    rules = random_rules(rng, period, max(steps))
    reach = max([rule.get("long", 0) for rule in rules] + [period.get("length", DAY)])
    for number in range(count):
        step_length = rng.choice(steps)
        now += step_length
        changes = {}

        def add(pane, bad, total):
            pane = floor_to(PANE, pane)
            old, change = panes.get(pane, (0, 0)), changes.get(pane, (0, 0))
            if pane + PANE <= now and 0 <= old[0] + bad <= old[1] + total:
                panes[pane] = (old[0] + bad, old[1] + total)
                changes[pane] = (change[0] + bad, change[1] + total)

        if number == 0 and (is_calm or rng.random() < 0.6):
            # A past, with an incident in some of them.
            incident = rng.random() if rng.random() < 0.4 else 2
            for _ in range(rng.randrange(60, 150) if is_calm else rng.randrange(5, 80)):
                place = rng.random()
                past = (volume, 0.03 if is_calm else 1.0) if abs(place - incident) < 0.1 else (volume, rng.uniform(0, 0.01))
                add(now - int(reach * 1.1 * place) - PANE, *random_count(rng, past, allowed))
        left -= 1
        if left <= 0:
            regime, left = random_regime(rng, volume, is_calm), rng.choice([1, 2, 5, 10, 20])
        if regime is not None:
            for _ in range(min(step_length // PANE, rng.choice([1, 1, 2, 3]))):
                add(now - rng.randrange(1, step_length // PANE + 1) * PANE, *random_count(rng, regime, allowed))
        if may_be_late and rng.random() < 0.15:
            # Most of it not far back, some at the very edge of a window, some older than all of them.
            back = rng.choice(
                [
                    PANE * rng.randrange(1, 30),
                    int(reach * rng.random()),
                    now - window_start(rng.choice([rule.get("long", HOUR) for rule in rules]), now) + rng.choice([-PANE, 0, PANE]),
                    2 * reach + rng.randrange(DAY),
                ]
            )
            add(now - max(back, PANE), *random_count(rng, random_regime(rng, volume, is_calm) or (volume, 1.0), allowed))
        if may_take_back and panes and rng.random() < 0.1:
            pane = rng.choice(sorted(panes))
            add(pane, -panes[pane][0], -rng.choice([panes[pane][0], panes[pane][1]]))
        listed = [[(now - pane) // PANE, bad, total] for pane, (bad, total) in sorted(changes.items())]
        rng.shuffle(listed)
        points.append([now // PANE, listed])
    return {"seed": seed, "target": target, "method": method, "period": period, "rules": rules, "points": points}


def line(seed):
    history = random_history(seed)
    return json.dumps(history | expected(history), separators=(",", ":"))


def main():
    if len(sys.argv) > 1:
        print(line(int(sys.argv[1])))
        return
    with Pool(2) as pool:
        lines = pool.map(line, range(HISTORIES), chunksize=10)
    text = "".join(f"{line}\n" for line in lines).encode()
    # Without a time of writing, so that the same histories are the same bytes.
    (Path(__file__).parent / "histories.jsonl.gz").write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main()
