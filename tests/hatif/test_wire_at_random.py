"""Whatever the bytes: a page that accounts for every record, or an error by name."""

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatif.errors import Undecodable
from tests.hatif.conftest import SPELLING
from tests.hatif.pages import CHANNELS, CONTACTS, STATISTICS, TIMELINES, decode, page_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "Id", "eventId", "name", "items", "post_call_webhook_url"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
ALL = [CONTACTS, CHANNELS, TIMELINES, STATISTICS]


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200), stream=st.sampled_from(ALL))
@example(body=b'{"items":[{"id":"\xff"}]}', stream=CHANNELS)
@example(body=b'[{"id":"a","\\u0000":1}]', stream=CHANNELS)
def test_any_bytes_are_a_page_or_undecodable(body, stream):
    try:
        page = decode(body, stream, "p")
    except Undecodable:
        return
    assert page.received == len(page.ids) + len(page.rejects)


@settings(max_examples=150, deadline=None)
@given(records=st.lists(JSON, max_size=6), wrapped=st.booleans(), stream=st.sampled_from(ALL[:3]))
def test_any_list_is_accounted_for_to_the_last_record(records, wrapped, stream):
    body = msgspec.json.encode({"totalCount": 9, "items": records} if wrapped else records)
    page = decode(body, stream, "p")
    columns = [page.ids, page.payloads, page.times, page.time_ids, page.order_keys]
    assert {len(column) for column in columns} == {len(page.ids)}
    assert page.received == len(records) == len(page.ids) + len(page.rejects) == len(page.sequence)
    for payload in page.payloads:
        msgspec.json.decode(payload)


@settings(max_examples=100, deadline=None)
@given(records=st.lists(JSON, min_size=2, max_size=5), stream=st.sampled_from(ALL[:3]))
def test_any_record_is_read_as_if_it_were_alone(records, stream):
    """Where the service spells one answer in one way, which it does."""
    raws = [msgspec.json.encode(record) for record in records]
    if not all(SPELLING.uses_canonical_keys(record) for record in records):
        return
    together = decode(page_of(*raws), stream, "p")
    apart = [decode(page_of(raw), stream, "p") for raw in raws]
    assert together.payloads == [payload for page in apart for payload in page.payloads]
    assert together.ids == [record_id for page in apart for record_id in page.ids]
