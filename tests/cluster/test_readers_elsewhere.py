"""Programs that are not ours read a published file: the newest DuckDB, and a dbt project on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.conftest import hatif
from warehouse.reports.publish import publish
from warehouse.settings.environment import Settings

ROOT = Path(__file__).parents[2]
#: The newest DuckDB, and dbt; `make test-cluster` puts them there.
READERS = ROOT / ".readers"
#: Every table with its columns, its rows and a digest of their texts, in any version of DuckDB.
_READ = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET TimeZone = 'UTC'")
found = {}
for (name,) in connection.execute(
    "SELECT table_schema || '.' || table_name FROM information_schema.tables "
    "WHERE table_schema IN ('core', 'marts')"
).fetchall():
    columns = connection.execute(f"DESCRIBE {name}").fetchall()
    rows = connection.execute(
        f"SELECT count(*), md5(string_agg(t::VARCHAR, ' ' ORDER BY t::VARCHAR)) FROM {name} t"
    ).fetchone()
    found[name] = [[column[:2] for column in columns], rows]
print(json.dumps([duckdb.__version__, found]))
"""


@pytest.fixture(scope="module")
def published(made: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file."""
    file = tmp_path_factory.mktemp("published") / "hatif.duckdb"
    publish(made, file, None)
    return file


def run(code: str, *arguments: str, path: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked(settings: Settings, sql: str) -> list[list[Any]]:
    """What `hatif query` answers."""
    done = hatif("query", sql, "--format", "json", settings=settings)
    return [list(row.values()) for row in json.loads(done.stdout)]


def test_the_newest_duckdb_reads_every_table_view_and_type(made: Settings, published: Path) -> None:
    def read(path: str) -> Any:
        return json.loads(run(_READ, str(published), path=path, folder=published.parent))

    newest, theirs = read(str(READERS))
    ours, expected = read("")
    assert int(newest.split(".")[0]) > int(ours.split(".")[0])
    assert theirs == expected
    assert len(theirs) > 40
    counts = {name: rows for name, (_, (rows, _)) in theirs.items()}
    union = " UNION ALL ".join(
        f"SELECT '{name}' AS t, count(*) AS n FROM {name}" for name in counts
    )
    assert dict(map(tuple, asked(made, union))) == counts


def test_a_dbt_project_tests_the_sources_and_builds_on_them(
    made: Settings, published: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "docs" / "dbt", project)
    shown = run(
        "from dbt.cli.main import cli; cli()",
        *("--no-version-check", "build", "--profiles-dir", "."),
        path=str(READERS),
        folder=project,
        PUBLISHED_FILE=str(published),
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
    )
    assert "ERROR=0 SKIP=0" in shown
    assert "WARN=0" in shown
    script = (
        "import duckdb, json, sys; connection = duckdb.connect(sys.argv[1]); "
        "print(json.dumps(connection.sql('FROM messages_by_country ORDER BY ALL').fetchall()))"
    )
    built = run(script, str(project / "analysis.duckdb"), path=str(READERS), folder=project)
    sql = (
        "SELECT country, count(*) AS messages, count(*) FILTER (is_charged) AS charged "
        "FROM messages LEFT JOIN contacts USING (contact_id) GROUP BY ALL ORDER BY ALL"
    )
    assert json.loads(built) == asked(made, sql)
