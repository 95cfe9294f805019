"""What can happen to the world: additions, edits and deletions.

Every function changes the world at its present instant, reports to it which records now look
different, and returns the ids it touched.
"""

from collections.abc import Iterable, Iterator, Mapping

from rehearsal import content, people
from rehearsal.ids import HOUR, SECOND
from rehearsal.model import Contact, Conversation, Event, More, Note
from rehearsal.timelines import (
    ASSIGNATION,
    CLOSED,
    OPEN,
    OUTBOUND,
    WHATSAPP,
    TimelineWriter,
    is_summarisable,
    summarise,
)
from rehearsal.world import World

Which = int | Iterable[str]
"""How many, chosen by chance, or exactly these ids."""

_NEXT = {
    "Pending": ("Sent", "Sent", "Failed"),
    "Sent": ("Delivered", "Delivered", "Read"),
    "Delivered": ("Read",),
}


def pick(world: World, table: Mapping[str, object], which: Which) -> list[str]:
    """The chosen ids: as many as there are at most, or the named ones that live."""
    if isinstance(which, int):
        return world.rng.sample(list(table), min(which, len(table)))
    return [record_id for record_id in which if record_id in table]


def add_contacts(world: World, count: int) -> list[str]:
    """New contacts, each with a conversation that its first message has opened."""
    writer = TimelineWriter(world, world.rng)
    added = []
    for _ in range(count):
        index = len(world.contacts) + len(world.gone.get("contacts", ()))
        contact = people.contact(world, world.rng, index, world.now - SECOND)
        world.contacts[contact.id] = contact
        channel = world.rng.choice(list(world.channels.values()))
        conversation = writer.open(contact, channel, world.now)
        writer.add(conversation, world.now)
        world.add_conversation(conversation)
        added.append(contact.id)
    world.changed()
    return added


def edit_contacts(world: World, which: Which) -> list[str]:
    """Change fields: moves ``lastModificationTime`` and writes history."""
    edited = pick(world, world.contacts, which)
    for contact_id in edited:
        contact = world.contacts[contact_id]
        people.log_edit(world, contact, world.rng, world.now)
        _show_contact(world, contact)
    return edited


def edit_silently(world: World, which: Which) -> list[str]:
    """Add a note or change a property: nothing but the content shows it."""
    edited = pick(world, world.contacts, which)
    rng = world.rng
    for contact_id in edited:
        contact = world.contacts[contact_id]
        if contact.properties and rng.random() < 0.5:
            held = rng.choice(contact.properties)
            before = held.value
            while held.value == before:
                held.value = people.property_value(rng, held.definition)
        else:
            author, text = rng.choice(world.members), rng.choice(content.NOTES)
            contact.notes.append(Note(world.guid(world.now), text, author, world.now))
        _show_contact(world, contact)
    return edited


def delete_contacts(world: World, which: Which) -> list[str]:
    """Contacts vanish with their notes and history; their conversations stay."""
    deleted = pick(world, world.contacts, which)
    for contact_id in deleted:
        contact = world.contacts.pop(contact_id)
        world.departed_contacts[contact_id] = contact
        world.mark_deleted("contacts", contact_id)
        world.mark_deleted("contact_notes", *(note.id for note in contact.notes))
        world.mark_deleted("contact_history", *(row.id for row in contact.history))
    world.changed(*deleted)
    return deleted


def delete_conversations(world: World, which: Which) -> list[str]:
    """Conversations vanish with their timelines."""
    deleted = pick(world, world.conversations, which)
    for conversation_id in deleted:
        talk = world.conversations.pop(conversation_id)
        world.departed_conversations[conversation_id] = talk
        del world.by_channel[talk.channel.id][conversation_id]
        world.mark_deleted("conversations", conversation_id)
        world.mark_deleted("timeline_events", *(event.id for event in talk.events))
        world.mark_deleted("assignments", *_assignations(talk))
    world.changed(*deleted)
    return deleted


def restore_contacts(world: World, which: Which) -> list[str]:
    """Deleted contacts come back with the ids, notes and history they had."""
    restored = pick(world, world.departed_contacts, which)
    for contact_id in restored:
        contact = world.departed_contacts.pop(contact_id)
        # What was deleted meanwhile from all others stays deleted.
        contact.properties = [v for v in contact.properties if v.definition.id in world.definitions]
        world.contacts[contact_id] = contact
        world.unearth("contacts", contact_id)
        world.unearth("contact_notes", *(note.id for note in contact.notes))
        world.unearth("contact_history", *(row.id for row in contact.history))
    world.changed(*restored)
    return restored


def restore_conversations(world: World, which: Which) -> list[str]:
    """Deleted conversations come back with their ids and timelines."""
    restored = pick(world, world.departed_conversations, which)
    for conversation_id in restored:
        talk = world.departed_conversations.pop(conversation_id)
        talk.tags = [tag for tag in talk.tags if tag.id in world.tags]
        world.add_conversation(talk)
        world.unearth("conversations", conversation_id)
        world.unearth("timeline_events", *(event.id for event in talk.events))
        world.unearth("assignments", *_assignations(talk))
    world.changed(*restored)
    return restored


def close_conversations(world: World, which: Which) -> list[str]:
    """Open conversations are closed: their activity, event count and last event stay."""
    open_ones = {talk.id: talk for talk in world.conversations.values() if talk.status == OPEN}
    closed = pick(world, open_ones, which)
    for conversation_id in closed:
        open_ones[conversation_id].status = CLOSED
    world.changed(*closed)
    return closed


def delete_tags(world: World, which: Which) -> list[str]:
    """Tags vanish, from their conversations too."""
    deleted = pick(world, world.tags, which)
    for tag_id in deleted:
        tag = world.tags.pop(tag_id)
        world.mark_deleted("tags", tag_id)
        for talk in world.conversations.values():
            if tag in talk.tags:
                talk.tags.remove(tag)
    world.changed_widely()
    return deleted


def delete_definitions(world: World, which: Which) -> list[str]:
    """Property definitions vanish, and their values with them."""
    deleted = pick(world, world.definitions, which)
    for definition_id in deleted:
        definition = world.definitions.pop(definition_id)
        world.mark_deleted("property_definitions", definition_id)
        for contact in world.contacts.values():
            contact.properties = [v for v in contact.properties if v.definition is not definition]
    world.changed_widely()
    return deleted


def touch_conversations(world: World, which: Which) -> list[str]:
    """Something happens in a conversation: it jumps to the front of its list."""
    touched = pick(world, world.conversations, which)
    writer = TimelineWriter(world, world.rng)
    # A second after everything else that is not dated ahead, or the front would be shared.
    active = (talk.active for talk in world.conversations.values())
    front = max((at for at in active if at < world.now + HOUR), default=0)
    for step, conversation_id in enumerate(touched, start=1):
        talk = world.conversations[conversation_id]
        writer.add(talk, max(world.now, front + step * SECOND))
    world.changed(*touched)
    return touched


def add_messages(world: World, count: int, since: int) -> list[str]:
    """New events in conversations drawn by chance, at instants between ``since`` and now."""
    talks = list(world.conversations.values())
    writer = TimelineWriter(world, world.rng)
    added = []
    for at in sorted(world.rng.randint(since, world.now) for _ in range(count if talks else 0)):
        talk = world.rng.choice(talks)
        latest = talk.events[-1].at if talk.events else talk.created
        added.append(writer.add(talk, max(at, latest)).id)
        world.changed(talk.id)
    return added


def move_statuses(world: World, count: int) -> list[str]:
    """Outbound messages move on to sent, delivered, read or failed; the latest ones first."""
    waiting = [
        event
        for event in _events(world)
        if event.source == WHATSAPP and event.direction == OUTBOUND and event.status in _NEXT
    ]
    waiting.sort(key=lambda event: (event.at, event.id), reverse=True)
    chosen = world.rng.sample(waiting[: 3 * count], min(count, len(waiting)))
    for event in chosen:
        world.moves.setdefault(event.id, [(event.at, event.status or "")])
        event.status = world.rng.choice(_NEXT[event.status or ""])
        if event.status == "Failed":
            event.more = event.more or More()
            event.more.error_code, event.more.failure_reason = world.rng.choice(content.FAILURES)
        world.moves[event.id].append((world.now, event.status or ""))
        world.changed(event.id, event.conversation.id)
    return [event.id for event in chosen]


def add_summaries(world: World, count: int) -> list[str]:
    """Calls get the summary they were still waiting for; nothing else shows it."""
    waiting = [event for event in _events(world) if is_summarisable(event)]
    waiting.sort(key=lambda event: (event.at, event.id), reverse=True)
    for event in waiting[:count]:
        summarise(event, world.rng)
        world.summarised[event.id] = world.now
        world.changed(event.id)
    return [event.id for event in waiting[:count]]


def change_tags(world: World, count: int) -> list[str]:
    """Conversations get other tags, and one tag another name; no activity shows it."""
    tags = list(world.tags.values())
    if not tags or not count:
        return []
    renamed = world.rng.choice(tags)
    renamed.name = f"{renamed.name.strip()} {world.rng.randrange(1000)} "
    changed = pick(world, world.conversations, count)
    for conversation_id in changed:
        talk = world.conversations[conversation_id]
        talk.tags = [tag for tag in tags if (tag in talk.tags) != (tag is renamed)]
    world.changed_widely()
    return [renamed.id, *changed]


def change_definitions(world: World, count: int) -> list[str]:
    """Property definitions get another name, and selects another option."""
    changed = pick(world, world.definitions, count)
    for definition_id in changed:
        definition = world.definitions[definition_id]
        definition.name = f"{definition.name.strip()} {world.rng.randrange(1000)}"
        definition.modified = world.now
        if definition.options is not None:
            definition.options.append((f"New {len(definition.options)}", None))
    world.changed_widely()
    return changed


def _assignations(talk: Conversation) -> Iterator[str]:
    return (event.id for event in talk.events if event.source == ASSIGNATION)


def _events(world: World) -> Iterator[Event]:
    for talk in world.conversations.values():
        yield from talk.events


def _show_contact(world: World, contact: Contact) -> None:
    """A conversation shows its contact's name, so both look different now."""
    talks = (talk.id for talk in world.conversations.values() if talk.contact is contact)
    world.changed(contact.id, *talks)
