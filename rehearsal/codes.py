"""The service's enumerations: number on the wire, name on the wire, name in the warehouse."""

import re

Codes = dict[int, str]

CHANNEL_TYPE: Codes = {1: "PhoneNumber", 2: "Whatsapp", 3: "PhoneNumberAndWhatsapp"}
ROLE: Codes = {1: "Owner", 2: "Member"}
PROPERTY_TYPE: Codes = {1: "Text", 2: "Number", 3: "Select", 4: "Date"}
CONTACT_TYPE: Codes = {1: "Individual"}
CONVERSATION_STATUS: Codes = {1: "Open", 2: "Closed"}
SENTIMENT: Codes = {1: "Positive", 2: "Neutral", 3: "Negative", 4: "Mixed", 5: "Unknown"}
SOURCE: Codes = {1: "Call", 2: "WhatsApp", 3: "Assignation"}
DIRECTION: Codes = {1: "Inbound", 2: "Outbound", 3: "Internal"}
CALL_STATUS: Codes = {
    0: "Active",
    1: "Completed",
    2: "Missed",
    3: "RejectedByCaller",
    4: "RejectedByCallee",
    5: "NoAnswer",
    6: "Cancelled",
    7: "Failed",
    8: "Ringing",
}

IVR_STATUS = (
    *("Pending", "Initiated", "Ringing", "InProgress"),
    *("Completed", "NoAnswer", "Busy", "Failed"),
)
IVR_RESULT = (
    *("None", "DigitPressed", "NoInput", "InvalidInput"),
    *("NotAnswered", "DestinationBusy", "TechnicalFailure", "Cancelled"),
)
"""Of automatic calls; their numbers count from zero."""

EVENT_STATUSES = frozenset(
    {
        *("Pending", "Sent", "Delivered", "Read", "Failed"),
        *("Answered", "Missed", "NoAnswer", "Completed", "Cancelled", "Rejected"),
    }
)
"""Status words of timeline events that a reader can be expected to know."""

_CANONICAL = {
    "PhoneNumber": "phone",
    "Whatsapp": "whatsapp",
    "WhatsApp": "whatsapp",
    "PhoneNumberAndWhatsapp": "phone_and_whatsapp",
}


def on_wire(codes: Codes, code: int | None, as_text: bool) -> int | str | None:
    """The code as it is sent; .NET writes an undefined one as a number even among names."""
    return codes.get(code, code) if as_text and code is not None else code


def canonical(codes: Codes, code: int | None) -> str | None:
    """The code as the warehouse names it."""
    if code is None:
        return None
    name = codes.get(code)
    return f"unknown:{code}" if name is None else _CANONICAL.get(name) or _snake(name)


def canonical_status(word: str | None) -> str | None:
    """An event's status word as the warehouse names it."""
    if word is None:
        return None
    return _snake(word) if word in EVENT_STATUSES else f"unknown:{word}"


def canonical_word(word: str | None) -> str | None:
    """A documented word as the warehouse names it."""
    return None if word is None else _snake(word)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
