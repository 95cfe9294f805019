"""Shapes of version 1: channels, users, property definitions, contacts; and tags."""

from typing import Any

from rehearsal import codes
from rehearsal.ids import zulu_text
from rehearsal.model import (
    Channel,
    Contact,
    Definition,
    HistoryRow,
    Note,
    PropertyValue,
    Tag,
    User,
)
from rehearsal.style import FREE_FORM, Json, Style


def channel(style: Style, channel: Channel) -> Json:
    """An item of the channel list; ``postCallWebhookUrl`` may carry a secret."""
    return {
        "id": channel.id,
        "creationTime": style.v1(channel.created),
        "creatorId": channel.creator_id,
        "lastModificationTime": style.v1(channel.modified),
        "lastModifierId": channel.creator_id if channel.modified else None,
        "workspaceId": style.workspace_id,
        "name": channel.name,
        "type": style.code(codes.CHANNEL_TYPE, channel.type),
        "icon": "headset",
        "phoneNumber": _channel_phone(style, channel),
        "smartReconnectConfiguration": {
            "enabled": False,
            "windowMinutes": 30,
            "sipRingTimeoutSeconds": 20,
            "fallbackStrategy": 1,
            "mobileRingTimeoutSeconds": 25,
        },
        "inboundAgentConfiguration": None,
        "postCallWebhookUrl": channel.hook,
        "evaluationTemplateId": None,
        "whatsAppInfo": None if channel.type == 1 else {"providerType": 2, "sessionInfo": None},
    }


def _channel_phone(style: Style, channel: Channel) -> Json | str | None:
    shape = style.quirks.channel_phone
    if shape == "object":
        return {
            "id": channel.phone_id,
            "workspaceId": style.workspace_id,
            "number": channel.number,
            "phoneNumberStatus": 1,
            "region": "SA",
            "provider": "sample",
        }
    return channel.number if shape == "text" else None


def user(style: Style, user: User) -> Json:
    """An item of the bare user list."""
    return {
        "id": user.id,
        "userId": user.user_id,
        "workspaceId": style.workspace_id,
        "email": user.email,
        "name": user.name,
        "logoUrl": None,
        "role": style.code(codes.ROLE, user.role),
        "creationTime": style.v1(user.created),
        "isAiAgent": user.is_ai,
        "phoneNumber": user.phone,
    }


def tag(_: Style, tag: Tag) -> Json:
    """An item of the tag list."""
    return {
        "id": tag.id,
        "name": tag.name,
        "icon": tag.icon,
        "isPinned": tag.pinned,
        "creationTime": zulu_text(tag.created),
    }


def definition(style: Style, definition: Definition) -> Json:
    """An item of the bare list of property definitions."""
    options: list[Any] | None = None
    if definition.options is not None:
        options = [
            value if style.options_as_text else {"value": value, "color": color}
            for value, color in definition.options
        ]
    return {
        "id": definition.id,
        "workspaceId": style.workspace_id,
        "name": definition.name,
        "key": definition.key,
        "type": style.code(codes.PROPERTY_TYPE, definition.type),
        "isRequired": definition.required,
        "selectOptions": options,
        "creationTime": style.v1(definition.created),
        "creatorId": definition.creator_id,
        "lastModificationTime": style.v1(definition.modified),
        "lastModifierId": None,
    }


def contact(style: Style, contact: Contact) -> Json:
    """A contact: the same shape in the list and on its own."""
    return {
        "id": contact.id,
        "workspaceId": style.workspace_id,
        "creatorId": contact.creator_id,
        "creationTime": style.v1(contact.created),
        "lastModificationTime": style.v1(contact.modified),
        "lastModifierId": contact.modifier_id,
        "name": contact.name,
        "phoneNumber": contact.phone.text if contact.phone else None,
        "contactType": style.code(codes.CONTACT_TYPE, contact.type),
        "email": contact.email,
        "company": contact.company,
        "position": contact.position,
        FREE_FORM: contact.custom_fields,
        "notes": [_note(style, contact, note) for note in contact.notes],
        "customProperties": [_property(style, value) for value in contact.properties],
    }


def _note(style: Style, contact: Contact, note: Note) -> Json:
    return {
        "id": note.id,
        "contactId": contact.id,
        "text": note.text,
        "creatorName": note.author.name,
        "creationTime": style.v1(note.created),
        "creatorId": note.author.user_id,
        "lastModificationTime": None,
        "lastModifierId": None,
    }


def _property(style: Style, held: PropertyValue) -> Json:
    slots = {2: "numberValue", 3: "selectValue", 4: "dateValue"}
    kind = held.definition.type
    value = held.value
    shape: Json = {
        "propertyDefinitionId": held.definition.id,
        "propertyName": held.definition.name,
        "propertyType": style.code(codes.PROPERTY_TYPE, kind),
        "textValue": None,
        "numberValue": None,
        "dateValue": None,
        "selectValue": None,
    }
    shape[slots.get(kind, "textValue")] = f"{value}T00:00:00" if kind == 4 else value
    return shape


def history_row(style: Style, row: HistoryRow) -> Json:
    """An item of a contact's history."""
    return {
        "id": row.id,
        "propertyName": row.property_name,
        "oldValue": row.old,
        "newValue": row.new,
        "creationTime": style.v1(row.created),
        "creatorId": row.creator_id,
    }
