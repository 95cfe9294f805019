"""Typing mistakes in the SQL files' headers are errors that name the file and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatif.streams import STREAMS
from warehouse.errors import ModelError
from warehouse.lake.invalidation import marks_of
from warehouse.metrics import definitions
from warehouse.models import model

_FILE = """-- A row.
--
-- grain: a_id
-- stream: contacts
-- replace: a_id
--
-- a_id VARCHAR: the row
SELECT 1 AS a_id
"""


def test_every_stream_and_table_that_a_model_names_exists() -> None:
    model.check(STREAMS)


def test_an_unknown_directive_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "core" / "a.sql"
    path.parent.mkdir()
    path.write_text(_FILE.replace("replace:", "replaces:"))
    with pytest.raises(ModelError, match=r"core/a\.sql: .*'replaces'; did you mean 'replace'\?"):
        model._parse(path)


@pytest.mark.parametrize("line", ["-- grain: a_id\n", "-- a_id VARCHAR: the row\n"])
def test_a_header_without_what_it_needs_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.sql"
    path.write_text(_FILE.replace(line, ""))
    with pytest.raises(ModelError, match="its header lacks"):
        model._parse(path)


def test_a_mart_without_a_subject_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "marts" / "a.sql"
    path.parent.mkdir()
    path.write_text(_FILE)
    with pytest.raises(ModelError, match=r"marts/a\.sql: its header lacks subject"):
        model._parse(path)


def test_a_stream_that_is_not_there_is_an_error_that_names_the_nearest() -> None:
    streams = [*sorted(STREAMS.keys() - {"contacts"}), "contact"]
    with pytest.raises(ModelError, match=r"no stream 'contacts'; did you mean 'contact'\?"):
        model.check(streams)


def test_what_a_stream_makes_outdated_follows_from_what_the_models_read() -> None:
    assert marks_of("timelines") == (
        ("merge", "conversation", "parent_id"),
        ("marts", "conversation", "parent_id"),
    )
    assert marks_of("conversations") == (("marts", "conversation", "record_id"),)
    assert marks_of("contact_history") == (("marts", "contact", "parent_id"),)
    assert marks_of("users") == (("marts", "stream", "'users'"),)
    assert marks_of("tags") == ()  # read by views alone


def test_a_metric_that_is_not_defined_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'message_csot'.*did you mean 'message_cost'\?"):
        definitions.spelt_out("Metrics: {metric:message_csot}.")


def test_a_table_that_is_not_there_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'core\.mesages'; did you mean 'core\.messages'\?"):
        model.model("core.mesages")
