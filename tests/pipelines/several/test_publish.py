"""A copy of all workspaces in one file."""

from __future__ import annotations

from pathlib import Path

import duckdb


def test_a_copy_of_all_has_the_rows_of_each_and_names_the_one_that_is_missing(run, tmp_path: Path):
    command, _ = run
    file = tmp_path / "all.duckdb"
    for _ in range(2):
        done = command("publish", "--all", str(file))
        assert (done.exit_code, done.stdout) == (1, f"{file}: 2 of 3 workspaces\n"), done.output
        assert "error: dubai: " in done.stderr
    with duckdb.connect(str(file), read_only=True) as copy:
        counted = copy.execute(
            "SELECT workspace, count(*) FROM core.contacts GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        assert counted == [("jeddah", 20), ("riyadh", 12)]
        published = copy.execute(
            "SELECT workspace, as_of IS NOT NULL, error LIKE '%timezone%' FROM published ORDER BY 1"
        ).fetchall()
        assert published == [("dubai", False, True), ("jeddah", True, None), ("riyadh", True, None)]
        columns = copy.execute("SELECT * FROM marts.conversation_now").description
        assert columns[0][0] == "workspace"
    assert [one.name for one in tmp_path.iterdir() if "publishing" in one.name] == []


def test_a_copy_of_all_never_takes_the_place_of_what_is_a_workspaces(run, homes: Path):
    command, _ = run
    done = command("publish", "--all", str(homes / "jeddah" / "catalog.sqlite"))
    assert (done.exit_code, "Choose another name" in done.stderr) == (2, True)
    done = command("publish", "--all", "--parquet", "x")
    assert (done.exit_code, "neither" in done.stderr) == (2, True)


def test_a_copy_that_has_nothing_leaves_the_one_before(run, homes: Path, tmp_path: Path):
    command, _ = run
    text = (tmp_path / "all.toml").read_text().replace("[riyadh]", "[one]")
    (tmp_path / "all.toml").write_text(text.replace("[jeddah]", "[two]"))
    (tmp_path / "old").write_text("old")
    done = command("publish", "--all", str(tmp_path / "old"))
    assert (done.exit_code, "no workspace can be copied" in done.stderr) == (1, True)
    assert (tmp_path / "old").read_text() == "old"
