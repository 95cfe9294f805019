"""Homes of older versions: what their rows meant is kept."""

from __future__ import annotations

from warehouse.lake import migrations
from warehouse.lake.connection import Lake


def test_marks_of_prices_have_a_consumer_of_their_own(lake: Lake) -> None:
    def work(connection) -> None:
        connection.execute(
            "INSERT INTO ops.outdated VALUES ('marts', 'prices of conversation', 'c1'), "
            "('marts', 'conversation', 'c2')"
        )
        migrations.apply(connection, set())

    lake.write("migrate", work)
    with lake.reading() as connection:
        rows = connection.execute("FROM ops.outdated ORDER BY key").fetchall()
    assert rows == [("prices", "conversation", "c1"), ("marts", "conversation", "c2")]
