"""A careful merger: core rows of webhook bodies and timeline rows, by the contract's sentences.

It reads JSON, knows nothing of the world, and shares no code with the server on purpose: two
ways to the same truth.
"""

import re
from collections import defaultdict
from datetime import datetime, timedelta

from tests.rehearsal.careful import seconds

RANKS = ["pending", "sent", "failed", "delivered", "read"]
CALLS = ["active", "completed", "missed", "rejected_by_caller", "rejected_by_callee"]
CALLS += ["no_answer", "cancelled", "failed", "ringing"]
IVR = ["pending", "initiated", "ringing", "in_progress", "completed", "no_answer", "busy", "failed"]
RESULTS = ["none", "digit_pressed", "no_input", "invalid_input", "not_answered"]
RESULTS += ["destination_busy", "technical_failure", "cancelled"]
SENTIMENTS = [None, "positive", "neutral", "negative", "mixed", "unknown"]
EDITS = ("MessageEdited", "MessageDeleted")
UNDER_WAY = ("ringing", "active")


def snake(word):
    return None if word is None else re.sub("(?<=[a-z])([A-Z])", r"_\1", word).lower()


def enum(names, value):
    return names[value] if isinstance(value, int) else snake(value)


def time(text):
    return None if text is None else datetime.fromisoformat(text)


def last(reported, *keys):
    """Of one key: non-null beats null, then the latest receipt; ``reported`` is in that order."""
    return next((t[k] for t in reversed(reported) for k in keys if t.get(k) is not None), None)


def either(first, second):
    return second if first is None else first


def messages(timeline, reported):
    """``reported``: unwrapped message bodies with ``received`` in the order of receipt and hash."""
    rows = [row for row in timeline if row["source"] == "whatsapp"]
    groups, edits = identify(rows, reported)
    found = [message(key, event, group, edits[key]) for key, (event, group) in groups.items()]
    by_talk = defaultdict(list)
    for row in found:
        by_talk[row["conversation_id"]].append(row)
    for talk in by_talk.values():
        talk.sort(key=lambda row: (row["sent_at"], row["event_id"] or row["message_key"]))
        for number, row in enumerate(talk):
            before = [r["sent_at"] for r in talk[:number] if r["direction"] == "outbound"]
            row["is_probable_auto_reply"] = row["direction"] == "inbound" and any(
                row["sent_at"] - at <= timedelta(seconds=30) for at in before
            )
    return found


def identify(rows, reported):
    """Key -> (timeline row or None, deliveries), and key -> edits."""
    originals = [t for t in reported if t["messagetype"] not in EDITS]
    edits = [t for t in reported if t["messagetype"] in EDITS]
    groups = by_content(originals, by_ids(originals))
    for key, event_id in sole_pairs(rows, groups):
        groups[event_id] = groups.pop(key)
    found = {row["event_id"]: (row, groups.pop(row["event_id"], [])) for row in rows}
    found |= {key: (None, group) for key, group in groups.items()}
    return found, edited(found, edits)


def by_ids(originals):
    event_of = {
        (t["channelid"], t["messageid"]): t["conversationeventid"]
        for t in originals
        if t.get("messageid") and t.get("conversationeventid")
    }
    groups = defaultdict(list)
    for t in originals:
        key = t.get("conversationeventid")
        if key is None and t.get("messageid"):
            key = event_of.get((t["channelid"], t["messageid"]), "wamid:" + t["messageid"])
        if key is not None:
            groups[key].append(t)
    return groups


def by_content(originals, groups):
    def content(t):
        return tuple(t.get(n) for n in ("conversationid", "creationtime", "direction", "body"))

    homes = defaultdict(set)
    for key, group in groups.items():
        for t in group:
            homes[content(t)].add(key)
    for t in originals:
        if not t.get("conversationeventid") and not t.get("messageid"):
            is_sole = len(homes[content(t)]) == 1
            groups[min(homes[content(t)]) if is_sole else f"hash:{content(t)}"].append(t)
    for group in groups.values():
        group.sort(key=lambda t: t["received"])
    return groups


def sole_pairs(rows, groups):
    owned = {row["event_id"] for row in rows} & groups.keys()
    free = defaultdict(list)
    for row in rows:
        if row["event_id"] not in owned:
            free[row["conversation_id"]].append(row)
    pairs = [
        (key, row["event_id"])
        for key, group in groups.items()
        if key not in owned
        for row in free[last(group, "conversationid")]
        if row["direction"] == last(group, "direction").lower()
        and row["body"] == last(group, "body")
        and abs(row["occurred_at"] - time(last(group, "creationtime"))) <= timedelta(seconds=2)
    ]
    return soles(pairs)


def soles(pairs):
    """Pairs of which each side is in no other."""
    left, right = ([pair[side] for pair in pairs] for side in (0, 1))
    return [pair for pair in pairs if left.count(pair[0]) == right.count(pair[1]) == 1]


def edited(found, edits):
    result = defaultdict(list)
    for t in edits:
        named = [t["conversationeventid"]] if t["conversationeventid"] in found else []
        linked = [
            key
            for key, (_, group) in found.items()
            if any(t["messageid"] == other.get("messageid") for other in group)
        ]
        for key in named or linked:
            result[key].append(t)
    return result


def message(key, event, reported, edits):
    row = event or {}
    first = reported[-1] if reported else {}
    words = [row.get("status"), *(snake(t["status"]) for t in reported)]
    status = max(filter(None, words), key=lambda w: RANKS.index(w) if w in RANKS else -1)
    direction = either(row.get("direction"), snake(first.get("direction")))
    sender = last(reported, "senderuserid")
    kind = snake(last(reported, "messagetype"))
    billable = [t["isbillable"] for t in reported]
    is_known = any(t["status"] != "Pending" for t in reported)
    flag = True if any(billable) else False if is_known else None
    is_ai = row.get("is_ai") or row.get("ai_agent_id") is not None
    origin = {"inbound": "customer"}.get(direction)
    if direction == "outbound":
        reported_by = ("template" if kind == "template" else "automatic") if reported else None
        owner = "agent" if row.get("owner_user_id") else "automatic"
        origin = "ai" if is_ai else "agent" if sender else reported_by or owner
    confidence = None if origin is None else "stated"
    if direction == "outbound":
        is_open = reported and not event and not sender
        confidence = "assumed" if not reported else "provisional" if is_open else "stated"

    def received(word):
        times = [t["received"][0] for t in reported if t["status"] == word and t["is_stated"]]
        return min(times, default=None)

    def code(value):
        return int(value) if str(value or "").isdecimal() else None

    raw = last(reported, "errorcode")
    changed = {
        w: [t for t in edits if t["messagetype"] == w] for w in {e["messagetype"] for e in edits}
    }
    edited, withdrawn = changed.get("MessageEdited", []), changed.get("MessageDeleted", [])
    reason = last(reported, "errorreason") or (None if code(raw) else raw)
    return {
        "message_key": key,
        "event_id": row.get("event_id")
        or min(
            (t["conversationeventid"] for t in reported if t.get("conversationeventid")),
            default=None,
        ),
        "wamid": last(reported, "messageid"),
        "conversation_id": either(row.get("conversation_id"), first.get("conversationid")),
        "contact_id": either(row.get("contact_id"), first.get("contactid")),
        "channel_id": either(row.get("channel_id"), first.get("channelid")),
        "direction": direction,
        "message_type": kind,
        "body": edited[-1]["body"] if edited else either(last(reported, "body"), row.get("body")),
        "media_url": either(last(reported, "mediaurl"), row.get("attachment_url")),
        "mime_type": last(reported, "mimetype"),
        "latitude": either(last(reported, "latitude"), row.get("latitude")),
        "longitude": either(last(reported, "longitude"), row.get("longitude")),
        "sent_at": either(row.get("occurred_at"), time(first.get("creationtime"))),
        "status": status,
        "delivered_at": received("Delivered"),
        "read_at": received("Read"),
        "failed_at": received("Failed"),
        "error_code": either(code(raw), row.get("error_code")) if status == "failed" else None,
        "error_reason": either(reason, row.get("failure_reason")) if status == "failed" else None,
        "sender_user_id": sender,
        "owner_user_id": row.get("owner_user_id"),
        "ai_agent_id": row.get("ai_agent_id"),
        "origin": origin,
        "origin_confidence": confidence,
        "is_billable": flag,
        "is_charged": flag if direction != "inbound" and status in RANKS[3:] else False,
        "edited_at": max((t["received"][0] for t in edited), default=None),
        "withdrawn_at": min((t["received"][0] for t in withdrawn), default=None),
        "in_timeline": event is not None,
        "in_webhooks": bool(reported),
    }


def calls(timeline, reported, talks):
    """``talks``: conversation by (contact, channel)."""
    rows = {r["source_id"] or r["event_id"]: r for r in timeline if r["source"] == "call"}
    groups = defaultdict(list)
    for t in reported:
        groups[t["callid"]].append(t)
    pairs = [
        (key, own)
        for key, group in groups.items()
        if key not in rows
        for own, row in rows.items()
        if own not in groups
        and row["contact_id"] == last(group, "contactid")
        and row["channel_id"] == last(group, "channelid")
        and row["direction"] == call_direction(group)
        and abs(row["occurred_at"] - time(last(group, "creationtime"))) <= timedelta(seconds=5)
    ]
    for key, own in soles(pairs):
        rows[key] = rows.pop(own)
    return [
        call(key, rows.get(key), groups.get(key, []), talks) for key in rows.keys() | groups.keys()
    ]


def call_direction(reported):
    return enum([None, "inbound", "outbound"], last(reported, "type"))


def call(key, event, reported, talks):
    row = event or {}
    wording = [enum(CALLS, t["status"]) for t in reported]
    final = [word for word in wording if word not in UNDER_WAY]
    status = "completed" if row.get("status") == "answered" else row.get("status")
    status = final[-1] if final else status or wording[-1]
    contact = either(row.get("contact_id"), last(reported, "contactid"))
    channel = either(row.get("channel_id"), last(reported, "channelid"))
    spoken = (last(reported, "transcription") or {}).get("text")
    return {
        "call_key": key,
        "event_id": row.get("event_id"),
        "conversation_id": row.get("conversation_id") or talks.get((contact, channel)),
        "contact_id": contact,
        "channel_id": channel,
        "direction": row.get("direction") or call_direction(reported),
        "status": status,
        "is_answered": True if last(reported, "pickuptime") else False if final else None,
        "is_completed": None if status in UNDER_WAY else status == "completed",
        "started_at": row.get("occurred_at") or time(last(reported, "creationtime")),
        "picked_up_at": time(last(reported, "pickuptime")),
        "ended_at": time(last(reported, "hanguptime")),
        "duration_seconds": either(
            seconds(last(reported, "calllength")), row.get("duration_seconds")
        ),
        "ringing_seconds": row.get("ringing_seconds"),
        "user_id": either(last(reported, "userid"), row.get("owner_user_id")),
        "user_name": either(last(reported, "username"), row.get("handler_name")),
        "ai_agent_id": either(row.get("ai_agent_id"), last(reported, "aiagentid")),
        "is_ai_call": either(row.get("is_ai"), last(reported, "isaicall")),
        "caller_number": last(reported, "callernumber"),
        "callee_number": last(reported, "calleenumber"),
        "contact_number": last(reported, "contactnumber"),
        "recording_url": last(reported, "recordingurl"),
        "summary": either(last(reported, "summary"), row.get("ai_summary")),
        "sentiment": enum(SENTIMENTS, last(reported, "sentiment"))
        if last(reported, "sentiment")
        else None,
        "transcription": either(spoken, row.get("ai_transcription")),
        "csat_rating": last(reported, "csatrating"),
        "csat_method": last(reported, "csatmethod"),
        "csat_at": time(last(reported, "csatcollectedat")),
        "in_timeline": event is not None,
        "in_webhooks": bool(reported),
    }


def ivr_calls(reported):
    groups = defaultdict(list)
    for t in reported:
        groups[t["id"]].append(t)
    for key, group in groups.items():
        result = last(group, "result")
        yield {
            "ivr_id": key,
            "external_id": last(group, "externalid"),
            "channel_id": last(group, "channelid"),
            "destination_number": last(group, "destinationnumber"),
            "status": enum(IVR, last(group, "status")),
            "result": enum(RESULTS, result),
            "pressed_digit": last(group, "presseddigit"),
            "initiated_at": time(last(group, "initiatedat")),
            "ringing_at": time(last(group, "ringingat")),
            "answered_at": time(last(group, "answeredat")),
            "completed_at": time(last(group, "completedat")),
            "duration_seconds": last(group, "calldurationseconds"),
            "call_id": last(group, "callid"),
            "error_message": last(group, "errormessage"),
            "hangup_cause": last(group, "hangupcause"),
        }
