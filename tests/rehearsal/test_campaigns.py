"""Campaigns of the workspace, as they are sent, seen over HTTP, and known to the control side."""

from dataclasses import replace

import httpx
import pytest

from rehearsal import RehearsalServer, WorldSpec
from rehearsal.webhooks.messages import facts
from rehearsal.world import World
from tests.rehearsal.conftest import CONVERSATION, Client

_PLAIN = WorldSpec(contacts=130, conversations=130, events=300)
_SPEC = replace(_PLAIN, campaigns=True)


@pytest.fixture(scope="module")
def sending():
    """A server whose workspace sent campaigns; nobody may change it."""
    with RehearsalServer(_SPEC) as server:
        yield server


def test_a_workspace_without_campaigns_has_no_template_and_the_same_records(calm):
    for path in ("templates", "truth/campaigns", "truth/campaign_messages"):
        assert calm.get(f"/_rehearsal/{path}").json() == []
    plain, more = World(_PLAIN), World(_SPEC)
    assert plain.contacts.keys() == more.contacts.keys()
    assert plain.guid(plain.now) == more.guid(more.now)


def test_campaigns_overlap_are_sent_again_and_known_by_the_control_side(sending):
    templates = httpx.get(f"{sending.url}/_rehearsal/templates").json()
    assert {one["language"] for one in templates} == {"ar", "en"}
    sent = {one.plan.key: one.events for one in sending.world.campaigns}
    first, other = sent["two languages"], sent["at the same time"]
    assert first[0].at < other[0].at < first[-1].at
    failed = {event.conversation for event in first if event.status == "Failed"}
    assert {event.conversation for event in sent["to those it failed for"]} == failed
    assert len(sent["too few"]) < 10 == len(sent["as few as may be"])
    for one, later in (("two languages", "a week later"), ("a text", "the text a week later")):
        assert 6 < (sent[later][0].at - sent[one][0].at) / 86_400e6 < 8


def test_messages_of_campaigns_are_in_timelines_and_templates_to_webhooks(sending):
    client = Client(sending).log_in()
    for sent in sending.world.campaigns:
        event = sent.events[0]
        timeline = client.all(f"{CONVERSATION}/{event.conversation.id}/timeline")
        assert event.body in {row["body"] for row in timeline if row["eventid"] == event.id}
        assert facts(sending.world, event).type == "Template"
    client.http.close()
