"""A careful reader: makes core rows of wire records by the contract's words, for comparison.

It shares no code with the server on purpose: two ways to the same truth.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

RIYADH = timezone(timedelta(hours=3))
CODES = {
    "channel": {1: "phone", 2: "whatsapp", 3: "phone_and_whatsapp"},
    "role": {1: "owner", 2: "member"},
    "property": {1: "text", 2: "number", 3: "select", 4: "date"},
    "contact": {1: "individual"},
    "status": {1: "open", 2: "closed"},
    "sentiment": {1: "positive", 2: "neutral", 3: "negative", 4: "mixed", 5: "unknown"},
    "source": {1: "call", 2: "whatsapp", 3: "assignation"},
    "direction": {1: "inbound", 2: "outbound", 3: "internal"},
}
NAMES = {
    "PhoneNumber": "phone",
    "PhoneNumberAndWhatsapp": "phone_and_whatsapp",
    "WhatsApp": "whatsapp",
}
MESSAGE_WORDS = ("Pending", "Sent", "Delivered", "Read", "Failed")
WORDS = (*MESSAGE_WORDS, "Answered", "Missed", "NoAnswer", "Completed", "Cancelled", "Rejected")


def code(kind, value):
    if isinstance(value, str):
        return NAMES.get(value, value.lower())
    return None if value is None else CODES[kind].get(value, f"unknown:{value}")


def word(value):
    if value is None:
        return None
    return re.sub("(?<!^)([A-Z])", r"_\1", value).lower() if value in WORDS else f"unknown:{value}"


def time(text):
    if text is None:
        return None
    reported = datetime.fromisoformat(text)
    return (reported if reported.tzinfo else reported.replace(tzinfo=RIYADH)).astimezone(UTC)


def id_time(guid):
    since = timedelta(milliseconds=int(guid.replace("-", "")[:12], 16))
    return datetime(1, 1, 1, tzinfo=UTC) + since


def seconds(text):
    if text is None:
        return None
    days, hours, minutes, rest = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):([\d.]+)", text).groups()
    return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def channel(r):
    phone = r.get("phonenumber")
    is_object = isinstance(phone, dict)
    return {
        "channel_id": r["id"],
        "workspace_id": r["workspaceid"],
        "name": r["name"],
        "channel_type": code("channel", r["type"]),
        "phone_number": phone["number"] if is_object else phone,
        "phone_number_id": phone["id"] if is_object else None,
        "created_at": time(r["creationtime"]),
        "modified_at": time(r.get("lastmodificationtime")),
    }


def user(r):
    return {
        "user_id": r["userid"],
        "membership_id": r["id"],
        "name": r["name"],
        "email": r.get("email"),
        "phone_number": r.get("phonenumber"),
        "role": code("role", r["role"]),
        "is_ai_agent": r["isaiagent"],
        "created_at": time(r["creationtime"]),
    }


def tag(r):
    return {
        "tag_id": r["id"],
        "name": r["name"],
        "icon": r.get("icon"),
        "is_pinned": r["ispinned"],
        "created_at": time(r["creationtime"]),
    }


def definition(r):
    options = r.get("selectoptions")
    if options is not None:
        options = [o if isinstance(o, dict) else {"value": o, "color": None} for o in options]
    return {
        "property_id": r["id"],
        "name": r["name"],
        "key": r["key"],
        "property_type": code("property", r["type"]),
        "is_required": r["isrequired"],
        "select_options": options,
        "created_at": time(r["creationtime"]),
        "modified_at": time(r.get("lastmodificationtime")),
    }


def contact(r):
    return {
        "contact_id": r["id"],
        "workspace_id": r["workspaceid"],
        "name": r["name"],
        "phone_number": r.get("phonenumber"),
        "contact_type": code("contact", r["contacttype"]),
        "email": r.get("email"),
        "company": r.get("company"),
        "position": r.get("position"),
        "custom_fields": r.get("customfields"),
        "created_at": time(r["creationtime"]),
        "modified_at": time(r.get("lastmodificationtime")),
    }


def contact_property(contact_id, r):
    return {
        "contact_id": contact_id,
        "property_id": r["propertydefinitionid"],
        "property_name": r["propertyname"],
        "property_type": code("property", r["propertytype"]),
        "text_value": r["textvalue"],
        "number_value": r["numbervalue"],
        "date_value": date.fromisoformat(r["datevalue"][:10]) if r["datevalue"] else None,
        "select_value": r["selectvalue"],
    }


def note(r):
    return {
        "note_id": r["id"],
        "contact_id": r["contactid"],
        "text": r["text"],
        "creator_name": r["creatorname"],
        "creator_id": r["creatorid"],
        "created_at": time(r["creationtime"]),
    }


def history(contact_id, r):
    return {
        "history_id": r["id"],
        "contact_id": contact_id,
        "property_name": r["propertyname"],
        "old_value": r.get("oldvalue"),
        "new_value": r.get("newvalue"),
        "changed_at": time(r["creationtime"]),
        "changed_by": r.get("creatorid"),
    }


def conversation(r):
    return {
        "conversation_id": r["id"],
        "channel_id": r["channelid"],
        "contact_id": r["contactid"],
        "status": code("status", r["status"]),
        "sentiment": code("sentiment", r.get("sentiment")),
        "created_at": id_time(r["id"]),
        "last_activity_at": time(r["lastactivityat"]),
        "assignee_user_id": r.get("assigneeid"),
        "assigned_ai_agent_id": r.get("assignedaiagentid"),
        "is_ai_assignee": r["isaiassignee"],
        "assignee_name": r.get("assigneename"),
        "last_event_source": code("source", r.get("lasteventsourcetype")),
        "last_event_direction": code("direction", r.get("lasteventdirection")),
        "last_event_status": word(r.get("lasteventstatus")),
        "last_event_at": time(r.get("lasteventoccurredat")),
        "event_count": r["lasteventscount"],
        "unread_count": r["unreadcount"],
    }


def event(r):
    part = {name: r.get(name) or {} for name in ("aisummary", "replyto", "internalthread")}
    place, given = r.get("location") or {}, r.get("assignation") or {}
    number = str(r.get("errorcode") or "").isdecimal()
    is_call = code("source", r["sourcetype"]) == "call"
    return {
        "event_id": r["eventid"],
        "conversation_id": r["conversationid"],
        "contact_id": r["contactid"],
        "channel_id": r["channelid"],
        "source": code("source", r["sourcetype"]),
        "source_id": r.get("sourceid"),
        "direction": code("direction", r["direction"]),
        "occurred_at": time(r["creationtime"]),
        "status": word(r.get("status")),
        "error_code": int(r["errorcode"]) if number else None,
        "failure_reason": r.get("failurereason") or (None if number else r.get("errorcode")),
        "is_ai": r["isai"],
        "attachment_url": r.get("attachment"),
        "owner_user_id": r.get("owneruserid"),
        "ai_agent_id": r.get("aiagentid"),
        "handler_name": r.get("handlername"),
        "duration_seconds": seconds(r.get("durationorsize")) if is_call else None,
        "media_size": None if is_call else r.get("durationorsize"),
        "ringing_seconds": seconds(r.get("ringingduration")),
        "body": r.get("body"),
        "ai_summary": part["aisummary"].get("summary"),
        "ai_transcription": part["aisummary"].get("transcription"),
        "reply_to_event_id": part["replyto"].get("repliedtoeventid"),
        "thread_id": part["internalthread"].get("id"),
        "thread_is_resolved": part["internalthread"].get("isresolved"),
        "thread_message_count": part["internalthread"].get("messagecount"),
        "latitude": place.get("latitude"),
        "longitude": place.get("longitude"),
        "location_name": place.get("name"),
        "location_address": place.get("address"),
        "assigned_user_id": given.get("assigneduserid"),
        "assigned_ai_agent_id": given.get("assignedaiagentid"),
        "assigned_by_user_id": given.get("assignedbyuserid"),
    }


def everything(client, paths):
    """Every core table, read over HTTP."""
    contacts = client.all(paths.CONTACTS)
    talks = client.conversations()
    events = [
        event(row)
        for talk in talks
        for row in client.all(f"{paths.CONVERSATION}/{talk['id']}/timeline")
    ]
    definitions = client.get(paths.DEFINITIONS).json()
    ids = [next(v for k, v in row.items() if k.lower() == "id") for row in definitions]
    return {
        "channels": [channel(row) for row in client.all(paths.CHANNELS)],
        "users": [user(row) for row in paths.lower(client.get(paths.USERS).json())],
        "tags": [tag(row) for row in client.all(paths.TAGS)],
        "property_definitions": [definition(row) for row in paths.lower(definitions)],
        "property_statistics": [
            {"property_id": i, "payload": client.get(f"{paths.DEFINITIONS}/{i}/statistics").json()}
            for i in ids
        ],
        "contacts": [contact(row) for row in contacts],
        "contact_properties": [
            contact_property(row["id"], held)
            for row in contacts
            for held in row["customproperties"]
        ],
        "contact_notes": [note(held) for row in contacts for held in row["notes"]],
        "contact_history": [
            history(row["id"], entry)
            for row in contacts
            for entry in client.all(f"{paths.CONTACTS}/{row['id']}/history")
        ],
        "conversations": [conversation(row) for row in talks],
        "conversation_tags": [
            {"conversation_id": row["id"], "tag_id": held["id"]}
            for row in talks
            for held in row["tags"]
        ],
        "timeline_events": events,
        "assignments": [
            {
                "event_id": row["event_id"],
                "conversation_id": row["conversation_id"],
                "assigned_at": row["occurred_at"],
                "assigned_user_id": row["assigned_user_id"],
                "assigned_ai_agent_id": row["assigned_ai_agent_id"],
                "assigned_by_user_id": row["assigned_by_user_id"],
            }
            for row in events
            if row["source"] == "assignation"
        ],
    }
