"""A delivery that DuckDB refuses costs neither its file nor its neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest

from hatif.webhooks.signatures import Secrets
from hatif.wire import Spelling
from tests.comparison import stored
from tests.warehouse.webhooks.conftest import Home, line
from warehouse.errors import ValueRefused
from warehouse.lake.schema import open_lake
from warehouse.merge.messages import merge_all
from warehouse.models.model import model
from warehouse.replay import replay
from warehouse.webhooks import batch, deliveries


def _lines(*numbers: int, poison: int) -> bytes:
    return b"".join(
        line(number, body="poison" if number == poison else "x") + b"\n" for number in numbers
    )


def _refuse_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Type messages by a model with a cast that can raise, as one day one may."""

    def fragile(table: str) -> Any:
        found = model(table)
        if table != "core.message_statuses":
            return found
        raising = "SELECT * REPLACE (CASE WHEN body = 'poison' THEN body::INTEGER::VARCHAR "
        sql = f"{raising}ELSE body END AS body) FROM ({found.select})"
        return replace(found, select=sql)

    monkeypatch.setattr(deliveries, "model", fragile)


def _typed(home: Home) -> int:
    return len(stored(home.settings, "FROM core.message_statuses"))


def test_one_that_cannot_be_typed_is_set_aside_and_typed_when_it_is_replayed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write("a.ndjson", _lines(*range(20), poison=7))
    home.ingest()
    with open_lake(home.settings) as lake:
        with monkeypatch.context() as patched:
            _refuse_poison(patched)
            assert deliveries.type_all(lake) == 19
            assert deliveries.type_all(lake) == 0
        (reject,) = home.rejects()
        assert reject["reason"].startswith("refused:")
        assert "poison" in reject["raw"]
        assert "poison" not in reject["reason"]
        assert deliveries.type_all(lake) == 0

        assert replay(lake, Secrets("*=secret"), Spelling(())).settled == 1
        assert deliveries.type_all(lake) == 1
        assert deliveries.type_all(lake) == 0
        assert _typed(home) == 20
        with monkeypatch.context() as patched:  # a version that cannot type it any more
            _refuse_poison(patched)
            assert merge_all(lake).deliveries == 19
        assert _typed(home) == 19
        assert len([row for row in home.rejects() if row["replayed_at"] is None]) == 1
    assert len(home.events()) == 20


def test_one_that_cannot_be_stored_is_set_aside(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = batch.add

    def refusing(connection: duckdb.DuckDBPyConnection, arrivals: Any) -> int:
        if any("poison" in arrival.body for arrival in arrivals):
            raise ValueRefused("refused", reason="no reason")
        return add(connection, arrivals)

    monkeypatch.setattr(batch, "add", refusing)
    home.write("a.ndjson", _lines(*range(20), poison=7))
    home.write("b.ndjson", _lines(*range(20, 30), poison=29))

    done = home.ingest()

    assert (done.new, done.rejected) == (28, 2)
    assert {row["reason"] for row in home.rejects()} == {"refused:no reason"}
    assert home.ingest().files == 0
    monkeypatch.setattr(batch, "add", add)
    with open_lake(home.settings) as lake:  # its signature, which is not kept, had been verified
        assert replay(lake, Secrets("*=secret"), Spelling(())).settled == 2
    assert len(home.events()) == 30
