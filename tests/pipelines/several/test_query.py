"""Questions to several workspaces: rows of each with its name; one that fails hides no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_a_question_to_all_names_the_workspace_and_reports_the_one_that_is_broken(run):
    command, _ = run
    answer = command(
        "query", "--all", "SELECT count(*) AS contacts FROM contacts", "--format", "csv"
    )
    assert answer.stdout == "workspace,contacts\nriyadh,12\njeddah,20\n"
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: dubai: ")
    assert "dubai.timezone: is not the name of a time zone" in answer.stderr


def test_all_rows_of_all_come_in_every_form_and_columns_keep_their_kinds(run, tmp_path: Path):
    command, _ = run
    sql = (
        "SELECT name, custom_fields, created_at, 1.5 AS d FROM contacts ORDER BY contact_id LIMIT 2"
    )
    rows = json.loads(command("query", "--all", sql, "--format", "json").stdout)
    assert [row["workspace"] for row in rows] == ["riyadh", "riyadh", "jeddah", "jeddah"]
    alone = json.loads(command("query", "--workspace", "jeddah", sql, "--format", "json").stdout)
    assert [dict(list(row.items())[1:]) for row in rows[2:]] == alone
    file = tmp_path / "rows.parquet"
    assert command("query", "--all", sql, "--output", str(file)).exit_code == 1
    assert file.exists()


def test_a_workspace_column_of_the_statement_itself_stays(run):
    command, _ = run
    rows = json.loads(
        command("query", "--all", "SELECT 'x' AS workspace", "--format", "json").stdout
    )
    assert rows[0] == {"workspace": "riyadh", "workspace_1": "x"}


@pytest.mark.parametrize("sql", ["SELEC 1", "FROM nope", "DROP TABLE core.tags"])
def test_sql_that_no_workspace_takes_is_one_usage_error(run, sql: str):
    command, _ = run
    answer = command("query", "--all", sql)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.count("error: riyadh, jeddah: ") == 1


def test_a_workspace_that_fails_in_the_middle_hides_no_rows_of_others(run):
    command, _ = run
    sql = "SELECT CASE WHEN count(*) = 12 THEN error('boom') ELSE 'fine' END AS x FROM contacts"
    answer = command("query", "--all", sql, "--format", "csv")
    assert "jeddah,fine" in answer.stdout
    assert "riyadh: " in answer.stderr
    assert answer.exit_code == 1


def test_outputs_never_take_the_place_of_what_is_another_workspaces(run, homes: Path):
    command, _ = run
    for more in (["--all"], ["--workspace", "riyadh"]):
        target = str(homes / "jeddah" / "catalog.sqlite")
        ended = command("query", *more, "SELECT 1", "--format", "csv", "--output", target)
        assert ended.exit_code == 2, ended.output
        assert "Choose another name" in ended.stderr
