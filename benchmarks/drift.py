"""False alarms, false discoveries and power of the drift policy, beside rules of thumb and other libraries.

    python -m benchmarks.drift [--world base|calm|rough|gappy|few|many|rare] [--seeds 4] [--first-seed 9000] [--jobs 2]
    python -m benchmarks.drift_peers --install     # once, then: python -m benchmarks.drift --peers --seeds 2

Constants were chosen on seeds 0 to 59; judge on others. About 15 CPU seconds a seed of 60
intents. The world is described in `drift_world.py`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks import drift_detectors, drift_peers, drift_score
from benchmarks.drift_score import Score
from benchmarks.drift_world import DAYS, ONSET, SCORED_FROM, WORLDS, simulate


def measure(world: str, seed: int, *, peers: bool = False) -> dict[str, Score]:
    """The counts of one seed by detector."""
    simulated = simulate(WORLDS[world], seed, raw=peers)
    found = {"life cycle (items)": drift_detectors.life_cycle(simulated)}
    found |= drift_detectors.triggers(simulated)
    found |= {"fixed 20 % / JS .1": drift_detectors.fixed(simulated)}
    found |= {"3 sigma": drift_detectors.sigmas(simulated)}
    if peers:
        found |= drift_peers.detect(simulated)
    scores = {label: Score() for label in found}
    for label, one in found.items():
        scores[label].add(simulated, one)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", choices=sorted(WORLDS), default="base")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=9000)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, one process each")
    parser.add_argument("--effects", action="store_true", help="power by effect and volume")
    parser.add_argument("--peers", action="store_true", help="Evidently and NannyML as well, minutes a seed")
    options = parser.parse_args()
    if options.peers and not drift_peers.is_installed():
        parser.error(f"the peers are not installed: {drift_peers.HOW_TO_INSTALL}")
    scores: dict[str, Score] = defaultdict(Score)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(partial(measure, options.world, peers=options.peers), seeds):
            for label, score in found.items():
                scores[label].merge(score)
    print(
        f"world {options.world}, {options.seeds} seeds from {options.first_seed},"
        f" changes on day {ONSET} of {DAYS}, scored from day {SCORED_FROM}; power by day 1/3/7/15"
    )
    print(drift_score.HEADER)
    for label, score in scores.items():
        print(score.line(label))
    for line in drift_score.goals(options.world, scores["any of A to E"], scores["life cycle (items)"]):
        print(line)
    if options.effects:
        print("\n".join(drift_score.by_effect(scores["any of A to E"])))


if __name__ == "__main__":
    main()
