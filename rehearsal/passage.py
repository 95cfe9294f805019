"""Time passes: the clock moves on, and meanwhile this and that has happened."""

from dataclasses import dataclass
from datetime import timedelta

from rehearsal import changes
from rehearsal.world import World


@dataclass(frozen=True, slots=True)
class Passage:
    """How much of what happens while time passes. Fewer happen where there are not so many.

    Attributes:
        contacts: new contacts, each with a conversation and its first message.
        contact_edits: edits that move ``lastModificationTime`` and write history.
        silent_edits: notes and property values that move nothing.
        messages: new timeline events, calls and assignations among them.
        status_changes: outbound messages that move on.
        late_summaries: calls that get their summary.
        closed: open conversations that are closed; no activity shows it.
        restored_contacts: contacts that had vanished and come back with their ids.
        deleted_contacts: contacts that vanish.
        deleted_conversations: conversations that vanish.
        deleted_tags: tags that vanish.
        tag_changes: conversations with other tags; if any, one tag is renamed as well.
        property_changes: property definitions that are renamed.
    """

    contacts: int = 5
    contact_edits: int = 10
    silent_edits: int = 3
    messages: int = 50
    status_changes: int = 30
    late_summaries: int = 3
    closed: int = 0
    restored_contacts: int = 0
    deleted_contacts: int = 2
    deleted_conversations: int = 0
    deleted_tags: int = 0
    tag_changes: int = 2
    property_changes: int = 1


def pass_time(world: World, duration: timedelta, passage: Passage) -> dict[str, list[str]]:
    """Move the clock and change the world; returns the ids touched, by field of Passage."""
    since = world.now
    world.now += duration // timedelta(microseconds=1)
    return {
        "restored_contacts": changes.restore_contacts(world, passage.restored_contacts),
        "deleted_contacts": changes.delete_contacts(world, passage.deleted_contacts),
        "deleted_conversations": changes.delete_conversations(world, passage.deleted_conversations),
        "deleted_tags": changes.delete_tags(world, passage.deleted_tags),
        "contact_edits": changes.edit_contacts(world, passage.contact_edits),
        "silent_edits": changes.edit_silently(world, passage.silent_edits),
        "status_changes": changes.move_statuses(world, passage.status_changes),
        "late_summaries": changes.add_summaries(world, passage.late_summaries),
        "contacts": changes.add_contacts(world, passage.contacts),
        "messages": changes.add_messages(world, passage.messages, since),
        "closed": changes.close_conversations(world, passage.closed),
        "tag_changes": changes.change_tags(world, passage.tag_changes),
        "property_changes": changes.change_definitions(world, passage.property_changes),
    }
