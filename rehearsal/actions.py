"""World actions for faults and for the control endpoints, by name and with a number.

``Fault(then=Actions.delete_read_contacts(20))`` and ``Fault(then="delete_read_contacts 20")``
are the same. "Read" is what the current scan of a list has been served: since the last
request for that list that skipped nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rehearsal.stage import Stage

Action = Callable[["Stage"], object]


class Actions:
    """Each makes an action that a fault can carry out just before a request is answered."""

    @staticmethod
    def delete_read_contacts(count: int = 20) -> Action:
        """Delete the contacts that the current scan was served first."""
        return lambda stage: stage.delete_contacts(read(stage, "contacts")[:count])

    @staticmethod
    def delete_read_conversations(count: int = 5) -> Action:
        """Delete the conversations that the latest scan of a channel was served first."""
        return lambda stage: stage.delete_conversations(read(stage, "conversations")[:count])

    @staticmethod
    def unread_conversations_jump(count: int = 2) -> Action:
        """Conversations that the current scan has yet to reach jump to the front."""
        return lambda stage: stage.touch_conversations(unread_conversations(stage)[:count])

    @staticmethod
    def read_conversations_jump(count: int = 2) -> Action:
        """Conversations that the current scan has served jump to the front."""
        return lambda stage: stage.touch_conversations(read(stage, "conversations")[-count:])

    @staticmethod
    def delete_contacts(count: int = 1) -> Action:
        """Delete contacts drawn by chance."""
        return lambda stage: stage.delete_contacts(count)

    @staticmethod
    def delete_conversations(count: int = 1) -> Action:
        """Delete conversations drawn by chance."""
        return lambda stage: stage.delete_conversations(count)

    @staticmethod
    def delete_tags(count: int = 1) -> Action:
        """Delete tags drawn by chance."""
        return lambda stage: stage.delete_tags(count)

    @staticmethod
    def touch_conversations(count: int = 2) -> Action:
        """Conversations drawn by chance jump to the front."""
        return lambda stage: stage.touch_conversations(count)

    @staticmethod
    def add_contacts(count: int = 5) -> Action:
        """New contacts, each with a conversation."""
        return lambda stage: stage.add_contacts(count)

    @staticmethod
    def edit_contacts(count: int = 5) -> Action:
        """Contacts drawn by chance are edited."""
        return lambda stage: stage.edit_contacts(count)

    @staticmethod
    def page_cap(cap: int = 50) -> Action:
        """From now on pages are silently no longer than this; 0 lifts it."""
        return lambda stage: stage.set_quirks(page_cap=cap or None)

    @staticmethod
    def max_page(maximum: int = 100) -> Action:
        """From now on longer pages are refused with 400."""
        return lambda stage: stage.set_quirks(max_page=maximum)

    @staticmethod
    def revoke_tokens(_: int = 0) -> Action:
        """Refuse every token issued so far."""
        return lambda stage: stage.revoke_tokens()


def named(text: str) -> Action:
    """The action called that, such as ``"delete_read_contacts 20"``.

    Raises:
        ValueError: no such action.
    """
    name, _, number = text.strip().partition(" ")
    if name not in NAMES:
        raise ValueError(f"no such action: {name!r}; there are {', '.join(NAMES)}")
    make: Callable[..., Action] = getattr(Actions, name)
    return make(int(number)) if number.strip() else make()


NAMES = tuple(name for name, made in vars(Actions).items() if isinstance(made, staticmethod))
"""Every action's name."""


def read(stage: Stage, stream: str) -> list[str]:
    """Live ids that the latest scan of a list of that stream was served, in that order."""
    scans = [ids for address, ids in stage.reader.served.items() if address.stream == stream]
    table = getattr(stage.world, stream)
    return [
        record_id for record_id in dict.fromkeys(scans[-1] if scans else ()) if record_id in table
    ]


def unread_conversations(stage: Stage) -> list[str]:
    """Ids that the latest scan of a channel has not reached yet, furthest from it first."""
    scans = [
        (address, ids)
        for address, ids in stage.reader.served.items()
        if address.stream == "conversations"
    ]
    if not scans:
        return []
    address, served = scans[-1]
    seen = set(served)
    talks = stage.world.by_channel[address.parent or ""].values()
    ordered = sorted((talk for talk in talks if talk.id not in seen), key=lambda talk: talk.active)
    return [talk.id for talk in ordered]
