"""Webhooks of a call: while it rings, when it ends, and much later."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from rehearsal.ids import HOUR, MINUTE, SECOND, sequential_guid
from rehearsal.model import Event, Phone
from rehearsal.timelines import CALL, INBOUND, OUTBOUND
from rehearsal.webhooks.notices import CallNotice, IvrNotice, Vocabulary, dice
from rehearsal.world import World

ACTIVE, RINGING = 0, 8
_FINAL = {
    "Answered": (1,),
    "Completed": (1,),
    "Missed": (2,),
    "Rejected": (3, 4),
    "NoAnswer": (5,),
    "Cancelled": (6,),
    "Failed": (7,),
}
_UNKNOWN_STATUS = (7,)
_SUMMARISED = 30 * SECOND
_VOCABULARIES: tuple[Vocabulary, ...] = ("numbers", "prose", "schema")


def has_webhooks(event: Event) -> bool:
    """Whether webhooks report the call: those of either defined direction."""
    return event.source == CALL and event.direction in (INBOUND, OUTBOUND)


def notices(world: World, event: Event) -> list[CallNotice]:
    """Every delivery about this call so far, some of them yet to come; oldest first."""
    if not has_webhooks(event):
        return []
    rng = dice(world, event, "call")
    course = list(_course(world, event, rng))
    refires = list(_refires(world, course[-1], rng))
    # Now and then the first notice of the end holds the analysis already.
    is_prompt = refires and event.id not in world.summarised and rng.random() < 0.2
    return (
        [*course[:-1], replace(refires[-1], at=course[-1].at)] if is_prompt else [*course, *refires]
    )


def ivr_notices(world: World, event: Event) -> list[IvrNotice]:
    """An outbound call without a handler is an automatic one that requests a digit."""
    phone = event.conversation.contact.phone
    is_automatic = event.direction == OUTBOUND and event.handler is None
    if not has_webhooks(event) or not is_automatic or phone is None:
        return []
    return list(_ivr(event, phone, call_id(world, event), dice(world, event, "ivr")))


def call_id(world: World, event: Event) -> str:
    """The id under which webhooks know the call; some timelines do not have it."""
    made = sequential_guid(event.at, dice(world, event, "call id"))
    return event.source_id or made


def _course(world: World, event: Event, rng: Random) -> Iterator[CallNotice]:
    """It rings, may be answered, and ends."""
    more = event.more
    ringing = more.ringing if more and more.ringing is not None else 0
    over = event.at + ringing
    picked_up = ended = None
    if more is not None and more.duration is not None:
        picked_up = over
        over += more.duration
    contact = event.conversation.contact
    is_known = event.source_id is None or rng.random() < 0.95
    ringer = CallNotice(
        at=event.at + SECOND + rng.randrange(SECOND),
        event=event,
        created=event.at + (0 if event.source_id else rng.randrange(3 * SECOND)),
        call_id=call_id(world, event),
        contact_id=contact.id if is_known else None,
        numbers=_numbers(event, contact.phone, rng),
        status=RINGING,
    )
    yield ringer
    if picked_up is not None and rng.random() < 0.3:
        yield replace(ringer, at=picked_up + SECOND, status=ACTIVE, picked_up=picked_up)
    ended = over
    code = rng.choice(_FINAL.get(event.status or "", _UNKNOWN_STATUS))
    yield replace(
        ringer,
        at=over + SECOND + rng.randrange(SECOND),
        status=code,
        picked_up=picked_up,
        ended=ended,
    )


def _refires(world: World, last: CallNotice, rng: Random) -> Iterator[CallNotice]:
    """The last notice once more, with what was found out since: recording, summary, rating."""
    sentiment, wait, is_rated = 1 + rng.randrange(5), rng.randrange(MINUTE), rng.random() < 0.3
    rated = last.at + MINUTE + rng.randrange(30 * MINUTE)
    csat = (1 + rng.randrange(5), rng.choice(("ivr", "whatsapp")), rated)
    if last.picked_up is None or rng.random() >= world.spec.habits.refires:
        return
    recorded = replace(
        last,
        at=last.at + 20 * SECOND + rng.randrange(MINUTE),
        recording=f"https://media.example.invalid/calls/{last.call_id}.wav",
    )
    yield recorded
    more, latest = last.event.more, recorded
    if more is not None and more.summary is not None and (more.duration or 0) >= _SUMMARISED:
        found = max(recorded.at + wait, world.summarised.get(last.event.id, 0))
        analysed = replace(
            recorded,
            at=found,
            summary=more.summary,
            transcription=more.transcription,
            sentiment=sentiment,
        )
        yield analysed
        latest = analysed if found <= rated else recorded
    if is_rated and last.event.handler is not None:
        yield replace(latest, at=rated + SECOND, csat=csat)


def _numbers(
    event: Event, phone: Phone | None, rng: Random
) -> tuple[str | None, str | None, str | None]:
    """Caller, callee and contact; how a number is written differs from call to call."""
    theirs = None
    if phone is not None:
        theirs = rng.choice((phone.text, phone.text.removeprefix("+"), "00" + phone.text[1:]))
    ours = event.conversation.channel.number
    return (theirs, ours, theirs) if event.direction == INBOUND else (ours, theirs, theirs)


def _ivr(event: Event, phone: Phone, called: str, rng: Random) -> Iterator[IvrNotice]:
    vocabulary: Vocabulary = rng.choice(_VOCABULARIES)
    is_prose = vocabulary != "schema"
    first = IvrNotice(
        at=event.at + SECOND,
        event=event,
        ivr_id=sequential_guid(event.at - SECOND, rng),
        call_id=called,
        vocabulary=vocabulary,
        number=phone.text.removeprefix("+"),
        status="Initiated" if is_prose else "Pending",
        result="None" if is_prose else None,
        external_id=rng.choice((None, f"order-{rng.randrange(10**5)}")),
        initiated=event.at,
    )
    yield first
    rings = event.at + 2 * SECOND
    second = replace(
        first, at=rings + SECOND, ringing=rings, status="Ringing" if is_prose else "InProgress"
    )
    yield second
    yield _end_of_ivr(second, rng, is_prose=is_prose)


def _end_of_ivr(before: IvrNotice, rng: Random, *, is_prose: bool) -> IvrNotice:
    more, rings = before.event.more, before.at
    over = rings + (more.ringing or 0 if more else 0) + SECOND
    if more is None or more.duration is None:
        status, result, cause = rng.choice(
            (
                ("NoAnswer", "NotAnswered", None),
                ("Busy", "DestinationBusy", "USER_BUSY"),
                ("Failed", "TechnicalFailure", "NETWORK_OUT_OF_ORDER"),
            )
        )
        error = "The destination could not be reached" if status == "Failed" else None
        if not is_prose:
            status, result = "Failed", status
        return replace(
            before,
            at=over + SECOND,
            status=status,
            result=result,
            completed=over,
            cause=cause,
            error=error,
        )
    is_pressed = rng.random() < 0.7
    pressed, silent = ("DigitPressed", "NoInput") if is_prose else ("Success", "DtmfTimeout")
    return replace(
        before,
        at=over + min(more.duration, HOUR) + SECOND,
        status="Completed",
        result=pressed if is_pressed else silent,
        digit=str(rng.randrange(10)) if is_pressed else None,
        answered=over,
        completed=over + min(more.duration, HOUR),
        cause="NORMAL_CLEARING",
    )
