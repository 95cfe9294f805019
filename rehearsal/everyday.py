"""An ordinary minute, for watching webhooks arrive."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from rehearsal.passage import Passage
from rehearsal.stage import Stage

_MINUTE = timedelta(minutes=1)
_HAPPENINGS = dict.fromkeys(asdict(Passage()), 0) | {
    "messages": 4,
    "status_changes": 6,
    "late_summaries": 1,
}


def live_a_minute(stage: Stage, directory: Path | None) -> None:
    """Let a minute pass; its webhooks are posted if a URL is given, and written to files here."""
    since = stage.now
    stage.advance(_MINUTE, **_HAPPENINGS)
    if directory is not None:
        stage.write_webhooks(directory, since)
