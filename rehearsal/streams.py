"""Which path is which stream: for the log, for aiming faults, and for following scans."""

import re
from typing import NamedTuple


class Address(NamedTuple):
    """A request's stream and, where there is one, the record in its path."""

    stream: str
    parent: str | None


_PATHS: tuple[tuple[str, str], ...] = (
    ("token", "/connect/token"),
    ("channels", "/v1/channels/service-account"),
    ("users", "/v1/workspaces/users"),
    ("tags", "/v1/tags/service-account"),
    ("contacts", "/v1/contacts"),
    ("contact", "/v1/contacts/([^/]+)"),
    ("contact_history", "/v1/contacts/([^/]+)/history"),
    ("property_definitions", "/v1/contact-property-definitions"),
    ("property_statistics", "/v1/contact-property-definitions/([^/]+)/statistics"),
    ("conversations", "/v2/conversations/service-account/channels/([^/]+)"),
    ("conversation", "/v2/conversations/service-account/([^/]+)"),
    ("timelines", "/v2/conversations/service-account/([^/]+)/timeline"),
)
_PATTERNS = tuple((stream, re.compile(pattern)) for stream, pattern in _PATHS)


def address(path: str) -> Address:
    """The stream of a path; ``other`` for a path that the service does not have."""
    for stream, pattern in _PATTERNS:
        if found := pattern.fullmatch(path):
            return Address(stream, found[1].lower() if found.groups() else None)
    return Address("other", None)
