"""The seeded world: its size, its unevenness, and that it is the same every time."""

from datetime import UTC, datetime

import pytest

from rehearsal import WorldSpec
from rehearsal.stage import Stage

TABLES = ("users", "contacts", "conversations", "timeline_events", "contact_history")


def test_the_same_seed_makes_the_same_world_and_another_makes_another():
    spec = WorldSpec(contacts=40, conversations=40, events=400)
    first, second = Stage(spec), Stage(spec)
    other = Stage(WorldSpec(seed=8, contacts=40, conversations=40, events=400))
    for table in TABLES:
        assert first.truth(table) == second.truth(table)
    assert first.client_secret == second.client_secret != other.client_secret
    assert first.truth("contacts") != other.truth("contacts")


def test_it_has_the_size_that_was_asked_for():
    spec = WorldSpec(contacts=80, conversations=100, events=4_000, channels=3, users=5, tags=20)
    counts = Stage(spec).truth_counts()
    assert (counts["contacts"], counts["conversations"], counts["timelines"]) == (80, 100, 4_000)
    assert (counts["channels"], counts["users"], counts["tags"]) == (3, 5, 20)


def test_timelines_are_uneven_some_very_long_some_empty():
    lengths = [row["event_count"] for row in Stage().truth("conversations")]
    assert max(lengths) > 500
    assert min(lengths) == 0


def test_a_contact_has_one_conversation_a_channel():
    talks = Stage().truth("conversations")
    assert len({(row["contact_id"], row["channel_id"]) for row in talks}) == len(talks)


def test_nothing_is_later_than_now():
    spec = WorldSpec(now=datetime(2026, 3, 1, tzinfo=UTC))
    stage = Stage(spec)
    assert max(row["occurred_at"] for row in stage.truth("timeline_events")) <= spec.now
    assert max(row["created_at"] for row in stage.truth("contacts")) <= spec.now


def test_an_empty_workspace_is_a_workspace():
    counts = Stage(WorldSpec(contacts=0, conversations=0, events=0, tags=0)).truth_counts()
    assert (counts["contacts"], counts["timelines"], counts["users"]) == (0, 0, 8)


@pytest.mark.parametrize(
    "impossible",
    [{"channels": 0}, {"contacts": 1, "conversations": 3}, {"contacts": 0, "conversations": 0}],
)
def test_impossible_worlds_are_refused(impossible):
    with pytest.raises(ValueError, match=r"needs|too many|need a"):
        WorldSpec(**impossible)
