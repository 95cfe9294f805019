"""``hatif query``: reads everything, writes nothing, says what is wrong with the SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from tests.pipelines.conftest import Synced, environment

WRITES = (
    "INSERT INTO tags SELECT * FROM tags",
    "WITH x AS (SELECT 1) INSERT INTO core.tags SELECT * FROM x",
    "UPDATE core.tags SET name = 'x'",
    "DELETE FROM core.tags",
    "MERGE INTO core.tags USING core.tags AS s ON false WHEN MATCHED THEN DELETE",
    "TRUNCATE core.tags",
    "DROP TABLE core.tags",
    "ALTER TABLE core.tags ADD COLUMN x INT",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW core.x AS SELECT 1",
    "COPY (SELECT 1) TO 'stolen.csv'",
    "EXPORT DATABASE 'stolen'",
    "ATTACH 'other.db'",
    "DETACH wh",
    "USE memory",
    "SET memory_limit = '1GB'",
    "CALL ducklake_expire_snapshots('wh', versions => [1])",
    "SELECT * FROM ducklake_cleanup_old_files('wh', cleanup_all => true)",
    "EXPLAIN ANALYZE DELETE FROM core.tags",
    "INSTALL httpfs",
    "LOAD httpfs",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "SELECT 1; DROP TABLE core.tags",
    "",
)


def ask(synced: Synced, sql: str) -> Result:
    return CliRunner(env=environment(synced.settings)).invoke(main, ["query", sql])


@pytest.mark.parametrize("sql", WRITES)
def test_sql_that_does_more_than_read_is_refused(synced: Synced, sql: str, tmp_path: Path) -> None:
    answer = ask(synced, sql)
    assert answer.exit_code == 2
    assert answer.stderr.startswith("error: ")
    assert answer.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "wording"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nope FROM tags", 'Referenced column "nope" not found'),
        ("FROM nope", "Table with name nope does not exist"),
        ("SELECT error('boom')", "boom"),
    ],
)
def test_what_is_wrong_with_the_sql_is_said_in_duckdbs_words(
    synced: Synced, sql: str, wording: str
) -> None:
    answer = ask(synced, sql)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert wording in answer.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "FROM tags",
        "SELECT * FROM core.tags JOIN ops.scans ON false",
        "DESCRIBE tags",
        "SHOW TABLES",
        "SUMMARIZE tags",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
        "SELECT * FROM ducklake_snapshots('wh')",
        "FROM raw.records LIMIT 1",
    ],
)
def test_sql_that_reads_is_answered(synced: Synced, sql: str) -> None:
    answer = ask(synced, sql)
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.parametrize("arguments", [["query", "SELECT 1"], ["status"], ["status", "--json"]])
def test_before_the_first_sync_one_is_told_to_run_it(tmp_path: Path, arguments: list[str]) -> None:
    home = tmp_path / "home"
    answer = CliRunner(env=environment(HATIF_HOME=str(home))).invoke(main, arguments)
    assert answer.exit_code == 2
    assert answer.stderr == f"error: there is no warehouse in {home} yet; run: hatif sync --full\n"
    assert not home.exists()
