"""docs/sql.md and its notebook do what they say, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.conftest import HATIF, ROOT, environment
from warehouse.settings.environment import Settings

PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
NOTEBOOK = json.loads((ROOT / "docs" / "analysis.ipynb").read_text(encoding="utf-8"))


def blocks(heading: str, language: str) -> list[str]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def moved(filled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was moved since its catalog noted where the lake's files are."""
    home = tmp_path_factory.mktemp("moved") / "my home"
    shutil.copytree(filled.home, home)
    with closing(sqlite3.connect(home / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(
            "UPDATE ducklake_metadata SET value = '/nowhere/lake/' WHERE key = 'data_path'"
        )
    return home


def run(command: list[str | Path], moved: Path, where: Path) -> str:
    """Run something in a folder that is no checkout and holds no home."""
    variables = environment(None, HATIF_HOME=str(moved))
    variables["PATH"] = f"{HATIF.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, env=variables, cwd=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_exports_of_hatif_query(moved: Path, tmp_path: Path) -> None:
    (script,) = blocks("hatif query", "sh")
    run(["bash", "-eu", "-c", script], moved, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"conversations.parquet", "costs.csv", "contacts.json"}
    assert len((tmp_path / "costs.csv").read_text().splitlines()) > 1


def test_python_with_pandas(moved: Path, tmp_path: Path) -> None:
    (program,) = blocks("Python, with pandas or in a notebook", "python")
    reported = run([sys.executable, "-c", f"{program}\nprint(df.n.sum() > 0)"], moved, tmp_path)
    assert reported == "True\n"


def test_the_published_copy(moved: Path, tmp_path: Path) -> None:
    heading = "A published copy, for everything else"
    (script,), (program,) = blocks(heading, "sh"), blocks(heading, "python")
    command = f"{script}\npython - <<'END'\n{program}\nprint(len(df) > 0, as_of.year)\nEND"
    reported = run(["bash", "-eu", "-c", command], moved, tmp_path)
    assert re.search(r"^True 20\d\d$", reported, re.MULTILINE)


def test_the_duckdb_command_line_says_these_words_to_the_engine(
    moved: Path, tmp_path: Path
) -> None:
    heading = "The DuckDB command line"
    (sql,), (script,) = blocks(heading, "sql"), blocks(heading, "sh")
    _, extensions, begin = script.split("\n", 2)
    # The command line comes from the package index; here its engine takes the same words.
    program = (
        "import duckdb, sys; duckdb.sql(sys.argv[1]); print(len(duckdb.sql(sys.stdin.read()).df()))"
    )
    command = f"{extensions}\n" + begin.replace("duckdb -cmd", f"python -c '{program}'")
    (tmp_path / "words.sql").write_text(sql)
    assert int(run(["bash", "-euc", f"({command}) < words.sql"], moved, tmp_path)) > 0


def test_the_notebook_runs_from_top_to_bottom(moved: Path, tmp_path: Path) -> None:
    program = "\n".join("".join(cell["source"]) for cell in code_cells())
    check = "assert len(tables) > 30 and len(costs) and len(waits)\nprint('done')"
    assert run([sys.executable, "-c", f"{program}\n{check}"], moved, tmp_path).endswith("done\n")


@pytest.mark.parametrize("cell", range(5))
def test_the_notebook_shows_nobodys_data(cell: int) -> None:
    assert code_cells()[cell]["outputs"] == []
    assert code_cells()[cell]["execution_count"] is None


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
