"""What ``core.calls`` and ``core.ivr_calls`` must hold; see truth_messages.py."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from rehearsal import codes
from rehearsal.codes import canonical, canonical_status, canonical_word
from rehearsal.ids import SECOND, aware
from rehearsal.model import Event, More
from rehearsal.timelines import CALL
from rehearsal.webhooks.calls import ACTIVE, RINGING
from rehearsal.webhooks.ledger import Ledger
from rehearsal.webhooks.notices import CallNotice, IvrNotice
from rehearsal.world import World

Row = dict[str, Any]
Item = TypeVar("Item")
Found = TypeVar("Found")

_NEAR = 5 * SECOND
_NOTHING = More()
_UNDER_WAY = ("ringing", "active")


def calls(world: World, ledger: Ledger, timelines: Collection[str] | None) -> Iterator[Row]:
    """Rows of ``core.calls``; ``timelines`` are the conversations read, by default all."""
    notices: dict[str, list[CallNotice]] = defaultdict(list)
    for found in ledger.of("call"):
        notice = found.notice
        if isinstance(notice, CallNotice) and notice.event.conversation.id in world.conversations:
            notices[notice.call_id].append(notice)
    events = {
        event.source_id or event.id: event
        for talk in world.conversations.values()
        if timelines is None or talk.id in timelines
        for event in talk.events
        if event.source == CALL
    }
    matches = _matches(notices, events)
    for own_key, event in events.items():
        key = matches.get(own_key, own_key)
        yield _call(key, event, notices.pop(key, []))
    for key, accounts in notices.items():
        yield _call(key, None, accounts)


def _matches(notices: dict[str, list[CallNotice]], events: dict[str, Event]) -> dict[str, str]:
    """Timeline calls without their id, and the only call near enough that has no timeline row."""
    strays = {key: accounts for key, accounts in notices.items() if key not in events}
    near: dict[str, list[str]] = defaultdict(list)
    for own_key, event in events.items():
        if own_key not in notices:
            near[own_key] = [key for key, accounts in strays.items() if _fit(accounts, event)]
    suitors = [key for keys in near.values() for key in keys]
    return {
        own_key: keys[0]
        for own_key, keys in near.items()
        if len(keys) == 1 and suitors.count(keys[0]) == 1
    }


def _fit(accounts: list[CallNotice], event: Event) -> bool:
    notices, talk = accounts[-1], event.conversation
    return (
        _last(accounts, lambda t: t.contact_id) == talk.contact.id
        and notices.event.conversation.channel is talk.channel
        and notices.event.direction == event.direction
        and abs(notices.created - event.at) <= _NEAR
    )


def _call(key: str, event: Event | None, notices: list[CallNotice]) -> Row:
    subject = event or notices[-1].event
    more = (event.more if event else None) or _NOTHING
    handler = (event or subject).handler
    is_ai = handler is not None and handler.is_ai
    contact_id = event.conversation.contact.id if event else _last(notices, lambda t: t.contact_id)
    status = _status(event, notices)
    picked_up = _last(notices, lambda t: t.picked_up)
    is_over = any(t.status not in (ACTIVE, RINGING) for t in notices)
    caller, callee, contact = notices[-1].numbers if notices else (None, None, None)
    rating, method, rated = _last(notices, lambda t: t.csat) or (None, None, None)
    length = _last(notices, lambda t: t.length)
    duration = more.duration if length is None else length
    return {
        "call_key": key,
        "event_id": event.id if event else None,
        "conversation_id": subject.conversation.id if event or contact_id else None,
        "contact_id": contact_id,
        "channel_id": subject.conversation.channel.id,
        "direction": canonical(codes.DIRECTION, subject.direction),
        "status": status,
        "is_answered": True if picked_up is not None else False if is_over else None,
        "is_completed": None if status in _UNDER_WAY else status == "completed",
        "started_at": aware(event.at if event else notices[-1].created),
        "picked_up_at": _instant(picked_up),
        "ended_at": _instant(_last(notices, lambda t: t.ended)),
        "duration_seconds": None if duration is None else duration / SECOND,
        "ringing_seconds": None if more.ringing is None else more.ringing / SECOND,
        "user_id": handler.user_id if handler and not is_ai else None,
        "user_name": subject.handler_name,
        "ai_agent_id": handler.user_id if handler and is_ai else None,
        "is_ai_call": is_ai,
        "caller_number": caller,
        "callee_number": callee,
        "contact_number": contact,
        "recording_url": _last(notices, lambda t: t.recording),
        "summary": _last(notices, lambda t: t.summary) or more.summary,
        "sentiment": canonical(codes.SENTIMENT, _last(notices, lambda t: t.sentiment)),
        "transcription": _last(notices, lambda t: t.transcription) or more.transcription,
        "csat_rating": rating,
        "csat_method": method,
        "csat_at": _instant(rated),
        "in_timeline": event is not None,
        "in_webhooks": bool(notices),
    }


def _status(event: Event | None, notices: list[CallNotice]) -> str | None:
    final = _last(notices, lambda t: None if t.status in (ACTIVE, RINGING) else t.status)
    if final is not None:
        return canonical(codes.CALL_STATUS, final)
    if event is not None:
        word = canonical_status(event.status)
        return "completed" if word == "answered" else word
    return canonical(codes.CALL_STATUS, notices[-1].status)


def ivr_calls(_: World, ledger: Ledger, __: Collection[str] | None) -> Iterator[Row]:
    """Rows of ``core.ivr_calls``: of each column the latest that is not null."""
    notices: dict[str, list[IvrNotice]] = defaultdict(list)
    for found in ledger.of("ivr"):
        if isinstance(found.notice, IvrNotice):
            notices[found.notice.ivr_id].append(found.notice)
    for key, accounts in notices.items():
        first = accounts[0]
        yield {
            "ivr_id": key,
            "external_id": first.external_id,
            "channel_id": first.event.conversation.channel.id,
            "destination_number": first.number,
            "status": canonical_word(_last(accounts, lambda t: t.status)),
            "result": canonical_word(_last(accounts, lambda t: t.result)),
            "pressed_digit": _last(accounts, lambda t: t.digit),
            "initiated_at": _instant(first.initiated),
            "ringing_at": _instant(_last(accounts, lambda t: t.ringing)),
            "answered_at": _instant(_last(accounts, lambda t: t.answered)),
            "completed_at": _instant(_last(accounts, lambda t: t.completed)),
            "duration_seconds": _last(accounts, lambda t: t.seconds),
            "call_id": first.call_id,
            "error_message": _last(accounts, lambda t: t.error),
            "hangup_cause": _last(accounts, lambda t: t.cause),
        }


def _instant(instant: int | None) -> Any:
    return None if instant is None else aware(instant)


def _last(notices: Sequence[Item], part: Callable[[Item], Found | None]) -> Found | None:
    """The latest that is not null."""
    return next((found for t in reversed(notices) if (found := part(t)) is not None), None)
