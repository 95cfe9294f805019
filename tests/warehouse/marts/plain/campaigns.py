"""Campaigns, and what they brought, in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from tests.warehouse.marts.plain.common import Row

_LEAST_CONTACTS = 10
_WINDOW = timedelta(hours=72)


def campaigns(
    messages: Iterable[Row], label_of: Callable[[Row], str | None], gap: timedelta
) -> list[list[Row]]:
    """The messages of each campaign, in order."""
    by_label: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(messages, key=lambda row: (row["sent_at"], row["message_key"])):
        label = label_of(row)
        if row["direction"] == "outbound" and row["message_type"] == "template" and label:
            by_label[row["channel_id"], label].append(row)
    found = []
    for rows in by_label.values():
        burst: list[Row] = []
        for row in rows:
            if burst and row["sent_at"] - burst[-1]["sent_at"] > gap:
                found.append(burst)
                burst = []
            burst.append(row)
        found.append(burst)
    return [
        burst for burst in found if len({row["contact_id"] for row in burst}) >= _LEAST_CONTACTS
    ]


def replies(messages: list[Row], bursts: list[list[Row]]) -> dict[str, str]:
    """By the key of a campaign's message the key of the reply to it."""
    sent: dict[str, list[tuple[datetime, datetime, str, int]]] = defaultdict(list)
    for number, burst in enumerate(bursts):
        for row in burst:
            if row["status"] != "failed":
                known = [at for at in (row.get("delivered_at"), row.get("read_at")) if at]
                arrived = min(known, default=row["sent_at"])
                place = (arrived, row["sent_at"], row["message_key"], number)
                sent[row["contact_id"]].append(place)
    found: dict[str, str] = {}
    replied: set[tuple[str, int]] = set()
    for row in sorted(messages, key=lambda row: (row["sent_at"], row["message_key"])):
        if row["direction"] != "inbound" or row["message_type"] == "reaction":
            continue
        before = [one for one in sent[row["contact_id"]] if one[0] <= row["sent_at"]]
        if not before:
            continue
        arrived, _, key, number = max(before)
        if row["sent_at"] - arrived <= _WINDOW and (row["contact_id"], number) not in replied:
            replied.add((row["contact_id"], number))
            found[key] = row["message_key"]
    return found
