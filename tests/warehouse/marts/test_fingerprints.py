"""Fingerprints hold every column that marts by day or contact read, and few others."""

from __future__ import annotations

import pytest

from warehouse.marts import columns
from warehouse.models import model


def test_every_table_of_conversations_that_such_marts_read_is_part_of_them() -> None:
    read = {
        table
        for mart in model.models("marts")
        if mart.scope in ("day", "contact")
        for table in mart.sources
        if any(column.name == "conversation_id" for column in model.model(table).columns)
    }
    assert "core.messages" in read
    assert read <= {
        table for step in model.models("steps") for table in columns.tables(step.select)
    }


def test_a_column_that_is_named_is_part_of_them_and_one_of_another_mart_is_not() -> None:
    read = columns.columns_read("core.messages", "day, contact")
    assert {"message_key", "error_reason", "is_billable", "read_at"} <= {*read}
    assert not {"body", "media_url", "wamid", "edited_at"} & {*read}
    assert columns.columns_read("core.contacts", "day") == ("contact_id", "country")
    assert "ended_at" not in columns.columns_read("marts.conversation_sessions", "day")


@pytest.mark.parametrize(
    ("sql", "query"),
    [
        ("SELECT b FROM core.calls WHERE c IN (SELECT d FROM t)", None),
        ("SELECT a FROM (SELECT b FROM core.calls) JOIN t USING (a)", "(SELECT b FROM core.calls"),
        ("SELECT a FROM (SELECT e FROM t) x LEFT JOIN core.calls c USING (a)", None),
    ],
)
def test_a_query_ends_at_the_parentheses_around_it(sql: str, query: str | None) -> None:
    assert list(columns._queries("core.calls", sql)) == [query or sql]
