"""The truth that the server tells is what a careful reader makes of the wire."""

from datetime import timedelta

import phonenumbers
import pytest

from tests.rehearsal import careful, conftest

DERIVED = ("phone_e164", "country")


def by_content(rows):
    return sorted(
        ({k: v for k, v in row.items() if k not in DERIVED} for row in rows),
        key=lambda row: repr(sorted(row.items())),
    )


def assert_truth_is_told(server, client):
    for table, rows in careful.everything(client, conftest).items():
        assert by_content(server.truth(table)) == by_content(rows), table


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"casing": "pascal", "options": "text", "channel_phone": "text", "statistics": "text"},
        {"enums": "text", "channel_phone": "null", "page_cap": 13},
    ],
    ids=lambda quirks: ", ".join(quirks) or "live",
)
def test_every_table_equals_what_is_on_the_wire(server, client, quirks):
    server.set_quirks(**quirks)
    assert_truth_is_told(server, client)


def test_it_still_does_after_time_has_passed_and_much_has_changed(server, client):
    client.all(conftest.CONTACTS)
    client.conversations()
    server.advance(timedelta(days=2), deleted_conversations=3, deleted_tags=1, late_summaries=9)
    server.delete_property_definitions(1)
    server.touch_conversations(2)
    assert_truth_is_told(server, client)


def test_counts_are_the_rows_of_each_stream(server):
    counts = server.truth_counts()
    assert counts["timelines"] == len(server.truth("timeline_events")) == 900
    for stream in ("channels", "users", "tags", "contacts", "contact_history", "conversations"):
        assert counts[stream] == len(server.truth(stream))


def test_missing_endpoints_have_no_truth(server):
    server.set_quirks(history="missing", statistics="missing")
    assert server.truth("contact_history") == server.truth("property_statistics") == []
    assert server.truth_counts()["contact_history"] == 0


def test_phones_are_what_a_phone_library_says(server):
    for row in server.truth("contacts"):
        if row["phone_number"]:
            number = phonenumbers.parse(row["phone_number"])
            assert phonenumbers.region_code_for_number(number) == row["country"]
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            assert e164 == row["phone_e164"]
