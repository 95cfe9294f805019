"""The commands of docs/cluster.md, with the names of servers that are here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cluster.conftest import Stores

ROOT = Path(__file__).parents[2]


def test_the_commands_of_the_page_lead_to_a_store_in_order(stores: Stores, tmp_path: Path) -> None:
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"\n## Settings\n(.*?)\n## ", page, re.DOTALL)
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    where = f"hatif@{stores.postgres.host}:{stores.postgres.port}/{stores.database}"
    for stated, ours in (
        ("pip install", "true"),
        ("hatif_sync@db.example/hatif", where),
        ("s3://bucket", f"s3://{stores.bucket}"),
        ("AWS_ACCESS_KEY_ID=…", "AWS_ACCESS_KEY_ID=testing"),
        ("AWS_SECRET_ACCESS_KEY=…", "AWS_SECRET_ACCESS_KEY=secret"),
    ):
        assert stated in block
        block = block.replace(stated, ours)
    done = subprocess.run(
        ["bash", "-uc", block],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in ("a lock can be taken and freed", "an object was written, read and removed"):
        assert line in " ".join(done.stdout.split()), done.stdout + done.stderr
