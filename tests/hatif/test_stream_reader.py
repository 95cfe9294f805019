"""A stream of many lists: one that fails leaves the others; what stops a stream says why."""

import anyio
import pytest

from hatif import stream_reader
from hatif import stream_reader as reader_module
from hatif.budget import Budget
from hatif.deletions import settle
from hatif.errors import (
    BrakeHeld,
    ClockChanged,
    EndpointUnavailable,
    Forbidden,
    ListsFailed,
    RequestLimitReached,
    ServerFault,
    StreamError,
)
from hatif.reading import Quiet
from hatif.sink import FixedPlan
from hatif.stream_reader import StreamReader
from hatif.streams import STREAMS
from rehearsal import Actions, Fault
from tests.hatif.conftest import HASTY, SPELLING, asked, connected, some_channel
from tests.hatif.memory import Memory


class Reported(Quiet):
    def __init__(self):
        self.events = []

    def started(self, _, total, unit):
        self.events.append(("started", total, unit))

    def advanced(self, _, by, total=None):
        self.events.append(("advanced", by, total))


def read(server, name, sink, *, tasks=4, settled=False, share=0.1, progress=None, **options):
    """Read a stream, and settle it if asked to; the result, whatever happens, is in `seen`."""

    async def main():
        async with connected(server, **options) as client:
            reader = StreamReader(
                client,
                STREAMS[name],
                sink,
                spelling=SPELLING,
                progress=progress or Quiet(),
                clock=client.clock,
                tasks=tasks,
            )
            sink.reading = reader.reading
            await reader.read(sink.plan(STREAMS[name]))
            if settled:
                await settle(client, STREAMS[name], reader, sink, share=share, tasks=tasks)
            return reader.reading

    return anyio.run(main)


def talks(server):
    return sorted(server.world.conversations)


def events(server, *without):
    return {
        event.id
        for talk in server.world.conversations.values()
        for event in talk.events
        if talk.id not in without
    }


# --- reading


def test_all_lists_of_a_stream_are_read(server):
    sink = Memory(talks(server))
    reading = read(server, "timelines", sink)
    assert set(sink.stored["timelines"]) == events(server)
    assert reading.result.rows_read == reading.result.rows_changed == len(events(server))
    assert reading.result.requests == len(asked(server, "timelines"))
    assert (reading.result.scans, reading.missing) == (60, [])


@pytest.mark.parametrize("tasks", [1, 7, 64])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_tasks_than_lists_do_no_harm(server, tasks, count):
    sink = Memory(talks(server)[:count])
    assert read(server, "timelines", sink, tasks=tasks).result.scans == count


def test_each_batch_holds_the_pages_of_the_scans_that_end_with_it(server, monkeypatch):
    """A scan's certificate never comes before its pages, however small the batches."""
    monkeypatch.setattr(stream_reader, "BATCH_ROWS", 25)
    sink = Memory(talks(server))
    sink.slow = 0.005
    read(server, "timelines", sink, tasks=8)
    assert len(sink.batches) > 5
    met, ended = {}, set()
    for batch in sink.batches:
        for scanned in batch.pages:
            assert scanned.certificate.scan_id not in ended
            met[scanned.certificate.scan_id] = scanned.number
        for certificate in batch.ended:
            assert met[certificate.scan_id] == certificate.passes
            ended.add(certificate.scan_id)
    assert len(ended) == 60
    assert set(sink.stored["timelines"]) == events(server)


def test_old_batches_are_stored_though_they_are_small(server, monkeypatch):
    monkeypatch.setattr(stream_reader, "BATCH_SECONDS", 0.05)
    server.fault(Fault("slow", stream="timelines", every=1, params={"seconds": 0.03}))
    sink = Memory(talks(server)[:12])
    read(server, "timelines", sink, tasks=2)
    assert len(sink.batches) > 1
    assert len(sink.stored["timelines"]) > 0


def test_whoever_watches_is_told_units_that_add_up(server):
    reported = Reported()
    read(server, "timelines", Memory(talks(server)[:9]), progress=reported)
    assert reported.events[0] == ("started", 9, "conversations")
    assert sum(by for _, by, _ in reported.events[1:]) == 9
    reported = Reported()
    read(server, "users", Memory(), progress=reported)
    assert reported.events == [("started", None, "rows"), ("advanced", 8, None)]


def test_ten_faults_in_a_hundred_lose_nothing(server):
    server.fault_rate(0.1, seed=11)
    sink = Memory(talks(server))
    reading = read(server, "timelines", sink)
    assert set(sink.stored["timelines"]) == events(server)
    assert reading.result.requests == len(asked(server, "timelines"))
    assert reading.result.requests > 60


# --- failing


@pytest.mark.parametrize("kind", ["500", "garbage", "403_business", "403_scope", "404_html"])
def test_one_list_that_fails_leaves_the_others(server, kind):
    poor = talks(server)[7]
    server.fault(Fault(kind, path=f"{poor}/timeline", every=1))
    sink = Memory(talks(server))
    with pytest.raises(StreamError, match=r"timelines: 1 of 60 lists could not be read"):
        read(server, "timelines", sink)
    assert set(sink.stored["timelines"]) == events(server, poor)


def test_a_service_that_fails_everywhere_is_not_asked_for_every_list(server):
    server.fault(Fault("500", stream="timelines", every=1))
    with pytest.raises(ServerFault):
        read(server, "timelines", Memory(talks(server)), tasks=2)
    assert len(asked(server, "timelines")) <= 6 * HASTY.attempts


def test_a_scope_that_is_missing_is_said_as_such(server):
    server.fault(Fault("403_scope", stream="timelines", every=1))
    with pytest.raises(Forbidden, match="HATIF_SCOPE"):
        read(server, "timelines", Memory(talks(server)), tasks=2)
    assert len(asked(server, "timelines")) <= 7  # four in a row, one under way, two for evidence


def test_a_used_up_limit_keeps_what_was_read(server):
    sink = Memory(talks(server))
    with pytest.raises(RequestLimitReached):
        read(server, "timelines", sink, budget=Budget(0, at_most=21))
    assert len(server.requests) == 21
    assert len({c.parent_id for b in sink.batches for c in b.ended}) == 20


def test_a_sink_that_refuses_stops_the_stream_with_its_own_words(server):
    """Not with those of a task that was cut off because of it."""
    server.fault(Fault("slow", stream="timelines", every=3, params={"seconds": 0.01}))
    for slow in (0.0, 0.05):
        sink = Memory(talks(server) * 4)
        sink.slow, sink.fail = slow, StreamError("the disk is full")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream_reader, "BATCH_ROWS", 5)
            patch.setattr(reader_module, "_BUFFERED_PAGES", 1)
            with pytest.raises(StreamError, match="the disk is full"):
                read(server, "timelines", sink, tasks=8)


def test_a_bug_in_the_sink_is_not_hidden(server):
    sink = Memory(talks(server))
    sink.fail = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        read(server, "timelines", sink)


def test_parents_that_cannot_be_listed_stop_the_stream(server):
    class Broken(FixedPlan):
        def __iter__(self):
            yield from list(super().__iter__())[:3]
            raise StreamError("no more")

    class Uncountable(FixedPlan):
        @property
        def count(self):
            raise StreamError("no table")

    for kind, says in ((Broken, "no more"), (Uncountable, "no table")):
        sink = Memory(talks(server), plan=kind)
        with pytest.raises(StreamError, match=says):
            read(server, "timelines", sink)


def test_a_changed_clock_stops_the_stream_and_no_other(server):
    server.set_quirks(v1_times="utc_naive")
    sink = Memory()
    with pytest.raises(ClockChanged, match=r"contacts: timestamps are -180 minutes off"):
        read(server, "contacts", sink)
    assert "contacts" not in sink.stored
    assert read(server, "tags", sink).result.time_offset_minutes == 0
    server.set_quirks(v1_times="naive")
    assert read(server, "contacts", sink).result.time_offset_minutes == 0


# --- 404 from a child


def test_a_parent_that_is_gone_is_noted_and_is_no_failure(server):
    gone = "3a24a1b6-0000-0000-0000-000000000000"
    reading = read(server, "timelines", Memory([gone, *talks(server)[:5]]))
    assert reading.gone_parents == [gone]
    assert len(asked(server, "conversation")) == 1


def test_a_childs_404_beside_a_living_parent_deletes_nothing(server):
    poor = talks(server)[3]
    server.fault(Fault("404_abp", path=f"{poor}/timeline", every=1))
    sink = Memory(talks(server))
    sink.stored["timelines"] = {"old": poor}
    with pytest.raises(StreamError, match="1 of 60"):
        read(server, "timelines", sink, settled=True)
    assert sink.buried == []
    assert sink.reading.gone_parents == []
    assert "old" in sink.stored["timelines"]


@pytest.mark.parametrize("tasks", [1, 4, 8])
def test_an_endpoint_that_is_missing_for_everybody_is_given_up_soon(server, tasks):
    server.set_quirks(history="missing")
    sink = Memory(sorted(server.world.contacts))
    with pytest.raises(EndpointUnavailable, match=r"404.*that live.*nothing was deleted"):
        read(server, "contact_history", sink, tasks=tasks)
    assert len(asked(server, "contact_history")) <= 3 * tasks + 1
    assert sink.buried == []


def test_a_parent_whose_address_fails_is_one_failure_of_many(server):
    poor = talks(server)[3]
    server.fault(Fault("404_abp", path=f"{poor}/timeline", every=1))
    server.fault(Fault("500", stream="conversation", every=1))
    with pytest.raises(StreamError, match="1 of 60 lists"):
        read(server, "timelines", Memory(talks(server)))


# --- deletions


def strangers(count):
    return [f"3a24a1b6-0000-0000-0000-{n:012}" for n in range(count)]


def test_a_missing_record_is_deleted_only_after_its_own_404(server):
    sink = Memory()
    sink.stored["contacts"] = dict.fromkeys(strangers(3))
    reading = read(server, "contacts", sink, settled=True)
    assert [record_id for _, record_id in sink.buried] == strangers(3)
    assert (reading.result.deleted, len(asked(server, "contact"))) == (3, 3)


def test_what_was_proven_before_the_limit_is_not_asked_for_again(server):
    sink = Memory()
    sink.stored["contacts"] = dict.fromkeys(strangers(9))
    with pytest.raises(RequestLimitReached):
        read(server, "contacts", sink, settled=True, tasks=1, budget=Budget(0, at_most=6))
    assert [record_id for _, record_id in sink.buried] == strangers(4)


def test_a_missing_record_that_lives_at_its_own_address_stays(server):
    lost = sorted(server.world.contacts)[0]
    sink = Memory()
    sink.stored["contacts"] = {lost: None}

    def hide(stage):
        stage.hidden = stage.world.contacts.pop(lost)
        stage.world.changed()

    def show(stage):
        stage.world.contacts[lost] = stage.hidden
        stage.world.changed()

    server.fault(Fault(stream="contacts", then=hide))
    server.fault(Fault(stream="contact", then=show))
    reading = read(server, "contacts", sink, settled=True)
    assert (sink.buried, len(asked(server, "contact"))) == ([], 1)
    assert reading.result.unproven == 1
    assert "1 records live at their own address" in reading.result.message


def test_the_brake_comes_before_any_confirming_request(server):
    sink = Memory()
    sink.limit = 50
    sink.stored["contacts"] = dict.fromkeys(strangers(51))
    with pytest.raises(BrakeHeld):
        read(server, "contacts", sink, settled=True)
    assert (sink.buried, asked(server, "contact")) == ([], [])
    read(server, "contacts", sink, settled=True, share=None)
    assert len(sink.buried) == 51


@pytest.mark.parametrize("kind", ["404_html", "500", "403_business", "403_scope", "502"])
def test_only_the_services_own_404_buries(server, kind):
    sink = Memory()
    sink.stored["contacts"] = dict.fromkeys(strangers(2))
    server.fault(Fault(kind, stream="contact", every=1))
    with pytest.raises(ListsFailed, match="2 of 2 records that are missing") as caught:
        read(server, "contacts", sink, settled=True)
    assert caught.value.others_read, "contacts were read: their histories need not wait"
    assert sink.buried == []


def test_without_an_own_address_a_second_look_decides(server):
    sink = Memory()
    sink.stored["tags"] = dict.fromkeys(strangers(2))
    read(server, "tags", sink, settled=True)
    assert [record_id for _, record_id in sink.buried] == strangers(2)
    assert len(asked(server, "tags")) == 2


def test_a_record_that_was_missing_once_stays(server):
    hidden = {}

    def hide(stage):
        tag_id = next(iter(stage.world.tags))
        hidden[tag_id] = stage.world.tags.pop(tag_id)
        stage.world.changed()

    def show(stage):
        stage.world.tags.update(hidden)
        stage.world.changed()

    sink = Memory()
    sink.stored["tags"] = dict.fromkeys(server.world.tags)
    server.fault(Fault(stream="tags", nth=1, then=hide))
    server.fault(Fault(stream="tags", nth=2, then=show))
    read(server, "tags", sink, settled=True)
    assert (sink.buried, len(asked(server, "tags"))) == ([], 2)


def test_a_stored_record_that_has_turned_bad_is_not_deleted(server):
    """It has no id any more; for all one can tell the bad record is the missing one."""
    sink = Memory()
    sink.stored["tags"] = dict.fromkeys(strangers(1))
    server.fault(Fault("bad_records", stream="tags", params={"kinds": ["no_id"]}))
    read(server, "tags", sink, settled=True)
    assert (sink.buried, len(sink.rejects)) == ([], 1)


def test_events_are_looked_for_again_only_in_the_lists_they_are_missing_from(server):
    sink = Memory(talks(server))
    sink.stored["timelines"] = dict(zip(strangers(2), talks(server)[:2], strict=True))
    reading = read(server, "timelines", sink, settled=True)
    assert [record_id for _, record_id in sink.buried] == strangers(2)
    assert len(asked(server, "timelines")) == reading.result.requests == 62
    assert reading.result.scans == 60


def test_a_gone_parent_is_buried_where_it_is_stored(server):
    gone = strangers(1)
    sink = Memory([*gone, *talks(server)[:5]])
    read(server, "timelines", sink, settled=True)
    assert sink.buried == [("conversations", gone[0])]


def test_an_unproven_list_proves_no_absence(own):
    server = own(contacts=1200, conversations=0, events=0)
    server.fault(Fault(stream="contacts", every=2, then=Actions.delete_read_contacts(1)))
    sink = Memory()
    sink.stored["contacts"] = dict.fromkeys(strangers(3))
    reading = read(server, "contacts", sink, settled=True)
    assert (reading.result.unproven, sink.buried) == (1, [])


def test_conversations_of_every_channel_are_read_under_their_channel(server):
    sink = Memory(sorted(server.world.channels))
    read(server, "conversations", sink)
    assert set(sink.stored["conversations"]) == set(server.world.conversations)
    channel, inside = some_channel(server)
    assert {i for i, parent in sink.stored["conversations"].items() if parent == channel} == set(
        inside
    )
