"""Which deliveries are about one message, by the three rules of docs/contract.md.

The world knows better; but a warehouse can only know what the deliveries carry, so the truth
of what it must hold follows the rules.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rehearsal.ids import SECOND
from rehearsal.model import Event
from rehearsal.webhooks.ledger import Received
from rehearsal.webhooks.notices import MessageNotice

_NEAR = 2 * SECOND


class Look(NamedTuple):
    """What two accounts of one message must agree on, besides the time."""

    direction: int
    body: str | None


@dataclass(slots=True, eq=False)
class Group:
    """One message: its timeline row if there is one, its deliveries, and edits of it."""

    key: str
    event: Event | None = None
    notices: list[tuple[Received, MessageNotice]] = field(default_factory=list)
    edits: list[tuple[Received, MessageNotice]] = field(default_factory=list)

    @property
    def look(self) -> Look:
        """Direction and body as its latest delivery has them."""
        notice = self.notices[-1][1]
        return Look(notice.event.direction, _latest_body(self.notices))


def groups(timeline: Sequence[Event], received: Iterable[Received]) -> list[Group]:
    """The messages of one conversation.

    Args:
        timeline: its WhatsApp events, as far as they have been read.
        received: message deliveries of it, in the order of receipt.
    """
    notices = [(found, found.notice) for found in received]
    originals = [
        (found, notice)
        for found, notice in notices
        if isinstance(notice, MessageNotice) and not notice.is_edit
    ]
    named = _by_ids(originals)
    found = {**named, **_nameless(originals, named)}
    _meet_the_timeline(timeline, found)
    for receipt, notice in notices:
        if isinstance(notice, MessageNotice) and notice.is_edit:
            group = _edited(notice, found)
            if group is not None:
                group.edits.append((receipt, notice))
    return list({id(group): group for group in found.values()}.values())


def _by_ids(originals: list[tuple[Received, MessageNotice]]) -> dict[str, Group]:
    """Rule 1: equal event ids, else equal message ids, which lead to the event if one knows it."""
    events: dict[str, str] = {}
    for _, notice in originals:
        if notice.wamid and notice.event_id:
            events[notice.wamid] = min(notice.event_id, events.get(notice.wamid, "~"))
    found: dict[str, Group] = {}
    for receipt, notice in originals:
        key = notice.event_id
        if key is None and notice.wamid is not None:
            key = events.get(notice.wamid, f"wamid:{notice.wamid}")
        if key is not None:
            found.setdefault(key, Group(key)).notices.append((receipt, notice))
    return found


def _nameless(
    originals: list[tuple[Received, MessageNotice]], named: dict[str, Group]
) -> dict[str, Group]:
    """Rule 3: without any id, into the only group that has the same content at the same instant."""
    alike: dict[tuple[int, int, str | None], set[str]] = defaultdict(set)
    for key, group in named.items():
        for _, notice in group.notices:
            alike[_content(notice)].add(key)
    alone: dict[str, Group] = {}
    for receipt, notice in originals:
        if notice.event_id is None and notice.wamid is None:
            content = _content(notice)
            homes = alike[content]
            if len(homes) == 1:
                named[next(iter(homes))].notices.append((receipt, notice))
            else:
                key = f"hash:{content}"
                alone.setdefault(key, Group(key)).notices.append((receipt, notice))
    for group in named.values():
        group.notices.sort(key=lambda pair: pair[0][:2])
    return alone


def _content(notice: MessageNotice) -> tuple[int, int, str | None]:
    return notice.created, notice.event.direction, notice.body


def _meet_the_timeline(timeline: Sequence[Event], found: dict[str, Group]) -> None:
    """Rule 2: a group without an event and an event without a group, if each is the only one."""
    rows = {event.id: event for event in timeline}
    open_groups = []
    for key, group in list(found.items()):
        if key in rows:
            group.event = rows[key]
        else:
            open_groups.append(group)
    free = [event for event in timeline if event.id not in found]
    fits = {group.key: [event for event in free if _fit(group, event)] for group in open_groups}
    suitors = [event.id for events in fits.values() for event in events]
    for group in open_groups:
        candidates = fits[group.key]
        if len(candidates) == 1 and suitors.count(candidates[0].id) == 1:
            group.event = candidates[0]
            found[group.event.id] = group
    for event in free:
        if event.id not in found:
            found[event.id] = Group(event.id, event)


def _fit(group: Group, event: Event) -> bool:
    created = group.notices[-1][1].created
    return abs(event.at - created) <= _NEAR and group.look == Look(event.direction, event.body)


def _edited(notice: MessageNotice, found: dict[str, Group]) -> Group | None:
    """The message that an edit is about: by the event it names, else by the message id."""
    if notice.event_id in found:
        return found[notice.event_id]
    for group in found.values():
        if any(other.wamid == notice.wamid for _, other in group.notices):
            return group
    return None


def _latest_body(notices: list[tuple[Received, MessageNotice]]) -> str | None:
    return next((t.body for _, t in reversed(notices) if t.body is not None), None)
