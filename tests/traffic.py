"""A month of webhooks for tests of merging and billing: repeated, out of order, one in 20 lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from rehearsal.stage import Stage
from rehearsal.webhooks import Written

MONTH = timedelta(days=30)


def month_of_traffic(stage: Stage, directory: Path, **rates: Any) -> Written:
    """Write the webhooks of the world's last 30 days; ``stage.billing()`` has the truth after it.

    Args:
        stage: the world, or a server that serves it.
        directory: where the files go.
        rates: fields of Transport to change.
    """
    usual: dict[str, Any] = {"lost": 0.05, "repeated": 0.1, "reordered": 0.3, "late": 0.1}
    return stage.write_webhooks(directory, stage.now - MONTH, **usual | rates)
