"""Each request of an incremental sync is spent on something that changed; nothing is lost by it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.comparison import differences
from tests.conftest import Serve, settings_for, sync


def test_an_unchanged_service_costs_a_handful_of_requests(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")
    sync(settings)
    assert differences(settings, server) == []
    asked = len(server.requests)
    results = sync(settings)
    print(
        server.requests_by_stream(),
        [(r.method, r.path[-50:], r.query) for r in server.requests[asked:]],
    )
    assert len(server.requests) - asked <= 8
    for i in range(5):
        asked = len(server.requests)
        server.advance(timedelta(hours=6), deleted_conversations=1, deleted_tags=1)
        results = sync(settings)
        d = differences(settings, server)
        print(
            i,
            len(server.requests) - asked,
            {k: (v.status, v.rows_changed, v.requests, v.message) for k, v in results.items()},
            d,
        )
    assert 0
