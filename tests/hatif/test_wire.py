"""Bytes of an answer: records out, bad ones beside them, or one named error. Never a crash."""

import msgspec
import pytest

from hatif.errors import Undecodable
from hatif.streams import STREAMS
from hatif.wire import decode_page
from rehearsal import Fault
from tests.hatif.conftest import SPELLING, read
from tests.hatif.pages import CHANNELS, CONTACTS, RECORD, STATISTICS, decode, good, page_of

# --- wrapping


@pytest.mark.parametrize(
    ("body", "total", "listed"),
    [
        ([{"id": "a"}], None, True),
        ({"totalCount": 5, "items": [{"id": "a"}]}, 5, False),
        ({"TotalCount": 5, "Items": [{"id": "a"}]}, 5, False),
        ({"result": {"totalCount": 5, "items": [{"id": "a"}]}, "success": True}, 5, False),
        ({"Data": {"Value": [{"id": "a"}]}}, None, False),
        ({"items": [{"id": "a"}]}, None, False),
        ({"items": [{"id": "a"}], "totalCount": None}, None, False),
        ({"totalCount": "5", "items": [{"id": "a"}]}, 5, False),
        ({"data": [{"id": "a"}], "extra": {"items": 3}}, None, False),
        ({"result": [{"id": "a"}], "success": True}, None, False),
        ({"value": [{"id": "a"}], "@odata.count": 1}, None, False),
        ({"ITEMS": [{"id": "a"}], "TOTAL_COUNT": 5}, 5, False),
    ],
)
def test_a_list_is_found_in_its_wrapping(body, total, listed):
    page = decode(body)
    assert (page.ids, page.total, page.listed) == (["a"], total, listed)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id": "x", "score": NaN}',
        b'{"id": "x", "list": [{"score": -Infinity}]}',
        b'{"id": "x", "name": "two\nlines"}',
        b'{"id": "x", "name": "\x00"}',
        b'{"id": "x", "name": "y",}',
        b'{"id": "x", "name": "\\x41"}',
        b'{"id": "x", "name": "she wording "yes" to it"}',
        b'{"id": "x", "count": 01}',
        b'{"id": "x", "is_new": True}',
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "wrapper",
    [b"[%s]", b'{"totalCount": 4, "items": [%s]}', b'{"result": {"items": [%s]}}'],
    ids=["bare", "wrapped", "twice"],
)
def test_a_record_that_is_no_json_is_bad_alone(bad, wrapper):
    half = b'{"id": "h", "name": "\\ud800"}'
    page = decode(wrapper % b", ".join((b'{"id": "a"}', bad, half, b'{"id": "b"}')))
    assert page.ids == ["a", "b"]
    assert [one.reason for one in page.rejects] == ["bad_json", "bad_json"]
    assert page.rejects[0].raw.replace("\\u0000", "\0").encode() == bad
    assert "\0" not in page.rejects[0].raw


@pytest.mark.parametrize("end", [b"", b'{"id": "b"', b'{"id": "b", "name": "x', b'{"id": "b"}'])
def test_a_page_that_is_cut_short_is_no_page_whatever_its_records_hold(end):
    with pytest.raises(Undecodable):
        decode(b'{"items": [{"id": "a", "score": NaN}, ' + end)


@pytest.mark.parametrize("body", [{"items": [], "totalCount": 0}, {"items": None}, []])
def test_an_empty_list_is_a_list(body):
    assert decode(body).received == 0


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"null", b"7", b'"text"', b"{}", b'{"status":"ok"}', b'{"items":7}'),
        *(b'{"items":[{"id":1}', b"<html>", b"[1,2", b"\xff\xfe", b'{"\xff":[]}', b"[" * 50_000),
    ],
)
def test_what_is_no_list_is_undecodable(body):
    with pytest.raises(Undecodable):
        decode(body)


# --- ids


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [('"ABC"', "abc"), ('" abc "', "abc"), ("17", "17"), ('"17"', "17"), ('"\\u0041"', "a")],
)
def test_an_id_is_lower_case_text(sent, read_as):
    alone = decode(page_of(b'{"id":%s}' % sent.encode()))
    among = decode(page_of(b'{"id":%s}' % sent.encode(), b"7"))
    assert alone.ids == among.ids == [read_as]


@pytest.mark.parametrize("sent", ["null", '""', '"  "', "true", "1.5", "{}", "[]", '{"id":"x"}'])
def test_a_record_without_an_id_is_set_aside(sent):
    page = decode(page_of(good(1), b'{"id":%s}' % sent.encode(), good(2)))
    assert page.ids == ["good-1", "good-2"]
    assert [reject.reason for reject in page.rejects] == ["missing_id"]
    assert (page.received, len(page.sequence)) == (3, 3)


# --- bad records


BAD = {
    "not an object": (b'"this is no record"', "not_an_object"),
    "null": (b"null", "not_an_object"),
    "number": (b"17", "not_an_object"),
    "list": (b"[1]", "not_an_object"),
    "no id": (b'{"name":"x"}', "missing_id"),
    "lone surrogate": (rb'{"id":"a","name":"\ud83d"}', "bad_json"),
    "half pair": (rb'{"id":"a","name":"\ud83dx\ude00"}', "bad_json"),
    "invalid UTF-8": (b'{"id":"a","name":"\xff"}', "bad_json"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_record_is_set_aside_beside_good_neighbours(kind):
    raw, reason = BAD[kind]
    page = decode(page_of(good(1), raw, good(2)))
    assert page.ids == ["good-1", "good-2"]
    assert page.payloads == [good(1), good(2)]
    assert [reject.reason for reject in page.rejects] == [reason]
    assert page.sequence[1] == f"reject:{page.rejects[0].reject_id}"
    assert page.rejects[0].location == "/v1/contacts"
    assert page.rejects[0].raw == raw.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"id":"a","name":"before \u0000 after"}',
        rb'{"id":"a","name":"\ud83d\ude00"}',
        b'{"id":"a","n":1e400,"m":-0.0,"k":123456789012345678901234567890}',
        b'{"id":"b","id":"a"}',
        b'{ "id" : "a" , "name" : null }',
        b'{"id":"a","name":["unexpected"],"creationTime":{"x":1}}',
    ],
)
def test_an_odd_record_is_kept_to_the_letter(raw):
    for page in (decode(page_of(raw)), decode(page_of(raw, b"null", good(1)))):
        assert page.ids[0] == "a"
        assert page.payloads[0] == raw


@pytest.mark.parametrize("depth", [100, 300, 400, 600, 900, 1500, 10_000])
def test_no_depth_of_nesting_is_a_crash(depth):
    raw = b'{"id":"a","x":' + b"[" * depth + b"]" * depth + b"}"
    for raws in ([raw], [good(1), raw, good(2)], [raw, b"null"]):
        try:
            page = decode(page_of(*raws))
        except Undecodable:
            continue
        assert page.received == len(raws) == len(page.ids) + len(page.rejects)


def test_escaped_backslashes_before_a_u_are_no_halves():
    raw = rb'{"id":"a","name":"C:\\ud83d\\users"}'
    page = decode(page_of(rb'{"id":"b","name":"\ud83d"}', raw))
    assert (page.ids, page.payloads) == (["a"], [raw])


@pytest.mark.parametrize("neighbour", [raw for raw, _ in BAD.values()])
@pytest.mark.parametrize("stream", [CONTACTS, CHANNELS], ids=lambda stream: stream.name)
def test_a_record_does_not_depend_on_its_neighbours(stream, neighbour):
    raw = msgspec.json.encode(RECORD)
    alone = decode(page_of(raw), stream)
    among = decode(page_of(neighbour, raw, neighbour), stream)
    columns = ["ids", "payloads", "times", "time_ids", "order_keys"]
    assert [getattr(alone, c) for c in columns] == [getattr(among, c) for c in columns]


def test_the_same_bad_record_has_the_same_id_at_every_sight():
    one = decode(page_of(b"null", good(1))).rejects[0]
    other = decode(page_of(good(2), good(3), b"null")).rejects[0]
    assert one.reject_id == other.reject_id
    assert one.reject_id != decode(page_of(b"17")).rejects[0].reject_id


def test_the_servers_bad_records_are_counted_and_their_neighbours_are_whole(server):
    truth = {row["contact_id"] for row in server.truth("contacts")}
    server.fault(Fault("bad_records", stream="contacts"))
    result = read(server, "contacts")
    assert truth <= result.ids
    assert {reject.reason for reject in result.rejects} >= {"not_an_object", "missing_id"}
    assert result.verdict == "complete"


def test_a_value_nested_too_deep_costs_its_own_record_alone() -> None:
    deep = b"[" * 9_000 + b'"]}"' + b"]" * 9_000
    body = b'[{"id":"a"},{"id":"b","name":' + deep + b'},{"id":"c","name":"[["}]'
    page = decode_page(body, STREAMS["tags"], SPELLING, None)
    assert page.ids == ["a", "c"]
    assert [reject.reason for reject in page.rejects] == ["bad_json"]
    assert "nested too deep" in page.rejects[0].raw


@pytest.mark.parametrize(
    "record_id", ['"00000000-0000-0000-0000-000000000000"', r'"a\u0000b"', r'"\u0000"', '" "', "[]"]
)
def test_an_id_that_identifies_nothing_sets_the_record_aside(record_id: str) -> None:
    body = b'[{"id":"a"},{"id":' + record_id.encode() + b'},{"id":"c"}]'
    page = decode_page(body, STREAMS["tags"], SPELLING, None)
    assert page.ids == ["a", "c"]
    assert [reject.reason for reject in page.rejects] == ["missing_id"]


# --- whole answers


def test_a_whole_answer_is_one_record_without_its_white_space():
    page = decode(b'{ "a" : [1, 2] }\n', STATISTICS, "p1")
    assert (page.ids, page.payloads, page.total) == (["p1"], [b'{"a":[1,2]}'], 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"[" * 50_000,
        b"NaN",
        b'{"a":"}',
        b'{"a":"',
        b"[NaN",
        b"[1] [NaN]",
        b"{}<p>",
    ],
)
def test_a_whole_answer_that_is_cut_or_of_another_kind_is_undecodable(body):
    with pytest.raises(Undecodable):
        decode(body, STATISTICS, "p1")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'[{"a":NaN}]', '[{"a":NaN}]'),
        (b' {"a":-Infinity}\n', ' {"a":-Infinity}\n'),
        (b'{"a":"\xff"}', '{"a":"\\xff"}'),
        (b'{"a":"}","b":NaN}', '{"a":"}","b":NaN}'),
        (b'["\n"]', '["\n"]'),
        (b"[" * 2_000 + b"]" * 2_000, "[" * 2_000 + "]" * 2_000),
    ],
)
def test_a_whole_answer_that_is_complete_and_no_json_is_a_bad_record(body, shown):
    page = decode(body, STATISTICS, "p1")
    assert (page.ids, page.received, page.total) == ([], 1, 1)
    (bad,) = page.rejects
    assert (bad.reason, bad.raw) == ("bad_json", shown)
    assert "p1/statistics" in bad.location
