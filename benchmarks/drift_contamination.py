"""What becomes of a change that stays, one that ends, and one that a person accepts: the life cycle on simulated days.

    python -m benchmarks.drift_contamination [--seeds 12] [--first-seed 200] [--world base]

The days of a change must not become the baseline that hides it, nor leave behind a baseline that alarms when it ends.
Three stories, counted over drifts of intents with 100 traces a day or more that were detected within 15 days:
a shift that lasts, an incident that ends after 12 days, and a shift that a person accepts on the fifth day.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from benchmarks.drift_world import METRICS, START, WORLDS, Simulated, World, simulate
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.arrivals import Known
from insights_pipeline.drift.life.decisions import Decision
from insights_pipeline.drift.life.fold import fold_day
from insights_pipeline.drift.life.item import ACCEPT, ACCEPTED, NEW_ITEM, OPEN, RESOLVED, Item

ONSET, AFTER, INCIDENT_DAYS, ACCEPT_DAY = 45, 50, 12, 5
DRIFTING = 0.3  # of the intents: more stories a seed than the one in ten of the other figures
SETTLE = 7  # days folded before the change
LEAST_TRACES = 100
DETECTED_BY = 15
SPANS = ((3, 7), (8, 14), (15, 21), (22, 28), (29, 35))
# Drifts that last, of which quarantine is to keep sight (goals of the method's own measurements).
GOALS = (0.78, 0.95, 0.92, 0.86, 0.14)

Story = dict[int, Item]  # by day after the onset (1 is its first day)


@dataclass(slots=True)
class Tally:
    """Counts over seeds."""

    stories: list[Story] = field(default_factory=list)
    injected: int = 0
    false_items: int = 0
    null_days: int = 0
    seconds: float = 0.0


def run(
    world: World, seed: int, tally: Tally, decide: Callable[[int, Iterable[Item]], list[Decision]]
) -> None:
    """Fold the days of one seed and keep, of every drift that counts, the item of its series on each day."""
    simulated = simulate(world, seed)
    begin = time.perf_counter()
    wanted = {key for key in simulated.drifted if simulated.volume[key[0]] >= LEAST_TRACES}
    tally.injected += len(wanted)
    stories: dict[tuple[int, str], Story] = defaultdict(dict)
    items: Sequence[Item] = []
    decisions: list[Decision] = []
    seen: set[str] = set()
    for offset in range(ONSET - SETTLE, ONSET + AFTER):
        day = START + timedelta(days=offset)
        items = fold_day(simulated.panel, day, items, Known(None, {}, {}), decisions=decisions).items
        for item in items:
            key = _drift_of(item, simulated)
            if key is None:
                new = item.state in OPEN and item.item_id not in seen and _is_null(item, simulated)
                tally.false_items += new
                seen |= {item.item_id} if new else set()
            elif key in wanted and offset >= ONSET:
                stories[key][offset - ONSET + 1] = _later(stories[key].get(offset - ONSET + 1), item)
        current = [item for item in items if _drift_of(item, simulated) in wanted and item.state in OPEN]
        decisions = decisions + decide(offset - ONSET + 1, current)
    tally.null_days += int(simulated.known_null.sum()) * (SETTLE + AFTER)
    tally.stories += [story for story in stories.values() if _detected(story)]
    tally.seconds += time.perf_counter() - begin


def _drift_of(item: Item, simulated: Simulated) -> tuple[int, str] | None:
    key = (simulated.panel.series.index(item.series), family(item.metric))
    return key if key in simulated.drifted else None


def _is_null(item: Item, simulated: Simulated) -> bool:
    row = simulated.panel.series.index(item.series)
    return bool(simulated.known_null[row, METRICS.index(family(item.metric))])


def _later(before: Item | None, item: Item) -> Item:
    """Of several episodes of a series the one that goes on, else the latest."""
    if before is None:
        return item
    return max(before, item, key=lambda one: (one.state in OPEN, one.opened))


def _opened_by(story: Story, last: int) -> bool:
    return any(item.state in OPEN for day, item in story.items() if day <= last)


def _detected(story: Story) -> bool:
    return _opened_by(story, DETECTED_BY)


def _told_after(story: Story, day: int) -> bool:
    """Whether the brief gets a new line of the series after `day`."""
    return any(item.state == NEW_ITEM for at, item in story.items() if at > day)


def nobody(day: int, items: Iterable[Item]) -> list[Decision]:
    return []


def accepts(day: int, items: Iterable[Item]) -> list[Decision]:
    """A person who accepts on the fifth day whatever of the changes is open."""
    if day != ACCEPT_DAY:
        return []
    on = START + timedelta(days=ONSET + day)
    return [
        Decision(number, ACCEPT, item.series, item.metric, item.direction, on, "ada")
        for number, item in enumerate(items, 1)
    ]


def lasting(tally: Tally) -> None:
    print(f"A shift that lasts: {len(tally.stories)} of {tally.injected} detected within {DETECTED_BY} days")
    for (first, last), goal in zip(SPANS, GOALS, strict=True):
        open_days = [
            np.mean([story[day].state in OPEN if day in story else False for day in range(first, last + 1)])
            for story in tally.stories
        ]
        print(
            f"  open item on days {first:>2}-{last:<3} {np.mean(open_days):.2f}   (measured before: {goal:.2f})"
        )
    closed = [(story, day) for story in tally.stories if (day := _first(story, ACCEPTED)) is not None]
    again = sum(_told_after(story, day) for story, day in closed)
    print(
        f"  accepted after 30 open days: {len(closed)} of {len(tally.stories)}; told again after that: {again}"
    )
    one = sum(
        len({item.item_id for item in story.values() if item.state in OPEN}) == 1 for story in tally.stories
    )
    print(f"  one item from first to last: {one} of {len(tally.stories)}")


def incident(tally: Tally) -> None:
    delays = []
    for story in tally.stories:
        day = _first(story, RESOLVED, after=INCIDENT_DAYS)
        if day is not None:
            delays.append((day - INCIDENT_DAYS, _told_after(story, day)))
    days = np.array([delay for delay, _ in delays])
    told = sum(again for _, again in delays)
    print(
        f"An incident of {INCIDENT_DAYS} days: {len(tally.stories)} of {tally.injected} detected,"
        f" {len(delays)} resolved after its end, median {np.median(days):.0f}, p90 {np.quantile(days, 0.9):.0f}"
        f" days (before: 9, 10);"
        f" told again later {told / max(1, len(delays)):.0%} (before: 5 %)"
    )


def accepted(tally: Tally) -> None:
    taken = [
        (story, day)
        for story in tally.stories
        if (day := _first(story, ACCEPTED)) is not None and day <= ACCEPT_DAY + 1
    ]
    again = sum(_told_after(story, day) for story, day in taken)
    print(
        f"A shift accepted on day {ACCEPT_DAY}: {len(taken)} were open by then; told again in the"
        f" {AFTER - ACCEPT_DAY} days after: {again}"
    )


def _first(story: Story, state: str, *, after: int = 0) -> int | None:
    return next((day for day in sorted(story) if day > after and story[day].state == state), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=sorted(WORLDS), default="base")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--story", choices=("lasting", "incident", "accepted"), help="only this one")
    options = parser.parse_args()
    world = replace(WORLDS[options.world], days=ONSET + AFTER, onset=ONSET, drifting=DRIFTING)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print(
        f"world {options.world}, seeds {seeds.start}-{seeds.stop - 1}, drifts of intents >= {LEAST_TRACES}/day"
    )
    stories = (
        (lasting, world, nobody),
        (incident, replace(world, reverts=INCIDENT_DAYS), nobody),
        (accepted, world, accepts),
    )
    for report, of, decide in stories:
        if options.story not in (None, report.__name__):
            continue
        tally = Tally()
        for seed in seeds:
            run(of, seed, tally, decide)
        report(tally)
        rate = 1000 * tally.false_items / max(1, tally.null_days)
        print(f"  items of unchanged series: {rate:.3f} per 1,000 series-days; {tally.seconds:.0f} s")


if __name__ == "__main__":
    main()
