"""What ``marts.campaigns`` and ``marts.campaign_messages`` must hold, of campaigns that were sent.

What belongs to a campaign is known from its sending; how its messages fared, what came back and
when we answered, from the truth of messages and calls. Ids of campaigns are the warehouse's own:
rows name their campaign by the key of its plan.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import timedelta
from statistics import median
from typing import Any

from rehearsal.campaigns import TEMPLATES, Plan
from rehearsal.webhooks.ledger import Ledger
from rehearsal.webhooks.truth_calls import calls
from rehearsal.webhooks.truth_messages import messages
from rehearsal.world import World

Row = dict[str, Any]

_LEAST_CONTACTS = 10
_DAY, _WINDOW = timedelta(hours=24), timedelta(hours=72)
_SESSION_GAP = timedelta(hours=24)


def campaign_messages(
    world: World, ledger: Ledger, timelines: Collection[str] | None
) -> Iterator[Row]:
    """Rows of ``marts.campaign_messages``; ``campaign`` is the key of its plan."""
    said = sorted(
        messages(world, ledger, timelines), key=lambda row: (row["sent_at"], row["message_key"])
    )
    plans = {
        event.id: sent.plan
        for sent in world.campaigns
        if len({event.conversation.contact.id for event in sent.events}) >= _LEAST_CONTACTS
        for event in sent.events
    }
    rows = {
        row["message_key"]: _message(row, plans[row["event_id"]])
        for row in said
        if row["event_id"] in plans and _is_known(row, plans[row["event_id"]])
    }
    _note_failures(said, rows)
    made = list(calls(world, ledger, timelines))
    _note_replies(said, made, rows)
    _note_calls(made, rows)
    yield from rows.values()


def campaigns(world: World, ledger: Ledger, timelines: Collection[str] | None) -> Iterator[Row]:
    """Rows of ``marts.campaigns``, without costs; ``charged`` are those that perhaps cost."""
    by_campaign: dict[str, list[Row]] = defaultdict(list)
    for row in campaign_messages(world, ledger, timelines):
        by_campaign[row["campaign"]].append(row)
    plans = {sent.plan.key: sent.plan for sent in world.campaigns}
    for key, rows in by_campaign.items():
        yield _campaign(plans[key], rows)


def _is_known(row: Row, plan: Plan) -> bool:
    """Whether it can be known for a template: by a webhook, or by its name."""
    return row["message_type"] == "template" or bool(plan.template or plan.logged)


def _message(row: Row, plan: Plan) -> Row:
    received = [at for at in (row["delivered_at"], row["read_at"]) if at]
    is_failed = row["status"] == "failed"
    return {
        "message_key": row["message_key"],
        "campaign": plan.key,
        "channel_id": row["channel_id"],
        "contact_id": row["contact_id"],
        "conversation_id": row["conversation_id"],
        "template": plan.logged[1] if plan.logged else plan.template or None,
        "sent_at": row["sent_at"],
        "arrived_at": None if is_failed else min(received, default=row["sent_at"]),
        "status": row["status"],
        "error_code": row["error_code"] if is_failed else None,
        "has_failed_before": False,
        "reply_key": None,
        "replied_at": None,
        "reply_seconds": None,
        "response_seconds": None,
        "calls": 0,
        "is_charged": row["is_charged"],
    }


def _note_failures(said: list[Row], rows: dict[str, Row]) -> None:
    """Which contacts an earlier template of the line had failed for."""
    failed: set[tuple[str, str]] = set()
    for row in said:
        pair = row["channel_id"], row["contact_id"]
        if row["message_key"] in rows:
            rows[row["message_key"]]["has_failed_before"] = pair in failed
        is_template = row["message_type"] == "template" or row["message_key"] in rows
        if is_template and row["status"] == "failed":
            failed.add(pair)


def _note_replies(said: list[Row], made: list[Row], rows: dict[str, Row]) -> None:
    """What a contact says first after a campaign, and before another one reaches it."""
    replied: set[tuple[str, str]] = set()
    for row in said:
        latest = _latest(rows, row["contact_id"], row["sent_at"])
        if row["direction"] != "inbound" or latest is None:
            continue
        pair = latest["campaign"], row["contact_id"]
        if pair not in replied:
            replied.add(pair)
            latest["reply_key"], latest["replied_at"] = row["message_key"], row["sent_at"]
            latest["reply_seconds"] = (row["sent_at"] - latest["arrived_at"]).total_seconds()
            latest["response_seconds"] = _response(row, [*said, *made])


def _response(reply: Row, everything: list[Row]) -> float | None:
    """Seconds until a person or an AI agent of ours wrote in that conversation.

    What a customer says in a later session is another turn: an answer after that is its answer.
    """
    before, is_later_session = reply["sent_at"], False
    for at, row in _after(reply, everything):
        is_later_session |= at - before > _SESSION_GAP
        before = at
        if row["direction"] == "inbound" and "origin" in row and is_later_session:
            return None
        if row.get("origin") in ("agent", "ai") and row["status"] != "failed":
            seconds: float = (at - reply["sent_at"]).total_seconds()
            return seconds
    return None


def _after(reply: Row, everything: list[Row]) -> list[tuple[Any, Row]]:
    """Messages and calls of a reply's conversation after it, with their times, in order."""
    found = [
        (row["sent_at"] if "sent_at" in row else row["started_at"], row)
        for row in everything
        if row["conversation_id"] == reply["conversation_id"]
    ]
    return sorted((one for one in found if one[0] > reply["sent_at"]), key=lambda one: one[0])


def _note_calls(made: list[Row], rows: dict[str, Row]) -> None:
    for call in made:
        latest = _latest(rows, call["contact_id"], call["started_at"])
        if latest is not None:
            latest["calls"] += 1


def _latest(rows: dict[str, Row], contact_id: str, at: Any) -> Row | None:
    """The message of a campaign that reached a contact last, within the window before."""
    before = [
        row
        for row in rows.values()
        if row["contact_id"] == contact_id and row["arrived_at"] and row["arrived_at"] <= at
    ]
    if not before:
        return None
    latest = max(before, key=lambda row: (row["arrived_at"], row["sent_at"], row["message_key"]))
    return latest if at - latest["arrived_at"] <= _WINDOW else None


def _campaign(plan: Plan, rows: list[Row]) -> Row:
    status = Counter(row["status"] for row in rows)
    read, delivered = status["read"], status["read"] + status["delivered"]
    replies = [row for row in rows if row["reply_key"]]
    answers = [row["response_seconds"] for row in replies if row["response_seconds"] is not None]
    failures = Counter(
        str(row["error_code"] or "unknown") for row in rows if row["status"] == "failed"
    )
    categories = {one.name: one.category for one in TEMPLATES}
    return {
        "campaign": plan.key,
        "channel_id": rows[0]["channel_id"],
        "template": rows[0]["template"],
        "category": plan.logged[0] if plan.logged else categories.get(plan.template, "unknown"),
        "started_at": min(row["sent_at"] for row in rows),
        "ended_at": max(row["sent_at"] for row in rows),
        "messages": len(rows),
        "contacts": len({row["contact_id"] for row in rows}),
        "sent": delivered + status["sent"],
        "delivered": delivered,
        "read": read,
        "failed": status["failed"],
        "failures": dict(failures),
        "replies_24h": sum(row["replied_at"] - row["arrived_at"] <= _DAY for row in replies),
        "replies_72h": len(replies),
        "conversations": len({row["conversation_id"] for row in replies}),
        "calls": sum(row["calls"] for row in rows),
        "median_response_seconds": median(answers) if answers else None,
        "failed_before": len({row["contact_id"] for row in rows if row["has_failed_before"]}),
        "charged": sum(
            row["is_charged"] is not False and row["status"] in ("delivered", "read")
            for row in rows
        ),
    }
