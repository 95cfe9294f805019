"""Webhook files in a bucket: strange keys, refused reads; one never stops another."""

from __future__ import annotations

import gzip
from pathlib import Path

from hatif.webhooks.sources import place_of
from tests.cluster.conftest import Stores, client
from tests.cluster.proxies import S3Proxy
from tests.comparison import stored
from tests.warehouse.webhooks.conftest import line
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

_READABLE = (
    "plain.json",
    "a b+c%2F&?=#.ndjson",
    "\u00c4-\u0645\u0631.json",
    "*?[a].json",
    "q'uote\".json",
    "%00.json",
    f"{'long' * 200}.json",
)
#: Arrow reads keys as paths, so nothing of these can be read.
_ODD = ("/lead.json", "a//b.json", "../up.json", "./dot.json")
_REJECTS = "SELECT location, reason FROM ops.rejects WHERE replayed_at IS NULL ORDER BY ALL"
_EVENTS = "SELECT count(*) AS events FROM raw.webhook_events"
_PACKED = "packed.ndjson.gz"


def is_read(method: str, path: str) -> bool:
    return method == "GET" and path.endswith(_PACKED)


def test_one_object_never_keeps_another_from_being_read(
    stores: Stores, proxy: S3Proxy, tmp_path: Path
) -> None:
    place = f"s3://{stores.bucket}/webhooks"
    settings = Settings.load(home=tmp_path, webhook_dir=place, **stores.settings)
    packed = gzip.compress(b"".join(line(number) + b"\n" for number in range(100, 300)))
    contents = {key: line(number) + b"\n" for number, key in enumerate((*_READABLE, *_ODD))}
    for key, content in {**contents, _PACKED: packed}.items():
        client(stores.s3).put_object(Bucket=stores.bucket, Key=f"webhooks/{key}", Body=content)
    # Denied, since Amazon's library tries again for seconds what is cut.
    proxy.trouble = lambda method, path: (403, "AccessDenied") if is_read(method, path) else None
    with open_lake(settings) as lake:
        ingest(lake, place_of(settings.webhook_location), settings.secrets)
        odd = [{"location": key, "reason": "unreadable"} for key in sorted(_ODD)]
        refused = {"location": _PACKED, "reason": "unreadable"}
        assert stored(settings, _REJECTS) == [*odd, refused]
        assert stored(settings, _EVENTS) == [{"events": len(_READABLE)}]
        proxy.trouble = lambda *_: None
        ingest(lake, place_of(settings.webhook_location), settings.secrets)
    assert stored(settings, _REJECTS) == odd
    assert stored(settings, _EVENTS) == [{"events": len(_READABLE) + 200}]
