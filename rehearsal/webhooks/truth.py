"""The truth of webhooks by table, and of billing by message; see truth_messages.py."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from rehearsal.codes import canonical_status
from rehearsal.timelines import OUTBOUND, WHATSAPP
from rehearsal.webhooks import messages
from rehearsal.webhooks.identity import groups
from rehearsal.webhooks.ledger import Ledger, Received
from rehearsal.webhooks.notices import MessageNotice
from rehearsal.webhooks.truth_calls import calls, ivr_calls
from rehearsal.webhooks.truth_campaigns import campaign_messages, campaigns
from rehearsal.webhooks.truth_messages import is_billable
from rehearsal.webhooks.truth_messages import messages as messages_table
from rehearsal.world import World

Row = dict[str, Any]

TABLES: dict[str, Callable[[World, Ledger, Collection[str] | None], Iterator[Row]]] = {
    "messages": messages_table,
    "calls": calls,
    "ivr_calls": ivr_calls,
    "campaigns": campaigns,
    "campaign_messages": campaign_messages,
}
"""Tables that webhooks feed, and those of campaigns."""


def billing(world: World, ledger: Ledger) -> Iterator[Row]:
    """Of each message that webhooks report: what it costs in truth, and how much is known.

    ``is_billable`` and ``is_charged`` are what all deliveries together give; ``received`` is
    ``all``, ``some`` or ``none`` of its notices, sent and yet to come, or
    ``scattered``: all, but for want of ids they cannot be joined into one message.
    """
    received: dict[str, list[Received]] = defaultdict(list)
    for found in ledger.of("message"):
        received[found.notice.event.conversation.id].append(found)
    for talk in world.conversations.values():
        timeline = [event for event in talk.events if event.source == WHATSAPP]
        joined = Counter(
            notice.event.id
            for group in groups(timeline, received[talk.id])
            for _, notice in group.notices
            if group.event is notice.event
        )
        arrived = Counter(
            notice.event.id
            for _, _, notice, _ in received[talk.id]
            if isinstance(notice, MessageNotice) and not notice.is_edit
        )
        for event in timeline:
            sent = [t for t in messages.notices(world, event) if not t.is_edit]
            if not sent:
                continue
            billable = is_billable(sent)
            is_delivered = canonical_status(event.status) in ("delivered", "read")
            yield {
                "event_id": event.id,
                "conversation_id": talk.id,
                "is_chargeable": messages.facts(world, event).is_chargeable,
                "is_billable": billable,
                "is_charged": billable if event.direction == OUTBOUND and is_delivered else False,
                "received": _share(len(sent), arrived[event.id], joined[event.id]),
            }


def _share(sent: int, arrived: int, joined: int) -> str:
    if arrived < sent:
        return "some" if arrived else "none"
    return "all" if joined == sent else "scattered"
