"""Briefs delivered by a process that is killed (kill -9) at random moments until all are out: missed and doubled.

    python -m benchmarks.delivery_kill [--kills 40] [--points 10] [--seed 0]

Every message carries its key; the endpoint counts the keys that it sees. Missed must be 0. A message is doubled only
when the kill falls between its sending and its mark, so at most once a kill.
"""

from __future__ import annotations

import argparse
import http.server
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from insights_pipeline.brief.deliver import LEASE_NS
from insights_pipeline.lake import Lake, rows_to_table, today
from insights_pipeline.state import State, deliveries

CHILD = """
import sys, time
from insights_pipeline.brief.deliver import deliver_due
from insights_pipeline.lake import Lake
from insights_pipeline.notify import Outbound, Webhook
from insights_pipeline.state import State
lake, state, url, points, later = Lake(sys.argv[1]), State(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
hooks = [Webhook(f"p{n}", f"{url}/p{n}") for n in range(points)]
config = Outbound(hosts=("127.0.0.1",))
print("ready", flush=True)
deliver_due(lake, state, hooks, cadences=("daily",), when_quiet=True, config=config, max_age_days=99, seconds=600,
            now_ns=lambda: time.time_ns() + later)
"""


class Endpoint(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[Counter[tuple[str, str]]] = Counter()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen[(self.headers["Idempotency-Key"], self.path)] += 1
        time.sleep(0.05)  # an answer takes its time: where most kills fall
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--briefs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        state = f"sqlite:///{folder}/state.db"
        lake = Lake(str(Path(folder) / "lake"))
        days = [today() - timedelta(days=2 + n) for n in range(options.briefs)]
        lake.append("briefs", rows_to_table("briefs", [_brief(day) for day in days]))
        address = f"http://127.0.0.1:{server.server_port}"
        killed = runs = 0
        while True:
            later = str(
                runs * (LEASE_NS + 60 * 10**9)
            )  # each run finds the leases of the one before it run out
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, lake.uri, state, address, str(options.points), later],
                stdout=subprocess.PIPE,
            )
            runs += 1
            assert child.stdout is not None
            child.stdout.readline()
            if killed < options.kills:
                time.sleep(chance.uniform(0.0, 1.0))
                if child.poll() is None:
                    child.kill()
                    killed += 1
            code = child.wait()
            child.stdout.close()
            if code == 0:
                break
        rows = deliveries(State(state))
    wanted = options.briefs * options.points
    print(f"deliveries                 {wanted}")
    print(f"processes / killed         {runs} / {killed}")
    print(f"missed                     {wanted - len(Endpoint.seen)}")
    print(f"doubled                    {sum(Endpoint.seen.values()) - len(Endpoint.seen)} (at most {killed})")
    print(f"marked as sent             {sum(row.status == 'sent' for row in rows)}")
    server.shutdown()


def _brief(day: object) -> dict[str, object]:
    return {
        "date": day,
        "cadence": "daily",
        "window_first": day,
        "window_last": day,
        "status": "changed",
        "headline": "1 new change",
        "facts": "{}",
        "markdown": "# 1 new change\n",
    }


if __name__ == "__main__":
    main()
