"""Statements of views: placeholders become relations with the filters in force, values are bound.

A view's SQL reads ``{messages}``, ``{turns}`` or another of `RELATIONS` instead of a table: the
rows of the period that the filters let through, with their reporting day as ``date``. ``{bucket}``
is the day, week or month of ``date``, ``{buckets}`` all of them that the period has up to today. A
filter that a relation has no column for does not apply to it; the page says so. Every piece of SQL
here is our own; what an address holds is only ever bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from page.filters import Filters
from warehouse.lake.sql import literal

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PARAMETER = re.compile(r"\$([a-z_]+)\b")
_TAGGED = (
    "conversation_id IN (SELECT conversation_id FROM core.conversation_tags WHERE tag_id = $tag)"
)
_OF_COUNTRY = (
    "contact_id IN ("
    "SELECT contact_id FROM core.contacts WHERE country IS NOT DISTINCT FROM $country)"
)
_HANDLER = (
    "CASE WHEN is_ai_call THEN coalesce(ai_agent_id, user_id) "
    "ELSE coalesce(user_id, ai_agent_id) END"
)
_SENDER = "acting_user(origin, sender_user_id, ai_agent_id)"
# A customer's message has no agent: it belongs to those who wrote in its conversation.
_OF_AGENT = (
    f"conversation_id IN (SELECT conversation_id FROM core.messages WHERE {_SENDER} = $agent)"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """What a placeholder stands for.

    Attributes:
        select: columns and table.
        period: the condition on its time, by the days ``$from`` to ``$to``; empty for none.
        filters: a condition for each filter that applies to it.
    """

    select: str
    period: str
    filters: Mapping[str, str]


def _between(column: str) -> str:
    return (
        f"{column} >= $from::TIMESTAMP AT TIME ZONE $timezone "
        f"AND {column} < ($to + 1)::TIMESTAMP AT TIME ZONE $timezone"
    )


def _dated(column: str, table: str, more: str = "") -> str:
    return f"SELECT *, ({column} AT TIME ZONE $timezone)::DATE AS date{more} FROM {table}"


#: Bills are of whole months: of those that the period touches.
_MONTHS = "month BETWEEN date_trunc('month', $from)::DATE AND $to"
_BY_CONVERSATION = {
    "channel": "channel_id = $channel",
    "tag": _TAGGED,
    "country": _OF_COUNTRY,
}
RELATIONS: dict[str, Relation] = {
    "messages": Relation(
        _dated("sent_at", "core.messages", f", {_SENDER} AS acting_user_id"),
        _between("sent_at"),
        {
            **_BY_CONVERSATION,
            "agent": _OF_AGENT,
            "message_type": "message_type IS NOT DISTINCT FROM $message_type",
        },
    ),
    "outbound": Relation(
        _dated("sent_at", "core.messages", f", {_SENDER} AS acting_user_id"),
        f"direction = 'outbound' AND {_between('sent_at')}",
        {
            **_BY_CONVERSATION,
            "agent": f"{_SENDER} = $agent",
            "message_type": "message_type IS NOT DISTINCT FROM $message_type",
        },
    ),
    "calls": Relation(
        _dated("started_at", "core.calls", f", {_HANDLER} AS handler_id"),
        _between("started_at"),
        {**_BY_CONVERSATION, "agent": f"{_HANDLER} = $agent"},
    ),
    "turns": Relation(
        "SELECT *, turn_started_on AS date,"
        " coalesce(responder_user_id, late_responder_user_id) AS user_id,"
        " coalesce(responder_origin, late_responder_origin) AS origin"
        " FROM marts.response_times",
        "turn_started_on BETWEEN $from AND $to",
        {
            **_BY_CONVERSATION,
            "agent": "coalesce(responder_user_id, late_responder_user_id) = $agent",
        },
    ),
    "answers": Relation(
        "SELECT *, answered_on AS date,"
        " coalesce(responder_user_id, late_responder_user_id) AS user_id"
        " FROM marts.response_times",
        "answered_on BETWEEN $from AND $to",
        {
            **_BY_CONVERSATION,
            "agent": "coalesce(responder_user_id, late_responder_user_id) = $agent",
        },
    ),
    "sessions": Relation(
        "SELECT *, started_on AS date FROM marts.conversation_sessions",
        "started_on BETWEEN $from AND $to",
        {**_BY_CONVERSATION, "agent": "first_responder_user_id = $agent"},
    ),
    "billing": Relation(
        "SELECT * FROM marts.message_billing_daily",
        "date BETWEEN $from AND $to",
        {
            "channel": "channel_id = $channel",
            "country": "country IS NOT DISTINCT FROM $country",
            "message_type": "message_type IS NOT DISTINCT FROM $message_type",
        },
    ),
    "costs": Relation(
        "SELECT *, sent_on AS date FROM marts.message_costs",
        "sent_on BETWEEN $from AND $to",
        {
            "channel": "channel_id = $channel",
            "tag": _TAGGED,
            "country": "country IS NOT DISTINCT FROM $country",
            "message_type": "message_type IS NOT DISTINCT FROM $message_type",
        },
    ),
    "bills": Relation(
        "SELECT *, month AS date FROM marts.message_billing_monthly",
        _MONTHS,
        {"channel": "channel_id = $channel"},
    ),
    "reconciliation": Relation(
        "SELECT *, month AS date FROM marts.invoice_reconciliation", _MONTHS, {}
    ),
    "campaigns": Relation(
        _dated("started_at", "marts.campaigns"),
        _between("started_at"),
        {"channel": "channel_id = $channel"},
    ),
    "campaign_messages": Relation("SELECT * FROM marts.campaign_messages", "", {}),
    "levels": Relation(
        "SELECT * FROM marts.call_service_levels",
        "date BETWEEN $from AND $to",
        {"channel": "channel_id = $channel"},
    ),
    "coverage": Relation(
        "SELECT * FROM marts.webhook_coverage_daily",
        "date BETWEEN $from AND $to",
        {"channel": "channel_id = $channel"},
    ),
    "waiting": Relation(
        "SELECT *, coalesce(assignee_user_id, assigned_ai_agent_id) AS user_id"
        " FROM marts.conversation_now",
        "waiting_since IS NOT NULL",
        {
            **_BY_CONVERSATION,
            "agent": "coalesce(assignee_user_id, assigned_ai_agent_id) = $agent",
        },
    ),
}
#: Relations without a period of their own, for what is compared with now.
RELATIONS |= {
    f"all_{name}": Relation(RELATIONS[name].select, "", RELATIONS[name].filters)
    for name in ("messages", "calls")
}
_BUCKETS = {
    "day": "date",
    "week": "(date - dayofweek(date)::INTEGER)",
    "month": "date_trunc('month', date)::DATE",
}
_DAYS = (
    "(SELECT DISTINCT {bucket} AS bucket FROM (SELECT unnest(generate_series($from::TIMESTAMP,"
    " least($to, $today)::TIMESTAMP, INTERVAL 1 DAY))::DATE AS date))"
)
#: The seconds that a target and a median are of, by the clock chosen.
_SECONDS = {
    "clock": {
        "response_seconds": "response_seconds_any",
        "first_response_seconds": "first_response_seconds_any",
    },
    "business": {
        "response_seconds": "response_business_seconds_any",
        "first_response_seconds": "first_response_business_seconds_any",
    },
}
FILTERS = ("channel", "agent", "tag", "country", "message_type")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its parameters."""

    sql: str
    values: dict[str, Any]

    def written_out(self) -> str:
        """Return it as one text that ``hatif query`` takes."""
        return _PARAMETER.sub(lambda found: _written(self.values[found[1]]), self.sql)


def build(sql: str, filters: Filters, values: Mapping[str, Any]) -> Statement:
    """Return a view's statement.

    Args:
        sql: with placeholders.
        filters: in force.
        values: of further parameters: the time zone, the instant of the request, what was picked.
    """
    whole = _PLACEHOLDER.sub(lambda found: _replaced(found[1], filters), sql).strip()
    known = {**filters.values(), **values}
    return Statement(whole, {name: known[name] for name in _PARAMETER.findall(whole)})


def ignored(sql: str, filters: Filters) -> list[str]:
    """Return the filters that are set and that some relation of a statement has no column for."""
    relations = [RELATIONS[name] for name in _PLACEHOLDER.findall(sql) if name in RELATIONS]
    return [
        name
        for name in FILTERS
        if getattr(filters, name) is not None
        and (not relations or any(name not in relation.filters for relation in relations))
    ]


def _replaced(name: str, filters: Filters) -> str:
    if name == "bucket":
        return _BUCKETS[filters.grain]
    if name == "buckets":
        return _PLACEHOLDER.sub(lambda _: _BUCKETS[filters.grain], _DAYS)
    if name in _SECONDS["clock"]:
        return _SECONDS[filters.clock][name]
    relation = RELATIONS[name]
    conditions = [relation.period] if relation.period else []
    conditions += [
        condition
        for name, condition in relation.filters.items()
        if getattr(filters, name) is not None
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"({relation.select}{where})"


def _written(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ {literal(value.isoformat())}"
    if isinstance(value, date):
        return f"DATE {literal(value.isoformat())}"
    return literal(value) if isinstance(value, str) else str(value)
