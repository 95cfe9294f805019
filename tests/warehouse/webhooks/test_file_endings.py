"""Files that end too early, are renamed, or hold several values on a line: nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import duckdb
import pytest
import zstandard

from hatif.webhooks import units
from hatif.webhooks.sources import Directory, Format, format_of, place_of
from tests.comparison import stored
from tests.deep_folder import deep_folder
from tests.warehouse.webhooks.conftest import Home, envelope, line
from warehouse.lake.schema import open_lake
from warehouse.webhooks import batch

_HOURS = 7_200


def _lines(*numbers: int) -> bytes:
    return b"".join(line(n) + b"\n" for n in numbers)


def _seen(home: Home) -> list[int]:
    return sorted(int(json.loads(body)["body"].split()[1]) for body in home.bodies())


def _age(*paths: Path) -> None:
    then = time.time() - _HOURS
    for path in paths:
        os.utime(path, (then, then))


def _open(home: Home) -> dict[str, str]:
    return {row["location"]: row["reason"] for row in home.rejects() if row["replayed_at"] is None}


def test_what_ends_too_early_is_read_up_to_there_set_aside_after_an_hour_and_read_when_it_grows(
    home: Home,
) -> None:
    packed = gzip.compress(_lines(*range(100, 200)))
    framed = zstandard.compress(_lines(*range(200, 210))) + zstandard.compress(_lines(210))
    whole = {
        "half.ndjson": _lines(1, 2),
        "values.ndjson": line(3) + line(4) + line(5),
        "half.json": line(6),
        "array.json": b"[" + line(7) + b",\n" + line(8) + b"]",
        "pretty.json": json.dumps([json.loads(line(9)), json.loads(line(10))], indent=2).encode(),
        "packed.ndjson.gz": packed,
        "framed.ndjson.zst": framed,
        "packed.json.gz": gzip.compress(b"[" + line(11) + b"," + line(12) + b"]"),
        "rotated.ndjson.1": _lines(13),
        "empty.ndjson": _lines(14),
    }
    paths = [
        home.write(name, content[: -min(60, len(content) // 2)]) for name, content in whole.items()
    ]
    home.write("empty.ndjson", b"")

    early = home.ingest()
    assert set(_seen(home)) >= {1, 3, 4, 7, *range(200, 210)}
    assert (early.rejected, _open(home)) == (0, {})
    assert home.ingest().files == 0

    _age(*paths)
    late = home.ingest()
    reasons = {location.split(":")[0]: reason for location, reason in _open(home).items()}
    assert reasons == dict.fromkeys(whole, "truncated") | {"empty.ndjson": "empty"}
    assert late.rejected == len(whole)
    assert (home.ingest().files, home.ingest().rejected) == (0, 0)

    for name, content in whole.items():
        home.write(name, content)
    home.ingest()
    assert _open(home) == {}
    assert _seen(home) == [*range(1, 15), *range(100, 211)]


def test_a_renamed_file_is_read_in_its_new_format(home: Home) -> None:
    path = home.write("export.json", b"nonsense\n" + b"{broken\n")
    moved = home.write("lines.json", _lines(1, 2))
    same = home.write("open-a.ndjson", _lines(3))
    home.ingest()
    assert _open(home)
    path.write_bytes(_lines(4, 5, 6))
    path.rename(home.directory / "export.ndjson")
    moved.rename(home.directory / "lines.ndjson")
    same.rename(home.directory / "a.ndjson")

    done = home.ingest()

    assert (done.new, done.files) == (3, 2)
    assert _seen(home) == [1, 2, 3, 4, 5, 6]
    assert _open(home) == {}
    (home.directory / "a.ndjson").rename(home.directory / "a.ndjson.1")
    home.write("a.ndjson", _lines(7))
    assert (home.ingest().new, home.ingest().files) == (1, 0)


def test_values_without_a_line_break_between_are_bodies_of_their_own(home: Home) -> None:
    home.write("one.ndjson", line(1) + line(2) + b" " + envelope(line(3)) + b"," + line(4) + b"\n")
    home.write("two.ndjson", line(5) + b"{nonsense}" + line(6) + b"\n" + _lines(7))
    home.write("three.json", line(8) + line(9) + b"\r" + line(10))
    home.write("four.json", _lines(11, 12) + b"{half\n" + _lines(13))
    home.write("five.json", b"[" + line(14) + b",{bad},\n" + line(15) + b"]")
    home.write("long.ndjson", b"".join(line(n, x="x" * 100_000) for n in range(100, 250)) + b"\n")
    home.write("marks.ndjson", b"\xef\xbb\xbf" + line(16) + b"\r\n" + line(17) + b"\r\n")
    home.write("mark.json", b"\xef\xbb\xbf" + line(18))
    home.write("utf16.ndjson", (_lines(19).decode() * 2).encode("utf-16"))

    home.ingest()

    assert _seen(home) == [*range(1, 19), *range(100, 250)]
    assert sorted(_open(home).items()) == [
        ("five.json:2", "bad_json"),
        ("four.json:3", "bad_json"),
        ("two.ndjson:2", "bad_json"),
        ("utf16.ndjson", "bad_encoding"),
    ]
    counted = stored(home.settings, "SELECT lines, accepted + rejected AS n FROM ops.webhook_files")
    assert all(row["lines"] == row["n"] for row in counted)


def test_a_reject_closes_when_its_file_is_read_again_without_it_and_its_neighbour_stays(
    home: Home,
) -> None:
    path = home.write("a.ndjson", _lines(1) + b"nonsense\n" + b"[1]\n")
    empty = home.write("b.json", b"")
    os.mkfifo(home.directory / "c.json")
    assert home.ingest().rejected == 4
    assert home.ingest().rejected == 0
    path.write_bytes(_lines(2) + b"[1]\n")
    empty.write_bytes(line(3))
    (home.directory / "c.json").unlink()
    home.write("c.json", line(4))

    done = home.ingest()

    assert (done.new, done.rejected) == (3, 0)
    assert list(_open(home).values()) == ["not_an_object"]


def test_a_byte_order_mark_is_read_over_in_packed_files_as_in_others(home: Home) -> None:
    mark, wide = b"\xef\xbb\xbf", _lines(9, 10).decode().encode("utf-16")
    home.write("a.ndjson", mark + _lines(1))
    home.write("a.ndjson.gz", gzip.compress(mark + _lines(2, 3)))
    home.write("b.ndjson.gz", gzip.compress(mark + line(4)))
    home.write("c.ndjson.zst", zstandard.compress(mark) + zstandard.compress(_lines(5)))
    home.write("wide.ndjson", wide)
    home.write("wide.ndjson.gz", gzip.compress(wide))
    home.ingest()
    assert _seen(home) == [1, 2, 3, 4, 5]
    assert _open(home) == dict.fromkeys(["wide.ndjson", "wide.ndjson.gz"], "bad_encoding")


def test_a_value_behind_a_broken_one_on_the_last_line_is_read_when_the_line_ends(
    home: Home,
) -> None:
    path = home.write("a.ndjson", line(1, mediaUrl="x{y}") + b"{y}" + line(2))
    home.ingest()
    with path.open("ab") as grown:
        grown.write(b"\n")
    home.ingest()
    assert _seen(home) == [1, 2]
    assert _open(home) == {"a.ndjson:2": "bad_json"}


def test_folders_in_folders_without_end_stop_nothing(home: Home) -> None:
    home.write("z.ndjson", _lines(1))
    with deep_folder(home.directory, 1_050) as inner:
        home.write(str(inner.relative_to(home.directory) / "a.ndjson"), _lines(2))
        home.ingest()
        assert _seen(home) == [1, 2]


def test_what_stays_bad_in_a_file_of_several_batches_is_not_counted_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LARGEST_BATCH", 10)
    monkeypatch.setattr(units, "_UNITS", 5)
    lines = [b"{broken %d" % n if n in (2, 9, 27) else line(n) for n in range(40)]
    home.write("a.ndjson.gz", gzip.compress(b"\n".join(lines)))
    assert home.ingest().rejected == 3
    lines[9] = line(9)
    home.write("a.ndjson.gz", gzip.compress(b"\n".join([*lines, line(40), b"{broken 41"])))
    assert home.ingest().rejected == 1
    assert set(_open(home)) == {f"a.ndjson.gz:{n}" for n in (3, 28, 42)}
    assert len(home.events()) == 39


def test_the_reject_of_a_folder_or_link_closes_when_it_is_put_right(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home.write("shut/a.ndjson", _lines(1))
    home.write("b.ndjson", _lines(2))
    link, gone = home.directory / "link", home.directory / "gone.ndjson"
    link.symlink_to(tmp_path)
    gone.symlink_to(tmp_path)
    with monkeypatch.context() as patched:
        listed = os.listdir

        def refusing(path: str | Path) -> list[str]:
            if str(path).endswith("shut"):
                raise PermissionError(13, "Permission denied")
            return listed(path)

        patched.setattr(os, "listdir", refusing)
        assert home.ingest().new == 1
        assert home.ingest().rejected == 0
    problems = {
        "shut": "unreadable",
        "link": "outside_directory",
        "gone.ndjson": "outside_directory",
    }
    assert _open(home) == problems
    link.unlink()
    link.symlink_to(home.directory / "shut")
    gone.unlink()
    assert home.ingest().new == 1
    # What is gone was never read: its reject stays until it is acknowledged.
    assert _open(home) == {"gone.ndjson": "outside_directory"}


def test_a_frame_with_the_longest_window_is_read(home: Home) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=31)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    home.write("long.ndjson.zst", packer.compress(_lines(1, 2)) + packer.flush())
    assert home.ingest().new == 2


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *[
            (name, Format(True, None))
            for name in ("a.ndjson", "a.JSONL", "a.ndjson.1", "a.jsonl.12")
        ],
        *[
            (name, Format(True, None))
            for name in ("a.ndjson-20261101", "a.ndjson.2026-11-01T10:00")
        ],
        *[(name, Format(True, "gz")) for name in ("a.ndjson.gz", "a.ndjson.1.gz", "a.ndjson.gz.3")],
        *[(name, Format(True, "gz")) for name in ("a.ndjson-20261101.gz", "A.NDJSON_2026.GZ")],
        *[
            (name, Format(True, "zst"))
            for name in ("a.jsonl.zst", "a.ndjson-20261101-1793527200.zst")
        ],
        *[(name, Format(False, None)) for name in ("a.json", "a.json.1", "a.1.json", "a.json.old")],
        ("a.json.gz", Format(False, "gz")),
        *[(name, None) for name in ("a.log", "a.csv", "a.zip", "a.json5", "a.ndjson.bak", "json")],
        *[(name, None) for name in ("a.ndjson.zip", "a.json.tmp", ".a.ndjson.Xy12", "a.gz", "a.1")],
    ],
)
def test_the_name_says_the_format(name: str, form: Format | None) -> None:
    assert format_of(name) == form


def test_other_files_and_links_are_named_and_linked_folders_never_ignored(
    home: Home, tmp_path: Path
) -> None:
    outside = tmp_path / "archive"
    outside.mkdir()
    (outside / "a.ndjson").write_bytes(_lines(9))
    home.write("a.ndjson", _lines(1))
    home.write("deep/notes.txt", b"x")
    home.write("traffic.log", b"x")
    home.write("open-20261101T000000-1-ab.new", b"")
    (home.directory / "linked").symlink_to(outside)
    (home.directory / "inside").symlink_to(home.directory / "deep")
    (home.directory / "round").symlink_to(home.directory)
    (home.directory / "notes").symlink_to(home.directory / "traffic.log")
    (home.directory / "b.ndjson").symlink_to(home.directory / "a.ndjson")

    home.ingest()

    assert _seen(home) == [1]
    assert _open(home) == {"linked": "outside_directory"}
    assert list(Directory(home.directory).others()) == ["deep/notes.txt", "notes", "traffic.log"]
    assert list(place_of(str(tmp_path / "missing")).others()) == []


def test_what_an_older_version_read_is_read_once_more(home: Home) -> None:
    home.write("a.ndjson", _lines(1) + b"nonsense\n")
    home.write("b.ndjson", _lines(2))
    home.ingest()

    def as_before(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("UPDATE ops.webhook_files SET is_unfinished = NULL")
        connection.execute("DELETE FROM raw.webhook_events")

    with open_lake(home.settings) as lake:
        lake.write("forget", as_before)

    done = home.ingest()
    assert (done.files, done.new, done.rejected) == (2, 2, 0)
    assert list(_open(home).values()) == ["bad_json"]
    assert home.ingest().files == 0


def test_receive_times_of_which_an_older_version_kept_no_kind_become_those_of_a_new_home(
    home: Home, tmp_path: Path
) -> None:
    """It kept the earliest time of all copies, a file's modification time or a stated one."""
    bare = home.write("bare.ndjson", _lines(1, 2, 3))
    os.utime(bare, (0, 0))
    home.write("stated.ndjson", envelope(line(2)) + b"\n" + envelope(line(4)) + b"\n")
    home.ingest()
    columns = "delivery_id, received_at, is_stated FROM raw.webhook_events ORDER BY ALL"
    expected = stored(home.settings, f"SELECT {columns}")
    assert {row["is_stated"] for row in expected} == {True, False}

    def as_before(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("UPDATE ops.webhook_files SET is_unfinished = NULL")
        connection.execute("UPDATE raw.webhook_events SET is_stated = NULL")
        earliest = "least(received_at, to_timestamp(0))"
        numbers = "contains(body, 'text 1') OR contains(body, 'text 2') OR contains(body, 'text 3')"
        connection.execute(
            f"UPDATE raw.webhook_events SET received_at = {earliest} WHERE {numbers}"
        )

    with open_lake(home.settings) as lake:
        lake.write("as before", as_before)
    home.ingest()
    assert stored(home.settings, f"SELECT {columns}") == expected


def test_a_receive_time_of_an_older_version_stays_where_its_file_is_gone(home: Home) -> None:
    home.write("stated.ndjson", envelope(line(1)) + b"\n")
    home.ingest()
    with open_lake(home.settings) as lake:
        lake.write(
            "as before",
            lambda c: c.execute("UPDATE raw.webhook_events SET is_stated = NULL") and None,
        )
    (home.directory / "stated.ndjson").unlink()
    os.utime(home.write("bare.ndjson", _lines(1)), (0, 0))
    home.ingest()
    (event,) = home.events()
    assert (event["received_at"].year, event["is_stated"]) == (2026, None)
