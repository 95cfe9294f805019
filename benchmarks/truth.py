"""``python -m benchmarks.truth``: the acceptance tests' comparison at full size, three tempers.

3,000 contacts, 3,000 conversations, 60,000 events: as the service is live, in PascalCase, and with
one request in ten going wrong. Prints what differs from the server's truth, and how long it took.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rehearsal import Quirks, RehearsalServer, WorldSpec
from tests.comparison import differences, stored
from warehouse.settings.environment import Settings

_TEMPERS = {
    "as it is live": (Quirks(), 0.0),
    "PascalCase": (Quirks(casing="pascal"), 0.0),
    "faults at 10 %": (Quirks(), 0.10),
}


def _sync(server: RehearsalServer, home: str) -> tuple[int, float]:
    """Run ``hatif sync --full`` and return its exit status and seconds."""
    environment = {
        **os.environ,
        "HATIF_HOME": home,
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": "0",
    }
    began = time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).with_name("hatif"), "sync", "--full"],
        env=environment,
        capture_output=True,
        check=False,
    )
    return done.returncode, time.monotonic() - began


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contacts", type=int, default=3_000)
    parser.add_argument("--events", type=int, default=60_000)
    options = parser.parse_args()
    spec = WorldSpec(
        contacts=options.contacts, conversations=options.contacts, events=options.events
    )
    wrong = 0
    for name, (quirks, rate) in _TEMPERS.items():
        with tempfile.TemporaryDirectory() as home, RehearsalServer(spec, quirks) as server:
            if rate:
                server.fault_rate(rate, seed=3)
            status, seconds = _sync(server, home)
            settings = Settings.load(home=Path(home))
            found = differences(settings, server)
            verdicts = stored(
                settings, "SELECT verdict, count(*) AS n FROM ops.scans GROUP BY verdict"
            )
            faults = sum(request.fault is not None for request in server.requests)
        print(
            f"{name}: exit {status}, {len(found)} differences, {seconds:.0f} s, {faults} faults, "
            f"scans { ({row['verdict']: row['n'] for row in verdicts}) }",
            *found,
            sep="\n  ",
            flush=True,
        )
        wrong += bool(found) or status != 0
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
