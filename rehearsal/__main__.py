"""``python -m rehearsal``: the server in the foreground, one line when it is ready."""

import argparse
import sys
from pathlib import Path

from rehearsal.server import PortUnavailable, RehearsalServer, serve
from rehearsal.spec import Quirks, WorldSpec


def announcement(server: RehearsalServer) -> str:
    """The one line: where it is, and how to get in."""
    return (
        f"rehearsal server on {server.url} "
        f"client_id={server.client_id} client_secret={server.client_secret}"
    )


def _arguments() -> argparse.Namespace:
    spec = WorldSpec()
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--seed", type=int, default=spec.seed)
    parser.add_argument("--contacts", type=int, default=spec.contacts)
    parser.add_argument("--conversations", type=int, default=spec.conversations)
    parser.add_argument("--events", type=int, default=spec.events)
    parser.add_argument("--campaigns", action="store_true", help="templates were sent to many")
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument("--casing", choices=("camel", "pascal"), default="camel")
    parser.add_argument("--page-cap", type=int, help="a silent maximum of rows a page")
    parser.add_argument("--webhook-dir", type=Path, help="where control requests may write files")
    return parser.parse_args()


def main() -> None:
    """Read the arguments and serve until interrupted."""
    given = _arguments()
    quirks = Quirks(casing=given.casing, page_cap=given.page_cap)

    def announce(server: RehearsalServer) -> None:
        sys.stdout.write(announcement(server) + "\n")
        sys.stdout.flush()

    try:
        spec = WorldSpec(
            seed=given.seed,
            contacts=given.contacts,
            conversations=given.conversations,
            events=given.events,
            campaigns=given.campaigns,
        )
        serve(spec, quirks, given.port, given.faults, announce, webhook_dir=given.webhook_dir)
    except (PortUnavailable, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
