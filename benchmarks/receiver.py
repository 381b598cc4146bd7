"""The receiver under load, kill -9, overload and hostile bodies: real processes, real HTTP, a real lake.

    python -m benchmarks.receiver [throughput] [kill] [overload] [hostile] [--json]
        [--spans 1000000] [--span-bytes 5000] [--gzip] [--kills 100] [--seconds 60] [--bodies 10000] [--seed 0]

Without names all four. Exit code 1 when what must hold did not: every acknowledged span is in the lake exactly once,
answers under overload are 200 and 503 alone, memory is bounded, no body makes it fail. Rates are those of a machine
that also runs the load, in a process of its own; spans per core-second are not affected by that.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.hostile_bodies import Client, Sample, mutated, request
from benchmarks.hostile_bombs import bombs, towers
from benchmarks.receiver_load import Load, LoadProcess, Outcome, missing_and_repeated
from benchmarks.receiver_process import ReceiverProcess
from insights_pipeline.lake import Lake, Slice

_PORT = 24_318
_FIRST = 10**9
# Above the receiver at rest: what is under way (256 MiB), what waits for a sync (128 MiB), and their copies.
_OVERLOAD_MB = 700
_GROWTH_MB = 32
_PEAK_MB = 1_000


@dataclass
class Result:
    """Figures by name in the order to show them, and what did not hold."""

    name: str
    figures: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            self.failures.append(what)

    def stored(self, receiver: ReceiverProcess, outcome: Outcome, *, only: bool) -> None:
        """Acknowledged = stored, each once; `only`: and nothing else."""
        acknowledged = outcome.spans("acknowledged")
        missing, repeated, stored = missing_and_repeated(receiver.lake_uri, outcome.acknowledged)
        self.figures |= {
            "spans acknowledged": acknowledged,
            "spans in the lake": stored,
            "acknowledged but not in the lake": missing,
            "more than once in the lake": repeated,
        }
        self.must(missing == 0, "acknowledged spans are missing")
        self.must(repeated == 0, "spans are in the lake more than once")
        self.must(not only or stored == acknowledged, "the lake has spans that were not acknowledged")

    def resources(self, receiver: ReceiverProcess) -> None:
        self.figures |= {
            "peak MiB of the door": round(receiver.door.peak_mb),
            "peak MiB of the drain": round(receiver.drain.peak_mb),
        }


def throughput(options: argparse.Namespace, home: Path) -> Result:
    """So many spans as fast as they are taken; then until all are in the lake."""
    result = Result("throughput")
    receiver = ReceiverProcess(home, port=_PORT)
    receiver.start()
    _wait_for_drain(receiver, spans=0)
    time.sleep(1)
    at_rest = (receiver.door.cpu_seconds, receiver.drain.cpu_seconds)
    load = Load(
        _PORT,
        _FIRST,
        options.spans,
        span_bytes=options.span_bytes,
        is_gzip=options.gzip,
        connections=options.connections,
    )
    outcome = LoadProcess(load).outcome()
    waited = _wait_for_drain(receiver, spans=outcome.spans("acknowledged"))
    door, drain = receiver.door.cpu_seconds - at_rest[0], receiver.drain.cpu_seconds - at_rest[1]
    code = receiver.stop()
    count = outcome.spans("acknowledged")
    result.figures |= {
        "spans/s acknowledged": round(count / outcome.seconds),
        "requests/s": round(len(outcome.acknowledged) / outcome.seconds, 1),
        "MB/s on the wire": round(outcome.bytes / 1e6 / outcome.seconds),
        "ms to acknowledge, p50": round(float(np.percentile(outcome.milliseconds, 50)), 1),
        "ms to acknowledge, p99": round(float(np.percentile(outcome.milliseconds, 99)), 1),
        "s from the last acknowledgement to the lake": round(waited, 1),
        "CPU s of the door": round(door, 1),
        "CPU s of the drain": round(drain, 1),
        "spans per core-second, door": round(count / door),
        "spans per core-second, drain": round(count / drain),
        "spans per core-second to the lake": round(count / (door + drain)),
        "answers": outcome.statuses,
    }
    result.resources(receiver)
    result.stored(receiver, outcome, only=True)
    result.must(code == 0, f"exit code {code} after SIGTERM")
    result.must(set(outcome.statuses) <= {"200", "503"}, "answers other than 200 and 503")
    return result


def kill(options: argparse.Namespace, home: Path) -> Result:
    """kill -9 of the door, the drain or both at random moments under load, some of them while it starts."""
    result = Result("kill")
    rng = random.Random(options.seed)
    receiver = ReceiverProcess(home, port=_PORT, environment={"INSIGHTS_DRAIN_SECONDS": "0.5"})
    receiver.start()
    load = LoadProcess(Load(_PORT, _FIRST, span_bytes=1_500, batch=32, again=False, pause_seconds=0.02))
    killed: Counter[str] = Counter()
    while killed.total() < options.kills:
        victim = rng.choice(("door", "drain", "both"))
        time.sleep(rng.uniform(0.0, 2.5))
        if victim == "drain":
            killed[victim] += receiver.kill_drain()
            continue
        receiver.kill_door() if victim == "door" else receiver.kill_both()
        killed[victim] += 1
        receiver.start(wait=rng.random() < 0.8)
    receiver.wait_until_ready()
    load.stop()
    outcome = load.outcome()
    _wait_for_drain(receiver)
    code = receiver.stop()
    result.figures |= {"kills": dict(killed), "answers": outcome.statuses}
    result.figures["spans without an answer (stored once or not at all)"] = outcome.spans("unknown")
    result.stored(receiver, outcome, only=False)
    result.must(code == 0, f"exit code {code} after SIGTERM")
    return result


def overload(options: argparse.Namespace, home: Path) -> Result:
    """For a minute more than ten times what the drain takes, on a log of 16 MiB; nobody sends again."""
    result = Result("overload")
    receiver = ReceiverProcess(
        home, port=_PORT, environment={"INSIGHTS_MAX_BACKLOG_MB": "16", "INSIGHTS_DRAIN_SECONDS": "10"}
    )
    receiver.start()
    at_rest = receiver.rss_mb()
    load = Load(
        _PORT,
        _FIRST,
        seconds=options.seconds,
        span_bytes=options.span_bytes,
        batch=256,
        connections=16,
        again=False,
    )
    outcome = LoadProcess(load).outcome()
    _wait_for_drain(receiver)
    code = receiver.stop()
    sent = sum(outcome.spans(what) for what in ("acknowledged", "refused", "unknown"))
    result.figures |= {
        "spans sent": sent,
        "spans refused (503)": outcome.spans("refused"),
        "sent / acknowledged": round(sent / max(1, outcome.spans("acknowledged")), 1),
        "answers": outcome.statuses,
    }
    result.resources(receiver)
    result.stored(receiver, outcome, only=True)
    result.must(set(outcome.statuses) == {"200", "503"}, "answers are not 200 and 503 alone")
    result.must(sent == outcome.spans("acknowledged") + outcome.spans("refused"), "sent ≠ stored + refused")
    result.must(receiver.door.peak_mb < at_rest + _OVERLOAD_MB, f"more than {_OVERLOAD_MB} MiB above rest")
    result.must(code == 0, f"exit code {code} after SIGTERM")
    return result


def hostile(options: argparse.Namespace, home: Path) -> Result:
    """Damaged bodies, bombs and towers, with good bodies in between; all of it also through the drain."""
    result = Result("hostile")
    receiver = ReceiverProcess(home, port=_PORT)
    receiver.start()
    rng = random.Random(f"good {options.seed}")  # no id of a damaged body
    client = Client(_PORT)
    good: set[str] = set()
    _send(client, mutated(300, seed=options.seed + 1), good, rng)
    before = receiver.rss_mb()
    answers = _send(client, mutated(options.bodies, seed=options.seed), good, rng)
    growth = receiver.rss_mb() - before
    worst: dict[str, int] = {}
    for sample in [*bombs(), *towers()]:
        receiver.forget_peak()
        at_rest = receiver.rss_mb()
        answers += _send(client, [sample], good, rng)
        worst[sample.name] = round(receiver.recent_peak_mb() - at_rest)
    client.close()
    after = receiver.rss_mb() - before
    waited = _wait_for_drain(receiver)
    code = receiver.stop()
    lake = Lake(receiver.lake_uri)
    names = sorted(worst, key=lambda name: -worst[name])[:5]
    stored = Counter(lake.read(Slice("spans", columns=("span_id",))).column("span_id").to_pylist())
    result.figures |= {
        "answers": dict(sorted(answers.items())),
        "MiB grown by damaged bodies": round(growth, 1),
        "MiB grown by these and the bombs": round(after, 1),
        "MiB at the peak, worst bombs": {name: worst[name] for name in names},
        "s the drain took after the last one": round(waited, 1),
        "good spans sent between": len(good),
        "good spans missing": sum(span not in stored for span in good),
        "good spans more than once": sum(stored[span] > 1 for span in good),
        "rejects": lake.row_count("rejects"),
    }
    result.resources(receiver)
    result.must(set(answers) <= {200, 400, 413, 415}, "answers other than 200, 400, 413, 415")
    result.must(growth <= _GROWTH_MB, f"grew by more than {_GROWTH_MB} MiB")
    result.must(max(worst.values()) <= _PEAK_MB, f"a bomb took more than {_PEAK_MB} MiB")
    result.must(all(stored[span] == 1 for span in good), "good spans are missing or there twice")
    result.must(lake.row_count("rejects") > 0, "nothing was rejected")
    result.must(code == 0, f"exit code {code} after SIGTERM")
    return result


def _send(client: Client, samples: Iterable[Sample], good: set[str], rng: random.Random) -> Counter[int]:
    """Statuses of the samples; after every fiftieth, and the last one, a good body must be taken."""
    found: Counter[int] = Counter()
    for number, sample in enumerate(samples):
        found[client.status(sample)] += 1
        if number % 50 == 0:
            message = request(rng, 3)
            if client.status(Sample("good", message.SerializeToString())) != 200:
                raise SystemExit(f"a good body was not taken after {sample.name}")
            good |= {span.span_id.hex() for span in message.resource_spans[0].scope_spans[0].spans}
    return found


def _wait_for_drain(receiver: ReceiverProcess, *, spans: int | None = None, seconds: float = 900) -> float:
    """Until the log is in the lake (so many spans, or all there is); gives the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        state = receiver.drain_state()
        if state and (state["spans"] >= spans if spans is not None else receiver.backlog_bytes() == 0):
            return time.monotonic() - began
        time.sleep(0.1)
    raise SystemExit(f"the drain did not end within {seconds:.0f} s:\n{receiver.log[-4000:]}")


RUNS: dict[str, Callable[[argparse.Namespace, Path], Result]] = {
    run.__name__: run for run in (throughput, kill, overload, hostile)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", metavar="|".join(RUNS))
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--span-bytes", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.runs) - set(RUNS):
        parser.error(f"{', '.join(sorted(unknown))}: choose among {', '.join(RUNS)}")
    results = []
    for name in options.runs or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            results.append(RUNS[name](options, Path(folder)))
        if not options.json:
            _show(results[-1])
    if options.json:
        print(json.dumps([vars(result) for result in results], indent=2))
    return int(any(result.failures for result in results))


def _show(result: Result) -> None:
    print(f"\n{result.name}")
    for name, value in result.figures.items():
        text = f"{value:,}" if isinstance(value, (int, float)) else json.dumps(value, ensure_ascii=False)
        print(f"  {name:<52} {text:>14}")
    for failure in result.failures:
        print(f"  FAILED: {failure}")
    if not result.failures:
        print("  all that must hold did")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
