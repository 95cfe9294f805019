"""Objects of a bucket: read as files are, though nothing can be wound back in them."""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from pyarrow import fs

from hatif.errors import BucketUnreachable
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import Bucket, place_of
from tests.warehouse.webhooks.conftest import Home, envelope, line
from warehouse.lake.schema import open_lake
from warehouse.webhooks.ingest import Ingested, ingest


def _lines(*numbers: int) -> bytes:
    return b"".join(line(n) + b"\n" for n in numbers)


def _collect(home: Home) -> Ingested:
    bucket = Bucket(fs.LocalFileSystem(), str(home.directory))
    with open_lake(home.settings) as lake:
        return ingest(lake, bucket, Secrets(""))


def _seen(home: Home) -> list[int]:
    return sorted(int(json.loads(body)["body"].split()[1]) for body in home.bodies())


def test_objects_that_grow_shrink_or_are_replaced_are_read_again(home: Home) -> None:
    home.write("grows.ndjson", _lines(1) + line(2)[:40])
    home.write("other.ndjson", _lines(3, 4))
    home.write("deep/packed.ndjson.gz", gzip.compress(_lines(5)))
    home.write("deep/one.json", envelope(line(6)))
    assert _collect(home).new == 5
    assert _collect(home).files == 0

    home.write("grows.ndjson", _lines(1, 2, 7))
    home.write("other.ndjson", _lines(8))
    home.write("deep/packed.ndjson.gz", gzip.compress(_lines(5, 9)))
    home.write("deep/one.json", b"[" + line(10) + b"]")
    done = _collect(home)

    assert (done.files, done.new, done.rejected) == (4, 5, 0)
    assert _seen(home) == list(range(1, 11))
    assert home.rejects() == []


class _Breaking(io.BytesIO):
    """An object whose second portion the service refuses once."""

    has_broken = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() and not self.has_broken:
            self.has_broken = True
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")
        return super().read(size)


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_an_answer_that_breaks_off_is_not_taken_for_damaged_content(
    home: Home, monkeypatch: pytest.MonkeyPatch, packing: str
) -> None:
    noise = random.Random(7).randbytes(600_000).hex().encode()  # large, also when packed
    content = _lines(*range(20)) + b'{"noise": "' + noise + b'"}\n'
    packed = gzip.compress(content) if packing == "gz" else zstandard.compress(content)
    home.write(f"packed.ndjson.{packing}", packed)
    local = fs.LocalFileSystem()
    with monkeypatch.context() as patch:
        breaking = SimpleNamespace(
            get_file_info=local.get_file_info,
            open_input_stream=lambda *_, **__: _Breaking(packed),
        )
        patch.setattr(fs, "LocalFileSystem", lambda: breaking)
        _collect(home)
    assert [reject["reason"] for reject in home.rejects()] == ["unreadable"]
    assert _collect(home).deliveries == 20
    assert _seen(home) == list(range(20))


def test_a_bucket_that_cannot_be_listed_is_said_without_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    nobody = "s3://hooks/in?endpoint_override=http://127.0.0.1:9&region=us-east-1"
    named = r"cannot list s3://hooks/in \(NETWORK_CONNECTION"
    with pytest.raises(BucketUnreachable, match=named) as caught:
        list(place_of(nobody).files())
    assert caught.value.transient


def test_a_prefix_without_objects_is_like_an_empty_directory_and_no_bucket_is_an_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "bucket").mkdir()
    here = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    assert list(Bucket(here, "bucket/nothing").files()) == []
    with pytest.raises(BucketUnreachable, match="there is no bucket missing") as caught:
        list(Bucket(here, "missing/nothing").files())
    assert not caught.value.transient
