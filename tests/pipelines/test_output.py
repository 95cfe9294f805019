"""Rows on their way out: table, CSV and JSON tell the same, in any script, of any type."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from pipelines.terminal import count
from tests.pipelines.conftest import HATIF, Synced, environment

VALUES = """
    SELECT 'مرحبا, "يا"' AS arabic, NULL AS nothing, 12.5::DECIMAL(18,6) AS price,
        TIMESTAMPTZ '2026-01-01 10:00:00+03' AS instant, DATE '2026-01-01' AS day,
        [1, NULL, 2] AS list, {'k': 'ب'} AS struct, MAP {'k': 1} AS map,
        '{"a": [1]}'::JSON AS json, true AS flag, INTERVAL 90 MINUTE AS span, 'x'::BLOB AS bytes,
        E'two\nlines' AS lines, '' AS empty
"""


def ask(synced: Synced, sql: str, *options: str) -> Result:
    runner = CliRunner(env=environment(synced.settings))
    return runner.invoke(main, ["query", sql, *options])


def ask_json(synced: Synced, sql: str) -> Any:
    return json.loads(ask(synced, sql, "--format", "json").stdout)


def ask_csv(synced: Synced, sql: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(ask(synced, sql, "--format", "csv").stdout)))


def test_json_keeps_types_and_arabic_readable(synced: Synced) -> None:
    answer = ask(synced, VALUES, "--format", "json")
    assert 'مرحبا, \\"يا\\"' in answer.stdout
    assert '"price":12.500000' in answer.stdout
    (row,) = json.loads(answer.stdout)
    assert row == {
        "arabic": 'مرحبا, "يا"',
        "nothing": None,
        "price": 12.5,
        "instant": "2026-01-01T07:00:00Z",
        "day": "2026-01-01",
        "list": [1, None, 2],
        "struct": {"k": "ب"},
        "map": {"k": 1},
        "json": {"a": [1]},
        "flag": True,
        "span": "P0M0DT5400S",
        "bytes": "78",
        "lines": "two\nlines",
        "empty": "",
    }


def test_csv_quotes_what_needs_it_and_writes_instants_with_their_offset(synced: Synced) -> None:
    header, row = ask_csv(synced, VALUES)
    assert dict(zip(header, row, strict=True)) == {
        "arabic": 'مرحبا, "يا"',
        "nothing": "",
        "price": "12.500000",
        "instant": "2026-01-01T07:00:00+00:00",
        "day": "2026-01-01",
        "list": "[1,null,2]",
        "struct": '{"k":"ب"}',
        "map": '{"k":1}',
        "json": '{"a": [1]}',
        "flag": "true",
        "span": "P0M0DT5400S",
        "bytes": "78",
        "lines": "two\nlines",
        "empty": "",
    }


def test_a_table_in_a_pipe_is_as_wide_as_it_needs_to_be(synced: Synced) -> None:
    lines = ask(synced, VALUES).stdout.splitlines()
    assert lines[0].split("┃")[0].strip() == "arabic"
    assert "12.500000" in lines[2]
    assert "2026-01-01 07:00:00+00:00" in lines[2]


def test_csv_tells_no_value_from_an_empty_text(synced: Synced) -> None:
    sql = "SELECT * FROM (VALUES (1, NULL, ''), (2, '', NULL)) t(n, a, b)"
    assert ask(synced, sql, "--format", "csv").stdout == 'n,a,b\n1,,""\n2,"",\n'


def test_parquet_keeps_every_type(synced: Synced, tmp_path: Path) -> None:
    answer = ask(synced, VALUES, "--output", "values.parquet")
    assert (answer.exit_code, answer.output) == (0, "")
    same = "flag, price, instant, day, list, struct, map, arabic, nothing, bytes, lines, empty"
    there = duckdb.sql(f"SELECT {same} FROM '{tmp_path / 'values.parquet'}'")
    here = duckdb.sql(f"SELECT {same} FROM ({VALUES})")
    types = [kind for name, kind in zip(here.columns, here.types, strict=True) if name != "nothing"]
    assert [k for n, k in zip(there.columns, there.types, strict=True) if n != "nothing"] == types
    assert there.fetchall() == here.fetchall()
    assert duckdb.sql("SELECT span FROM 'values.parquet'").fetchone() == ("P0M0DT5400S",)


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "table"])
def test_any_number_of_rows_goes_to_a_file_at_once(
    synced: Synced, tmp_path: Path, form: str
) -> None:
    rows = tmp_path / "rows"
    rows.write_text("old")
    ask(synced, "FROM range(2_500)", "--format", form, "--output", "rows")
    lines = {
        "csv": lambda: rows.read_text().splitlines()[1:],
        "json": lambda: json.loads(rows.read_text()),
        "parquet": lambda: duckdb.sql(f"FROM read_parquet('{rows}')").fetchall(),
        "table": lambda: [x for x in rows.read_text().splitlines() if x.strip().isdecimal()],
    }[form]()
    assert len(lines) == 2_500
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_an_error_half_way_leaves_the_file_that_was_there(synced: Synced, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("old")
    sql = "SELECT CASE WHEN range = 50000 THEN error('boom') END FROM range(60000)"
    answer = ask(synced, sql, "--output", "rows.csv")
    assert (answer.exit_code, "boom" in answer.stderr) == (2, True)
    assert (tmp_path / "rows.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("options", "wording"),
    [
        (["--output", "rows.xlsx"], "give the --format"),
        (["--format", "parquet"], "goes with --output FILE"),
    ],
)
def test_a_form_that_cannot_be_is_a_usage_error(
    synced: Synced, options: list[str], wording: str
) -> None:
    answer = ask(synced, "FROM tags", *options)
    assert (answer.exit_code, wording in answer.stderr) == (2, True)


def on_a_terminal(synced: Synced, sql: str, **more: str) -> str:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as window:
        ended = subprocess.run(
            [HATIF, "query", sql],
            env=environment(synced.settings, COLUMNS="80", TERM="xterm", **more),
            stdout=window,
            check=False,
        )
        shown = os.read(leader, 65_536).decode()
    assert ended.returncode == 0
    return shown


def test_on_a_terminal_a_long_table_goes_to_a_pager_which_may_be_left_early(
    synced: Synced,
) -> None:
    assert on_a_terminal(synced, "FROM range(2500)", PAGER="tail -n 1").split() == ["2499"]
    assert on_a_terminal(synced, "FROM range(2500)", PAGER="head -n 1").split() == ["range"]


def test_a_column_named_twice_is_kept_twice(synced: Synced) -> None:
    assert ask_csv(synced, "SELECT 1 AS a, 2 AS a") == [["a", "a"], ["1", "2"]]
    assert ask_json(synced, "SELECT 1 AS a, 2 AS a, 3 AS a_1") == [{"a": 1, "a_1": 2, "a_1_1": 3}]


def test_what_a_customer_wrote_does_not_steer_the_terminal(synced: Synced) -> None:
    assert "\\x1b]0;owned\\x07" in ask(synced, "SELECT chr(27) || ']0;owned' || chr(7)").stdout


@pytest.mark.parametrize(("form", "empty"), [("json", "[\n]\n"), ("csv", "tag_id,name\n")])
def test_no_rows_is_an_answer_too(synced: Synced, form: str, empty: str) -> None:
    answer = ask(synced, "SELECT tag_id, name FROM tags WHERE false", "--format", form)
    assert (answer.exit_code, answer.stdout) == (0, empty)


#: What SQL can write and Python cannot hold, as each form shows it.
_FOREIGN = {
    "TIMESTAMP 'infinity'": "infinity",
    "'-infinity'::TIMESTAMPTZ": "-infinity",
    "DATE 'infinity'": "infinity",
    "DATE '5000000-02-29' - 1": "5000000-02-28",
    "DATE '0044-03-15 (BC)'": "-0043-03-15",
    "'12026-01-01 10:00:00.5+03'::TIMESTAMPTZ": "12026-01-01T07:00:00.500000Z",
    "TIMESTAMP_NS '2020-01-01 00:00:00.123456789'": "2020-01-01T00:00:00.123456789",
    "TIME_NS '10:00:00.123456789'": "10:00:00.123456789",
    "TIME '24:00:00'": "24:00:00",
    "TIMETZ '10:00:00+15:59:59'": "10:00:00+15:59:59",
    "'101'::BIT": "101",
    "340282366920938463463374607431768211455::UHUGEINT": str(2**128 - 1),
    "12345678901234567890123456789::BIGNUM": "12345678901234567890123456789",
    "7::VARIANT": "7",
}


def test_values_that_python_lacks_are_shown_whole_in_every_form(synced: Synced) -> None:
    sql = f"SELECT {', '.join(_FOREIGN)}; -- the end"
    assert ask_csv(synced, sql)[1] == [*_FOREIGN.values()]
    assert [*ask_json(synced, sql)[0].values()] == [*_FOREIGN.values()]
    table = ask(synced, sql).stdout
    assert all(shown in table for shown in _FOREIGN.values())


def test_values_that_python_lacks_are_shown_whole_inside_others(synced: Synced) -> None:
    nested = """SELECT [TIMESTAMP 'infinity', NULL] AS a, {'d': DATE 'infinity', 'x': NULL} AS b,
        MAP {DATE 'infinity': [INTERVAL 1 DAY]} AS c, ['x'::BLOB] AS d, NULL::DATE[] AS e,
        [DATE '2026-01-01', DATE 'infinity']::DATE[2] AS f"""
    assert ask_json(synced, nested) == [
        {
            "a": ["infinity", None],
            "b": {"d": "infinity", "x": None},
            "c": {"infinity": ["P0M1DT0S"]},
            "d": ["78"],
            "e": None,
            "f": ["2026-01-01", "infinity"],
        }
    ]


def test_a_long_table_says_that_it_is_cut(synced: Synced) -> None:
    answer = ask(synced, "FROM range(1001)").stdout
    assert answer.splitlines()[-1].startswith("only the first 1,000 rows")
    assert len(ask_csv(synced, "FROM range(1001)")) == 1002


def test_a_full_disk_is_one_clear_line(synced: Synced) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [HATIF, "query", "FROM tags", "--format", "csv"],
            env=environment(synced.settings),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "error: cannot write the output: No space left on device\n"


def test_a_reader_that_has_had_enough_is_no_error_to_speak_of(synced: Synced) -> None:
    with subprocess.Popen(
        [HATIF, "query", "FROM range(2000000)", "--format", "csv"],
        env=environment(synced.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "range\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_counts_agree_in_number() -> None:
    assert [count(n, "request") for n in (0, 1, 2000)] == [
        "0 requests",
        "1 request",
        "2,000 requests",
    ]


@pytest.mark.parametrize("pager", ["cat", ""])
def test_columns_too_many_for_a_window_are_shown_upright(synced: Synced, pager: str) -> None:
    sql = "SELECT * REPLACE ('hello' AS body) FROM timeline_events LIMIT 2"
    shown = on_a_terminal(synced, sql, PAGER=pager)
    assert "row 1" in shown
    assert any(line.split() == ["body", "│", "hello"] for line in shown.splitlines())


def test_no_word_is_cut_in_a_window_that_is_too_narrow_for_all(synced: Synced) -> None:
    sql = "SELECT event_id, occurred_at, 'two words ' || repeat('ab', 12) AS text, 12345678 AS n"
    shown = on_a_terminal(synced, f"{sql} FROM timeline_events LIMIT 2", PAGER="cat")
    assert "…" not in shown
    assert "row 1" in shown  # id, time and number alone take 80 characters
    fewer = sql.replace("occurred_at, ", "")
    narrow = on_a_terminal(synced, f"{fewer} FROM timeline_events LIMIT 2", PAGER="cat")
    assert "…" not in narrow
    assert "row 1" not in narrow
    lines = narrow.splitlines()
    assert max(map(len, lines)) <= 80
    ids = re.findall(r"^ ([0-9a-f-]{36}) ", narrow, re.MULTILINE)
    assert len(ids) == 2
    assert narrow.count("ab" * 12) == 2
    assert narrow.count("12345678") == 2


def test_texts_share_what_whole_values_leave_over(synced: Synced) -> None:
    sql = "SELECT 'مرحبا بكم في متجرنا ' || repeat('كلمة ', 20) AS a, 'short one' AS b, now() AS t"
    shown = on_a_terminal(synced, sql, PAGER="cat")
    assert "row 1" not in shown
    assert "short one" in shown
    assert "+00:00" in shown
    assert "…" not in shown
