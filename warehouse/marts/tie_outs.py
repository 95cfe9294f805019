"""What must hold between marts and core after a refresh: statements that count what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import duckdb

from warehouse.lake.sql import exists, scalar
from warehouse.marts import categories, price_gaps
from warehouse.models.model import models

_TABLE = re.compile(r"\b(?:raw|core|marts|ops)\.[a-z_]+\b")


@dataclass(frozen=True, slots=True)
class TieOut:
    """A statement about a mart.

    Attributes:
        mart: its name.
        name: of the statement.
        statement: what holds, as a sentence.
        sql: a SELECT of one number, how much is wrong: 0 = it holds.
        loses_nothing: a failure is for information: what is missing is on its way.
        advice: what to do where it does not hold.
    """

    mart: str
    name: str
    statement: str
    sql: str
    loses_nothing: bool = False
    advice: str = "Run: hatif rebuild"


def _difference(one: str, other: str) -> str:
    return f"SELECT abs(coalesce(({one}), 0) - coalesce(({other}), 0))::BIGINT"


_TIMED = "FROM core.messages WHERE in_calendar(sent_at)"
_SPOKEN = f"{_TIMED} AND conversation_id IS NOT NULL AND direction IN ('inbound', 'outbound')"

_TIE_OUTS = (
    TieOut(
        "message_billing_daily",
        "days_hold_every_message",
        "The messages of all days are the messages there are.",
        _difference(
            "SELECT sum(messages) FROM marts.message_billing_daily", f"SELECT count(*) {_TIMED}"
        ),
    ),
    TieOut(
        "message_billing_daily",
        "charged_messages_have_costs",
        "Every outbound message charged, or perhaps charged, has a row in message_costs, and no "
        "other has.",
        "SELECT sum(wrong)::BIGINT FROM ("
        + _difference(
            "SELECT sum(charged_messages) FROM marts.message_billing_daily "
            "WHERE direction = 'outbound'",
            "SELECT count(*) FROM marts.message_costs WHERE confidence = 'flagged'",
        )
        + " AS wrong UNION ALL "
        + _difference(
            "SELECT sum(unknown_messages) FROM marts.message_billing_daily "
            "WHERE direction = 'outbound'",
            "SELECT count(*) FROM marts.message_costs WHERE confidence = 'unknown'",
        )
        + ")",
    ),
    TieOut(
        "message_billing_daily",
        "costs_add_up",
        "In every currency the costs of all days are the costs of all messages.",
        "SELECT count(*) FROM ("
        "SELECT currency, sum(estimated_cost + unknown_cost) AS cost "
        "FROM marts.message_billing_daily WHERE currency IS NOT NULL GROUP BY currency) d "
        "FULL JOIN (SELECT currency, sum(coalesce(cost, 0)) AS cost "
        "FROM marts.message_costs WHERE currency IS NOT NULL GROUP BY currency) m USING (currency) "
        "WHERE d.cost IS DISTINCT FROM m.cost",
    ),
    TieOut(
        "conversation_sessions",
        "sessions_hold_every_message_once",
        "The messages of all sessions are the messages there are; and so are the calls.",
        "SELECT sum(wrong)::BIGINT FROM ("
        + _difference(
            "SELECT sum(inbound_messages + outbound_messages) FROM marts.conversation_sessions",
            f"SELECT count(*) {_SPOKEN}",
        )
        + " AS wrong UNION ALL "
        + _difference(
            "SELECT sum(calls) FROM marts.conversation_sessions",
            "SELECT count(*) FROM core.calls "
            "WHERE in_calendar(started_at) AND conversation_id IS NOT NULL",
        )
        + ")",
    ),
    TieOut(
        "conversation_sessions",
        "conversations_are_known",
        "Every conversation with a session is in core.conversations. One that webhooks have named "
        "since the list was last read comes with the next sync.",
        "SELECT count(DISTINCT conversation_id) FROM marts.conversation_sessions "
        "WHERE conversation_id NOT IN (SELECT conversation_id FROM core.conversations) "
        "AND conversation_id NOT IN (SELECT parent_id FROM ops.hints WHERE stream = 'timelines' "
        "AND hinted_at > coalesce((SELECT max(started_at) FROM ops.scans "
        "WHERE stream = 'conversations'), '-infinity'))",
        loses_nothing=True,
        advice="A conversation that the list of conversations lacks: ask the service's support",
    ),
    TieOut(
        "response_times",
        "turns_hold_every_customer_message",
        "The messages of all turns are the messages of all customers, reactions excepted.",
        _difference(
            "SELECT sum(customer_messages) FROM marts.response_times",
            f"SELECT count(*) {_SPOKEN} AND direction = 'inbound' "
            "AND message_type IS DISTINCT FROM 'reaction'",
        ),
    ),
    TieOut(
        "response_times",
        "no_answer_before_its_question",
        "No response time is negative, and business time is never longer.",
        "SELECT count(*) FROM marts.response_times WHERE response_seconds_any < 0 "
        "OR response_business_seconds_any NOT BETWEEN 0 AND response_seconds_any",
    ),
    TieOut(
        "response_times",
        "turns_have_their_session",
        "Every turn lies in a session that exists.",
        "SELECT count(*) FROM marts.response_times "
        "WHERE session_id NOT IN (SELECT session_id FROM marts.conversation_sessions)",
    ),
    TieOut(
        "message_costs",
        "messages_exist",
        "Every cost is that of a message that exists.",
        "SELECT count(*) FROM marts.message_costs "
        "WHERE message_key NOT IN (SELECT message_key FROM core.messages)",
    ),
    TieOut(
        "message_costs",
        "charged_messages_have_a_rate",
        "Every message charged in the last 90 days has a rate of the card.",
        f"SELECT count(*) {price_gaps.WITHOUT_RATE}",
        loses_nothing=True,
        advice="Add rates to HATIF_RATE_CARD; hatif doctor names what they are for",
    ),
    TieOut(
        "message_costs",
        "rates_price_messages",
        "Every rate that has been in force for 90 days priced a message in these.",
        f"SELECT count(*) {price_gaps.WITHOUT_CHARGE}",
        loses_nothing=True,
        advice="Correct them in HATIF_RATE_CARD; hatif doctor names them",
    ),
    TieOut(
        "message_costs",
        "templates_are_unambiguous",
        "No message of the last 90 days fits templates of two categories alike.",
        f"SELECT count(*) {price_gaps.AMBIGUOUS}",
        loses_nothing=True,
        advice="Correct HATIF_TEMPLATES; hatif doctor names them",
    ),
    TieOut(
        "message_billing_monthly",
        "months_hold_every_charge",
        "The messages of all months are those with costs.",
        _difference(
            "SELECT sum(messages) FROM marts.message_billing_monthly",
            "SELECT count(*) FROM marts.message_costs",
        ),
    ),
    TieOut(
        "message_costs",
        "categories_can_be_read",
        "The file of HATIF_MESSAGE_CATEGORIES can be read.",
        f"SELECT count(*) FROM ops.home WHERE key = '{categories.ERROR}' AND value <> ''",
        loses_nothing=True,
        advice="Correct HATIF_MESSAGE_CATEGORIES; hatif doctor says where",
    ),
    TieOut(
        "invoice_lines",
        "invoices_can_be_read",
        "Every file and line of HATIF_INVOICES can be read; ops.invoice_files names the mistakes.",
        "SELECT count(*) FROM ops.invoice_files WHERE error IS NOT NULL",
        loses_nothing=True,
        advice="See: SELECT * FROM ops.invoice_files",
    ),
    TieOut(
        "invoice_reconciliation",
        "invoices_are_compared_once",
        "The amounts of the reconciliation are those of the invoices.",
        "SELECT count(*) FROM (SELECT currency, sum(amount) AS amount FROM marts.invoice_lines "
        "GROUP BY currency) l JOIN (SELECT currency, sum(invoiced) AS amount "
        "FROM marts.invoice_reconciliation GROUP BY currency "
        "HAVING count(*) = count(invoiced)) r USING (currency) "
        "WHERE l.amount IS DISTINCT FROM r.amount",
    ),
    TieOut(
        "delivery_daily",
        "attempts_are_all_outbound_messages",
        "The attempts of all days are the outbound messages there are.",
        _difference(
            "SELECT sum(attempted) FROM marts.delivery_daily",
            f"SELECT count(*) {_TIMED} AND direction = 'outbound'",
        ),
    ),
    TieOut(
        "channel_daily",
        "sessions_are_all_sessions",
        "The sessions of all channels and days are the sessions there are.",
        _difference(
            "SELECT sum(sessions_started) FROM marts.channel_daily",
            "SELECT count(*) FROM marts.conversation_sessions",
        ),
    ),
    TieOut(
        "call_daily",
        "days_hold_every_call",
        "The calls of all days are the calls there are.",
        _difference(
            "SELECT sum(calls) FROM marts.call_daily",
            "SELECT count(*) FROM core.calls WHERE in_calendar(started_at)",
        ),
    ),
    TieOut(
        "contact_summary",
        "every_living_contact_has_one",
        "There is a summary for every contact that lives, and for no other.",
        "SELECT count(*) FROM marts.contact_summary s FULL JOIN "
        "(FROM core.contacts WHERE deleted_at IS NULL) c USING (contact_id) "
        "WHERE s.contact_id IS NULL OR c.contact_id IS NULL",
    ),
    TieOut(
        "conversation_state",
        "nothing_waits_to_be_computed",
        "Marts are as fresh as core: no change is marked that they do not show, but for those of a "
        "sync under way.",
        "SELECT CASE WHEN EXISTS (FROM ops.runs WHERE status = 'running') "
        "OR EXISTS (FROM ops.outdated WHERE consumer = 'merge') THEN 0 "
        "ELSE (SELECT count(*) FROM ops.outdated WHERE consumer IN ('marts', 'prices')) END",
        loses_nothing=True,
        advice="The next run of models computes them",
    ),
)


def tie_outs() -> tuple[TieOut, ...]:
    """Return all statements; that rows are unique is one of them for every mart."""
    unique = tuple(
        TieOut(
            model.name,
            f"{model.name}_rows_are_unique",
            f"No two rows share {', '.join(model.grain)}.",
            f"SELECT count(*) FROM (SELECT 1 FROM {model.table} "
            f"GROUP BY {', '.join(model.grain)} HAVING count(*) > 1)",
        )
        for model in models("marts")
    )
    return (*unique, *_TIE_OUTS)


def wrong(connection: duckdb.DuckDBPyConnection, tie_out: TieOut) -> int:
    """Return how much is wrong."""
    return scalar(connection, tie_out.sql)


def compare(
    connection: duckdb.DuckDBPyConnection, statements: Iterable[TieOut]
) -> tuple[list[tuple[TieOut, int]], bool]:
    """Return statements, each with how much is wrong, and whether all of them were made.

    While core has changes that the marts do not show yet, since another process brings them in,
    statements about both compare two points in time; only those for information are made then.

    Args:
        connection: inside a transaction, so that all are made by one snapshot.
        statements: which.
    """
    is_behind = exists(connection, "FROM ops.outdated")
    found = [
        (one, 0 if is_behind and not one.loses_nothing else wrong(connection, one))
        for one in statements
    ]
    return found, not is_behind


@cache
def lasting() -> frozenset[TieOut]:
    """Return the statements that hold as long as no table of core and the marts changes.

    Others read tables of ops, or the clock.
    """
    return frozenset(one for one in tie_outs() if "now()" not in one.sql and not _read_of_ops(one))


def _read_of_ops(one: TieOut) -> bool:
    return any(table.startswith("ops.") for table in tables_of(one.sql))


def tables_of(sql: str) -> frozenset[str]:
    """Return the tables that a statement reads, by way of views, too."""
    by_name = {model.table: model for model in (*models("core"), *models("marts"))}
    found: set[str] = set()
    left = set(_TABLE.findall(sql))
    while left:
        name = left.pop()
        model = by_name.get(name)
        if model is not None and model.is_view:
            left |= model.sources - found
        found.add(name)
    return frozenset(name for name in found if name not in by_name or not by_name[name].is_view)
