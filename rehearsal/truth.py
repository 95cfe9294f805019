"""What ``core`` must hold right now, computed from the world and never from rendered JSON.

One function a table of the reference page, live rows only, API-fed columns only. Two quirks change
what can be known and are honoured: bare-text options have no colour, and a channel's phone
sent as text or null has no id or no number. An endpoint that is missing has no rows.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from rehearsal import codes, truth_timelines
from rehearsal.codes import canonical
from rehearsal.ids import aware
from rehearsal.model import PropertyValue
from rehearsal.render import pascal_keys
from rehearsal.spec import Quirks
from rehearsal.statistics import first, statistics
from rehearsal.world import World

Row = dict[str, Any]


def truth(world: World, quirks: Quirks, table: str) -> list[Row]:
    """The rows of one table.

    Raises:
        KeyError: no such table.
    """
    return list(TABLES[table](world, quirks))


def counts(world: World, quirks: Quirks) -> dict[str, int]:
    """How many records each stream must have brought."""
    return {
        "channels": len(world.channels),
        "users": len(world.users),
        "tags": len(world.tags),
        "contacts": len(world.contacts),
        "contact_history": 0
        if quirks.history == "missing"
        else sum(len(contact.history) for contact in world.contacts.values()),
        "property_definitions": len(world.definitions),
        "property_statistics": sum(1 for _ in _property_statistics(world, quirks)),
        "conversations": len(world.conversations),
        "timelines": sum(len(talk.events) for talk in world.conversations.values()),
    }


def _channels(world: World, quirks: Quirks) -> Iterator[Row]:
    shape = quirks.channel_phone
    for channel in world.channels.values():
        yield {
            "channel_id": channel.id,
            "workspace_id": world.workspace_id,
            "name": channel.name,
            "channel_type": canonical(codes.CHANNEL_TYPE, channel.type),
            "phone_number": None if shape == "null" else channel.number,
            "phone_number_id": channel.phone_id if shape == "object" else None,
            "created_at": aware(channel.created),
            "modified_at": _instant(channel.modified),
        }


def _users(world: World, _: Quirks) -> Iterator[Row]:
    for user in world.users.values():
        yield {
            "user_id": user.user_id,
            "membership_id": user.id,
            "name": user.name,
            "email": user.email,
            "phone_number": user.phone,
            "role": canonical(codes.ROLE, user.role),
            "is_ai_agent": user.is_ai,
            "created_at": aware(user.created),
        }


def _tags(world: World, _: Quirks) -> Iterator[Row]:
    for tag in world.tags.values():
        yield {
            "tag_id": tag.id,
            "name": tag.name,
            "icon": tag.icon,
            "is_pinned": tag.pinned,
            "created_at": aware(tag.created),
        }


def _property_definitions(world: World, quirks: Quirks) -> Iterator[Row]:
    coloured = quirks.options == "objects"
    for definition in world.definitions.values():
        options = definition.options
        yield {
            "property_id": definition.id,
            "name": definition.name,
            "key": definition.key,
            "property_type": canonical(codes.PROPERTY_TYPE, definition.type),
            "is_required": definition.required,
            "select_options": None
            if options is None
            else [
                {"value": value, "color": color if coloured else None} for value, color in options
            ],
            "created_at": aware(definition.created),
            "modified_at": _instant(definition.modified),
        }


def _property_statistics(world: World, quirks: Quirks) -> Iterator[Row]:
    if quirks.statistics == "missing":
        return
    for definition in world.definitions.values():
        if quirks.statistics == "one_nan" and definition is first(world):
            continue
        payload: Any = statistics(world, definition, as_text=quirks.statistics == "text")
        if quirks.casing == "pascal":
            payload = pascal_keys(payload)
        yield {"property_id": definition.id, "payload": payload}


def _contacts(world: World, _: Quirks) -> Iterator[Row]:
    for contact in world.contacts.values():
        yield {
            "contact_id": contact.id,
            "workspace_id": world.workspace_id,
            "name": contact.name,
            "phone_number": contact.phone.text if contact.phone else None,
            "phone_e164": contact.phone.text if contact.phone else None,
            "country": contact.phone.country if contact.phone else None,
            "contact_type": canonical(codes.CONTACT_TYPE, contact.type),
            "email": contact.email,
            "company": contact.company,
            "position": contact.position,
            "custom_fields": contact.custom_fields,
            "created_at": aware(contact.created),
            "modified_at": _instant(contact.modified),
        }


def _contact_properties(world: World, _: Quirks) -> Iterator[Row]:
    for contact in world.contacts.values():
        for held in contact.properties:
            yield {"contact_id": contact.id, **_property(held)}


def _property(held: PropertyValue) -> Row:
    kind, value = held.definition.type, held.value
    return {
        "property_id": held.definition.id,
        "property_name": held.definition.name,
        "property_type": canonical(codes.PROPERTY_TYPE, kind),
        "text_value": value if kind not in (2, 3, 4) else None,
        "number_value": float(value) if kind == 2 and not isinstance(value, date) else None,
        "date_value": value if kind == 4 else None,
        "select_value": value if kind == 3 else None,
    }


def _contact_notes(world: World, _: Quirks) -> Iterator[Row]:
    for contact in world.contacts.values():
        for note in contact.notes:
            yield {
                "note_id": note.id,
                "contact_id": contact.id,
                "text": note.text,
                "creator_name": note.author.name,
                "creator_id": note.author.user_id,
                "created_at": aware(note.created),
            }


def _contact_history(world: World, quirks: Quirks) -> Iterator[Row]:
    if quirks.history == "missing":
        return
    for contact in world.contacts.values():
        for row in contact.history:
            yield {
                "history_id": row.id,
                "contact_id": contact.id,
                "property_name": row.property_name,
                "old_value": row.old,
                "new_value": row.new,
                "changed_at": aware(row.created),
                "changed_by": row.creator_id,
            }


def _instant(instant: int | None) -> Any:
    return None if instant is None else aware(instant)


TABLES: dict[str, Callable[[World, Quirks], Iterator[Row]]] = {
    "channels": _channels,
    "users": _users,
    "tags": _tags,
    "property_definitions": _property_definitions,
    "property_statistics": _property_statistics,
    "contacts": _contacts,
    "contact_properties": _contact_properties,
    "contact_notes": _contact_notes,
    "contact_history": _contact_history,
    "conversations": truth_timelines.conversations,
    "conversation_tags": truth_timelines.conversation_tags,
    "timeline_events": truth_timelines.timeline_events,
    "assignments": truth_timelines.assignments,
}
