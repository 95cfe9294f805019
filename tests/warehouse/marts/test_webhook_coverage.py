"""Which messages the timelines, the webhooks, or both reported, by day and channel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_webhooks_arrive import _collect, _settings
from tests.comparison import stored
from tests.conftest import Serve, sync


def test_coverage_counts_what_webhooks_missed(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=30, conversations=25, events=500)
    settings = _settings(server, tmp_path / "home")
    sync(settings)
    server.write_webhooks(Path(settings.webhook_location), lost=0.3)
    _collect(settings)

    (row,) = stored(
        settings,
        """
        WITH counted AS (
            SELECT count(*) FILTER (in_timeline) AS t, count(*) FILTER (in_webhooks) AS w,
                count(*) FILTER (in_timeline AND in_webhooks) AS b FROM core.messages
        )
        SELECT sum(timeline_messages) - any_value(t) AS timeline,
            sum(webhook_messages) - any_value(w) AS webhooks, sum(c.both) - any_value(b) AS both,
            sum(only_timeline) - any_value(t - b) AS only_timeline,
            sum(only_webhooks) - any_value(w - b) AS only_webhooks,
            min(coverage) AS least, max(coverage) AS most, any_value(b < t) AS some_were_missed
        FROM marts.webhook_coverage_daily c, counted
        """,
    )

    assert row.pop("some_were_missed") is True
    assert 0 <= row.pop("least") < row.pop("most") == pytest.approx(1)
    assert set(row.values()) == {0}
