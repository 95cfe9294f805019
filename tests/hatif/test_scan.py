"""A scan reads a list that moves while it is read, and says how far it can be trusted."""

from dataclasses import replace

import pytest

from hatif.errors import StreamError
from hatif.page_reader import PageSize
from hatif.streams import STREAMS, Order
from rehearsal import Actions, Fault, Quirks
from tests.hatif.conftest import asked, read, some_channel


def contact_ids(server):
    return set(server.world.contacts)


def talk_ids(server):
    return set(some_channel(server)[1])


def read_talks(server, **options):
    return read(server, "conversations", some_channel(server)[0], **options)


# --- how large a page may be


def test_a_silent_cap_loses_nothing(own):
    server = own(Quirks(page_cap=50), contacts=1000, conversations=0, events=0)
    size = PageSize(100)
    result = read(server, "contacts", size=size)
    assert (result.verdict, len(result.ids)) == ("complete", 1000)
    assert size.rows == 50
    assert result.certificate.requests <= 2 * 22


def test_a_cap_that_comes_in_the_middle_loses_nothing(own):
    server = own(contacts=500, conversations=0, events=0)
    server.fault(Fault(stream="contacts", nth=3, then=Actions.page_cap(50)))
    result = read(server, "contacts")
    assert (result.verdict, len(result.ids)) == ("complete", 500)


@pytest.mark.parametrize("cap", [1, 2, 3])
@pytest.mark.parametrize("name", ["contacts", "conversations"])
def test_the_smallest_pages_still_make_a_list(server, cap, name):
    server.set_quirks(page_cap=cap)
    result = read(server, "contacts") if name == "contacts" else read_talks(server)
    assert result.verdict == "complete"
    assert result.ids == (contact_ids(server) if name == "contacts" else talk_ids(server))
    assert result.certificate.requests <= 2 * (60 + 2)


def test_a_refused_page_size_is_halved_until_it_is_taken(server):
    server.set_quirks(max_page=30)
    size = PageSize(500)
    result = read(server, "contacts", size=size)
    assert (result.verdict, len(result.ids), size.rows) == ("complete", 60, 15)
    assert sum(r.status == 400 for r in server.requests) == 5


def test_a_maximum_that_comes_in_the_middle_is_learned(own):
    server = own(contacts=300, conversations=0, events=0)
    server.fault(Fault(stream="contacts", nth=2, then=Actions.max_page(40)))
    result = read(server, "contacts")
    assert (result.verdict, len(result.ids)) == ("complete", 300)


def test_one_short_page_is_no_cap(own):
    """A row vanished between the service's count and its page; nobody asks for two rows now."""
    size = PageSize(500)
    size_before = size.rows
    server = own(contacts=20, conversations=0, events=0)
    server.fault(Fault(stream="contacts", nth=1, then=Actions.page_cap(19)))
    server.fault(Fault(stream="contacts", nth=2, then=Actions.page_cap(0)))
    read(server, "contacts", size=size)
    assert size.rows == size_before


# --- how long a list is


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 21, 39, 40, 60])
def test_a_list_of_any_length_is_read_to_its_end(own, count):
    server = own(contacts=count, conversations=0, events=0)
    result = read(server, "contacts", size=20)
    assert (result.verdict, result.ids) == ("complete", contact_ids(server))
    certificate = result.certificate
    assert (certificate.total_before, certificate.total_after) == (count, count)
    assert certificate.distinct_ids == count
    assert certificate.requests <= 2 * (count // 19 + 2)


def test_one_answer_needs_no_second(server):
    assert read(server, "contacts", size=100).certificate.requests == 1


@pytest.mark.parametrize("size", [10, 20, 200])
def test_an_order_that_holds_needs_one_pass_and_a_last_look(own, size):
    server = own(contacts=400, conversations=400, events=800, channels=1)
    result = read_talks(server, size=size)
    assert (result.verdict, result.ids) == ("complete", talk_ids(server))
    assert result.certificate.passes == 1


def test_an_order_that_does_not_hold_is_not_believed(server):
    """The rows come by creation; what was asked for is another order."""
    server.set_quirks(ignore_sorting=True)
    stream = replace(STREAMS["contacts"], order=Order("Name DESC", "name"))
    result = read(server, stream, size=20)
    assert (result.verdict, result.certificate.passes) == ("complete", 2)
    assert result.ids == contact_ids(server)


def test_lists_that_are_not_paged_are_one_answer(server):
    for name, count in (("users", 8), ("property_definitions", 8)):
        result = read(server, name)
        assert (result.verdict, len(result.ids), result.certificate.requests) == (
            "complete",
            count,
            1,
        )


# --- lists that move


def test_rows_deleted_behind_the_scan_take_no_living_row_with_them(own):
    server = own(contacts=1000, conversations=0, events=0)
    before = contact_ids(server)
    server.fault(Fault(stream="contacts", nth=4, then=Actions.delete_read_contacts(20)))
    result = read(server, "contacts")
    dead = before - contact_ids(server)
    assert len(dead) == 20
    assert (result.verdict, result.ids) == ("repaired", contact_ids(server))


def test_conversations_deleted_behind_the_scan_take_no_living_one_with_them(own):
    server = own(contacts=300, conversations=300, events=300, channels=1)
    server.fault(Fault(stream="conversations", nth=4, then=Actions.delete_read_conversations(20)))
    result = read_talks(server, size=50)
    assert (result.verdict, result.ids, len(result.ids)) == ("repaired", talk_ids(server), 280)


@pytest.mark.parametrize("count", [2, 30, 120])
@pytest.mark.parametrize("which", ["unread_conversations_jump", "read_conversations_jump"])
def test_conversations_that_jump_to_the_front_are_not_lost(own, which, count):
    server = own(contacts=300, conversations=300, events=300, channels=1)
    action = getattr(Actions, which)(count)
    server.fault(Fault(stream="conversations", nth=3, then=action))
    result = read_talks(server, size=50)
    assert (result.verdict, result.ids) == ("repaired", talk_ids(server))
    assert result.certificate.requests < 30


def test_rows_that_jump_in_a_list_without_an_order_are_not_lost(own):
    """Contacts sorted by their last change, as a service might: nobody asked, nobody knows."""
    server = own(contacts=300, conversations=0, events=0)

    def jump(stage):
        for contact_id in list(stage.world.contacts)[:2]:  # the oldest come last
            contact = stage.world.contacts[contact_id]
            contact.created = stage.world.now
        stage.world.changed()

    server.fault(Fault(stream="contacts", nth=3, then=jump))
    result = read(server, "contacts", size=50)
    assert (result.verdict, result.ids) == ("repaired", contact_ids(server))


def test_rows_that_arrive_meanwhile_are_read_too(own):
    server = own(contacts=300, conversations=0, events=0)
    server.fault(Fault(stream="contacts", nth=3, then=Actions.add_contacts(7)))
    result = read(server, "contacts", size=50)
    assert (result.verdict, result.ids, len(result.ids)) == ("repaired", contact_ids(server), 307)


@pytest.mark.parametrize("name", ["contacts", "conversations"])
@pytest.mark.parametrize("cap", [1, 3, 20])
def test_a_row_gone_and_a_row_come_at_once_are_both_noticed(own, name, cap):
    """The pages fit each other and the counts agree, and yet a row was missed."""
    server = own(contacts=70, conversations=70, events=70, channels=1)

    def swap(stage):
        if name == "contacts":
            Actions.delete_read_contacts(1)(stage)
            last = stage.world.contacts[next(iter(stage.world.contacts))]
            last.created = stage.world.now
            stage.world.changed()
        else:
            Actions.unread_conversations_jump(1)(stage)
            Actions.delete_read_conversations(1)(stage)

    server.fault(Fault(stream=name, nth=3, then=swap))
    result = read(server, name, size=cap) if name == "contacts" else read_talks(server, size=cap)
    living = contact_ids(server) if name == "contacts" else talk_ids(server)
    assert (result.verdict, result.ids, len(result.ids)) == ("repaired", living, 69)


def test_a_row_gone_from_a_list_of_single_rows_is_noticed(own):
    """Pages of one row do not overlap, so even a kept order proves nothing alone."""
    server = own(contacts=30, conversations=30, events=30, channels=1)
    server.fault(Fault(stream="conversations", nth=10, then=Actions.delete_read_conversations(1)))
    result = read_talks(server, size=1)
    assert (result.verdict, result.ids) == ("repaired", talk_ids(server))


def test_a_list_that_never_stops_moving_is_unproven_and_still_read(own):
    server = own(contacts=200, conversations=0, events=0)
    server.fault(Fault(stream="contacts", every=2, then=Actions.delete_read_contacts(1)))
    result = read(server, "contacts", size=50)
    assert result.verdict == "unproven"
    assert contact_ids(server) <= result.all_ids
    assert result.certificate.passes == 6
    assert result.certificate.requests <= 36


# --- lists that do not say what they should


def test_bad_records_keep_their_places_and_cost_no_certificate(own):
    server = own(contacts=100, conversations=0, events=0)
    for _ in range(2):
        server.fault(Fault("bad_records", stream="contacts", params={"kinds": ["not_object"]}))
    result = read(server, "contacts", size=20)
    assert contact_ids(server) == result.ids
    assert result.verdict == "complete"
    assert len({reject.reject_id for reject in result.rejects}) == 1


def test_a_page_of_records_without_ids_stops_the_stream(server):
    body = {"totalCount": 3, "items": [{"identifier": n} for n in range(3)]}
    server.fault(Fault("garbage", stream="contacts", params={"body": body}))
    with pytest.raises(StreamError, match=r"contacts: 3 records.*“id”.*API has changed"):
        read(server, "contacts")


def test_one_bad_record_alone_in_a_childs_list_does_not_stop_its_stream(server):
    parent = next(iter(server.world.conversations))
    body = {"items": [None], "totalCount": 1}
    server.fault(Fault("garbage", stream="timelines", every=1, params={"body": body}))
    result = read(server, "timelines", parent)
    assert (result.ids, len(result.rejects)) == (set(), 1)


def test_a_certificate_counts_what_was_asked(server):
    server.fault(Fault("500", stream="contacts", times=2))
    result = read(server, "contacts", size=20)
    assert result.certificate.requests == len(asked(server, "contacts"))
    assert result.certificate.rows_read >= 60
