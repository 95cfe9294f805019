"""What the list of streams says of a stream shows on its assets and in the schedules."""

from __future__ import annotations

import dagster as dg

from assets.checks import raw_key
from hatif.streams import STREAMS
from pipelines.definitions import defs
from warehouse.models.model import models_of


def _tags(key: dg.AssetKey) -> dict[str, str]:
    return dict(defs.resolve_asset_graph().get(key).tags)


def test_a_stream_and_its_tables_carry_its_pace_and_whether_they_hold_personal_data() -> None:
    for name, stream in STREAMS.items():
        tables = [dg.AssetKey([model.schema, model.name]) for model in models_of(name)]
        for key in (raw_key(name), *tables):
            tags = _tags(key)
            assert tags["pace"] == ("hour" if stream.is_hourly else "quarter_hour")
            assert ("pii" in tags) == stream.is_personal


def test_tables_made_of_several_streams_hold_personal_data_where_they_name_a_person() -> None:
    assert "pii" in _tags(dg.AssetKey(["marts", "contact_summary"]))
    assert "pii" in _tags(dg.AssetKey(["core", "messages"]))
    assert "pii" not in _tags(dg.AssetKey(["marts", "channel_daily"]))


def test_every_stream_is_read_by_one_of_the_two_frequent_jobs() -> None:
    def streams(job: str) -> set[str]:
        selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
        return {key.path[1] for key in selected if key.path[0] == "raw" and key.path[1] in STREAMS}

    hourly = {name for name, stream in STREAMS.items() if stream.is_hourly}
    assert streams("hot_sync") == set(STREAMS) - hourly
    assert streams("contacts_sync") == hourly | {"property_definitions"}
