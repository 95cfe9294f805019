"""Backup, destroy, restore, in the order of docs/cluster.md: the next sync goes on."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

from hatif.webhooks.sources import place_of
from tests.cluster.conftest import Stores, client
from tests.cluster.workers import ROOT
from tests.comparison import differences, message_differences, stored
from tests.conftest import Serve, full_sync, settings_for, sync
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.merge import messages
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest


def collect(settings: Settings, folder: Path) -> None:
    with open_lake(settings) as lake:
        ingest(lake, place_of(str(folder)), settings.secrets)
        messages.merge(lake)


def test_after_a_restore_to_another_database_and_prefix_nothing_is_missing_or_there_twice(
    stores: Stores, serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=15, conversations=10, events=150)
    more = {"webhook_secrets": server.webhook_secrets_setting}
    settings = settings_for(server, tmp_path / "home", **stores.settings, **more)
    webhooks = tmp_path / "webhooks"
    server.write_webhooks(webhooks)
    full_sync(settings)
    collect(settings, webhooks)
    stores.postgres.dump(stores.database, "catalog.dump")
    before = server.now
    server.advance(timedelta(hours=6))
    server.write_webhooks(webhooks, before)
    sync(settings)
    with open_lake(settings) as lake:
        maintain(lake, patience=0)
    bucket, s3 = stores.bucket, client(stores.s3)
    copied = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in stores.objects()}
    for key in copied:
        s3.delete_object(Bucket=bucket, Key=key)
    with stores.postgres.session() as session:
        session.execute(f'DROP DATABASE "{stores.database}" WITH (FORCE)')
        session.execute(f'CREATE DATABASE "{stores.database}-2"')
    shutil.rmtree(settings.home)

    stores.postgres.restore("catalog.dump", f"{stores.database}-2")
    for key, content in copied.items():
        s3.put_object(Bucket=bucket, Key=key.replace("lake/", "other/", 1), Body=content)
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    (statement,) = re.findall(r"```sql\n(UPDATE .*?)```", page, re.DOTALL)
    with stores.postgres.session(f"{stores.database}-2") as session:
        session.execute(statement.replace("s3://other/prefix/", f"s3://{bucket}/other/"))
    places = {
        "catalog": f"postgres:{stores.postgres.dsn(f'{stores.database}-2')}",
        "lake": f"s3://{bucket}/other",
    }
    restored = settings_for(server, tmp_path / "restored", **places, **more)
    sync(restored)
    collect(restored, webhooks)
    assert differences(restored, server) == []
    assert message_differences(restored, server) == []
    twice = "SELECT message_key FROM core.messages GROUP BY ALL HAVING count(*) > 1"
    assert stored(restored, twice) == []
    assert stores.objects("lake/") == {}
