"""``hatif publish``: a copy equals the lake, is of one instant, replaces the old one at once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.pipelines.conftest import HATIF, environment, hatif
from warehouse.errors import PublishFailed
from warehouse.lake.connection import Lake
from warehouse.models.model import models
from warehouse.reports.publish import publish
from warehouse.settings.environment import Settings

TABLES = sorted(model.table for model in (*models("core"), *models("marts")))


@dataclass(frozen=True)
class Copies:
    file: Path
    folder: Path

    @property
    def parquet(self) -> list[Path]:
        return sorted(self.folder.glob("*/*.parquet"))

    def snapshots(self) -> set[bytes]:
        return {pq.read_metadata(file).metadata[b"snapshot"] for file in self.parquet}


@pytest.fixture(scope="module")
def copies(filled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Both copies, made twice."""
    there = tmp_path_factory.mktemp("copies")
    made = Copies(there / "copy.duckdb", there / "copy")
    publish(filled, made.file, made.folder)
    (made.folder / "core" / "dropped.parquet").touch()
    publish(filled, made.file, made.folder)
    return made


@pytest.mark.parametrize("form", ["file", "parquet"])
def test_a_copy_holds_exactly_what_the_lake_holds(
    filled: Settings, copies: Copies, form: str
) -> None:
    differing, empty = [], []
    with Lake(filled, read_only=True) as lake, lake.reading() as connection:
        connection.execute(f"ATTACH '{copies.file}' AS copy (READ_ONLY)")
        for table in TABLES:
            ours = f"FROM wh.{table}"
            theirs = f"FROM copy.{table}"
            if form == "parquet":
                theirs = f"FROM '{copies.folder / table.replace('.', '/')}.parquet'"
            counts = connection.execute(
                f"SELECT (SELECT count(*) FROM ({ours} EXCEPT ALL {theirs})), "
                f"(SELECT count(*) FROM ({theirs} EXCEPT ALL {ours})), (SELECT count(*) {theirs})"
            ).fetchone() or (None, None, None)
            differing += [table] if counts[:2] != (0, 0) else []
            empty += [table] if not counts[2] else []
    assert differing == []
    # Read once, nothing was seen to change; there are no invoices, few get the same template, and
    # no call was missed.
    without_rows = ["campaign_messages", "campaigns", "invoice_lines", "invoice_reconciliation"]
    without_rows += ["missed_calls"]
    unseen = ["core.contact_observations", "core.conversation_observations"]
    assert sorted(empty) == [*unseen, *(f"marts.{n}" for n in without_rows)]


def test_parquet_files_are_of_one_snapshot_and_none_is_left_of_a_dropped_table(
    copies: Copies,
) -> None:
    assert [f"{file.parent.name}.{file.stem}" for file in copies.parquet] == TABLES
    assert len(copies.snapshots()) == 1


def test_publishing_again_leaves_nothing_behind_but_the_copy_before(copies: Copies) -> None:
    kept = sorted(path.name for path in copies.file.parent.iterdir())
    assert kept == [".copy.1", ".copy.2", ".copy.duckdb.lock", ".copy.lock", "copy", "copy.duckdb"]


def test_the_file_opens_with_plain_duckdb_and_explains_itself(copies: Copies) -> None:
    program = """
        import duckdb, sys
        offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        copy = duckdb.connect(sys.argv[1], read_only=True, config=offline)
        for sql in sys.argv[2:]:
            print(copy.sql(sql).fetchone())
    """
    answers = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "\n".join(line[8:] for line in program.splitlines()),
            str(copies.file),
            "SELECT typeof(sent_at), typeof(is_billable) FROM core.messages LIMIT 1",
            "SELECT typeof(cost) FROM marts.message_costs LIMIT 1",
            "SELECT count(*) FROM duckdb_tables() WHERE comment IS NULL",
            "FROM duckdb_columns() SELECT count(*) WHERE comment IS NULL AND schema_name = 'core'",
            "SELECT count(*) FROM main.published WHERE as_of < now()",
            # What depends on the time of a query stands still in a copy.
            "SELECT list(table_name) FROM duckdb_tables() WHERE comment LIKE 'As it stood when%'",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert answers == [
        "('TIMESTAMP WITH TIME ZONE', 'BOOLEAN')",
        "('DECIMAL(18,6)',)",
        "(0,)",
        "(0,)",
        "(1,)",
        "(['conversation_now'],)",
    ]


def test_whoever_reads_the_old_file_goes_on_and_the_new_one_keeps_its_permissions(
    filled: Settings, copies: Copies
) -> None:
    copies.file.chmod(0o640)
    before = copies.file.stat().st_ino
    with duckdb.connect(str(copies.file), read_only=True) as reader:
        publish(filled, copies.file, None)
        assert copies.file.stat().st_ino != before
        assert copies.file.stat().st_mode & 0o777 == 0o640
        assert reader.execute("SELECT count(*) > 0 FROM core.messages").fetchone() == (True,)


def test_killed_at_any_instant_the_old_copies_or_the_new_ones_are_there_whole(
    filled: Settings, tmp_path: Path
) -> None:
    copies = Copies(tmp_path / "copy.duckdb", tmp_path / "copy")
    publish(filled, copies.file, copies.folder)
    command = list(map(str, (HATIF, "publish", copies.file, "--parquet", copies.folder)))
    for milliseconds in random.Random(5).sample(range(1, 900), 2):
        with subprocess.Popen(command, env=environment(filled)) as process:
            while process.poll() is None and not list(tmp_path.glob(".copy*.publishing*")):
                time.sleep(0.005)
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGKILL)
        assert len(copies.parquet) == len(TABLES)
        assert len(copies.snapshots()) == 1
        with duckdb.connect(str(copies.file), read_only=True) as reader:
            assert reader.execute("SELECT count(*) > 0 FROM core.messages").fetchone() == (True,)
    publish(filled, copies.file, copies.folder)
    assert list(tmp_path.glob(".*publishing*")) == []


def test_a_folder_with_somebodys_files_is_left_alone(filled: Settings, tmp_path: Path) -> None:
    theirs = tmp_path / "copy" / "letter.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(PublishFailed, match="Directory not empty"):
        publish(filled, None, tmp_path / "copy")
    assert theirs.read_text() == "mine"


def test_a_place_that_refuses_is_one_clear_line(filled: Settings, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("mine")
    with pytest.raises(PublishFailed, match=r"File exists\); what was published before is"):
        publish(filled, tmp_path / "letter" / "copy.duckdb", None)


def test_without_a_name_the_file_is_in_the_home(filled: Settings) -> None:
    ended = hatif("publish", settings=filled)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{filled.home / 'hatif.duckdb'}: {len(TABLES)} tables, ")


def test_before_the_first_sync_there_is_nothing_to_publish(tmp_path: Path) -> None:
    ended = hatif("publish", "copy.duckdb", HATIF_HOME=str(tmp_path / "home"))
    assert ended.returncode == 2
    assert "there is no warehouse" in ended.stderr
    assert list(tmp_path.iterdir()) == []
