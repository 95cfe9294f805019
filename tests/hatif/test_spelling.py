"""Keys in any spelling are read as ours, and secrets are cut in any."""

import json

import pytest

from hatif.streams import STREAMS
from tests.hatif.conftest import read
from tests.hatif.pages import CHANNELS, RECORD, TIMELINES, decode, good, page_of

# --- spelling


def styled(key, style):
    return {
        "camel": key,
        "pascal": key[0].upper() + key[1:],
        "snake": "".join("_" + c.lower() if c.isupper() else c for c in key),
        "lower": key.lower(),
        "upper": key.upper(),
    }[style]


def spelt(value, style):
    if isinstance(value, dict):
        return {
            styled(k, style): v if k == "customFields" else spelt(v, style)
            for k, v in value.items()
        }
    return [spelt(item, style) for item in value] if isinstance(value, list) else value


def test_a_record_like_those_before_it_is_looked_at_no_less():
    plain, strange = {"id": "a", "name": "x"}, {"id": "b", "name": "x", "mood": 1}
    assert decode([plain]).undocumented_keys == set()
    assert decode([plain, strange]).undocumented_keys == {"mood"}
    assert decode([strange, plain]).undocumented_keys == {"mood"}
    assert decode([{"id": "c", "name": {"mood": 1}}]).undocumented_keys == {"mood"}
    assert decode([plain]).payloads == [json.dumps(plain).encode()]
    assert json.loads(decode([{"Id": "d", "Name": "x"}]).payloads[0]) == {"id": "d", "name": "x"}


STYLES = ["camel", "pascal", "snake", "lower", "upper"]


@pytest.mark.parametrize("style", STYLES)
def test_keys_in_any_spelling_give_the_same_record(style):
    wrapper = spelt({"totalCount": 1, "items": [RECORD]}, style)
    page = decode(wrapper)
    expected = decode([RECORD])
    assert page.ids == [RECORD["id"].lower()]
    assert json.loads(page.payloads[0])["customFields"] == RECORD["customFields"]
    ours = {k: v for k, v in json.loads(page.payloads[0]).items() if k.lower() != "amount"}
    assert ours == {k: v for k, v in RECORD.items() if k != "amount"}
    assert (page.times, page.time_ids) == (expected.times, expected.time_ids)
    assert page.total == 1


@pytest.mark.parametrize("style", STYLES)
def test_the_servers_records_read_the_same_in_any_spelling(style):
    event = {"eventId": "3a-1", "creationTime": "2026-01-01T00:00:00Z", "body": "x", "id": None}
    page = decode([spelt(event, style)], TIMELINES)
    assert (page.ids, page.times, page.order_keys) == (
        ["3a-1"],
        [event["creationTime"]],
        [event["creationTime"]],
    )


# --- secrets


SECRET = "https://hook.example/?key=s3cret"


@pytest.mark.parametrize(
    "key",
    [
        *("postCallWebhookUrl", "PostCallWebhookUrl", "POSTCALLWEBHOOKURL"),
        *("post_call_webhook_url", "postcallwebhookurl", "Post_Call_Webhook_Url"),
        r"postCallWebhook\u0055rl",
        r"\u0070ostCallWebhookUrl",
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_secret_is_cut_at_any_depth_and_spelling(key, depth):
    """In the middle of its page, where nobody looks for the page's spelling."""
    record = b'{"id":"a","%s":"%s","name":"n"}' % (key.encode(), SECRET.encode())
    for _ in range(depth):
        record = b'{"id":"a","list":[{"inner":%s}]}' % record
    for stream in (CHANNELS, STREAMS["conversations"]):
        page = decode(page_of(good(1), record, good(2)), stream, "p")
        assert page.ids == ["good-1", "a", "good-2"]
        assert b"s3cret" not in b"".join(page.payloads)
        assert b'"name":"n"' in page.payloads[1]


@pytest.mark.parametrize(
    "record",
    [
        '{"postCallWebhookUrl":"%s"}',
        '[{"postCallWebhookUrl":"%s"}]',
        '{"id":"a","postCallWebhookUrl":"%s","name":"\\ud83d"}',
        '{"id":"a","post_call_webhook_url":"%s","name":"\\ud83d"}',
        '{"id":"a","\\u0070ostCallWebhookUrl":"%s","name":"\\ud83d"}',
        '{"id":"a","postCallWebhookUrl":"%s","x":' + "[" * 500 + "]" * 500 + "}",
    ],
)
def test_a_reject_holds_no_secret(record):
    page = decode(page_of(good(1), (record % SECRET).encode(), good(2)), CHANNELS)
    for reject in page.rejects:
        assert "s3cret" not in reject.raw
    assert b"s3cret" not in b"".join(page.payloads)


def test_the_servers_hooks_are_not_kept(server):
    result = read(server, "channels")
    text = b"".join(payload for scanned in result.pages for payload in scanned.page.payloads)
    assert server.channel_secret.encode() not in text
    assert b"number" in text
