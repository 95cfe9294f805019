"""What `hatif status` says in words: why lists are due, and the next thing to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipelines.terminal import count, printable

#: Why a list is read, see `hatif.sink.Target`.
REASONS = {
    "new": "never read before",
    "changed": "its conversation or contact changed",
    "hint": "a webhook named it",
    "requested": "requested by hand",
    "step": "it holds an event that can still change",
    "sample": "to prove that webhooks report what changed",
    "check": "to confirm what was read",
    "head": "for what came since",
    "interval": "its turn to be read in full",
    "full": "a full sync",
}


def legend(reasons: Iterable[str]) -> str:
    """Return what some reasons mean, in the order of their kind; empty without any."""
    given = set(reasons)
    known = [f"{name} = {words}" for name, words in REASONS.items() if name in given]
    return f"Why lists are read: {'; '.join(known)}." if known else ""


def next_step(found: dict[str, Any]) -> str:
    """Return the most urgent thing to do.

    Args:
        found: what `pipelines.status.gather` returns.
    """
    streams = found["streams"].values()
    last = found["runs"][0] if found["runs"] else None
    if last is None or all(one["last_success"] is None for one in streams):
        return "Next: hatif doctor, then hatif sync; nothing was read yet."
    if outage := found["outage"]:
        return (
            f"Next: nothing could be read since {outage['since']:%Y-%m-%d %H:%M} UTC; hatif doctor "
            f"finds causes. The last run: {printable(outage['error'])}"
        )
    if last["status"] == "failed":
        return "Next: the last run failed, its error is above; hatif doctor finds causes."
    if rejects := found["rejects_unacknowledged"]:
        return f"Next: hatif rejects shows the {count(rejects, 'record')} set aside, and why."
    due = sum(sum(one["backlog"].values()) for one in streams)
    if not due:
        return "Nothing is due."
    per_minute = found["requests_per_minute"]
    takes = f", in {count(-(-due // per_minute), 'minute')} or more" if per_minute else ""
    return f"Next: hatif sync reads the {count(due, 'list')} due{takes}."
