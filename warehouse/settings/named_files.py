"""Settings that are read from their text, or from the file or folder that the text names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo
from pydantic.fields import FieldInfo

from warehouse.settings.business_hours import parse_holidays, parse_hours
from warehouse.settings.message_categories import check_message_categories
from warehouse.settings.rate_card import parse_rate_card
from warehouse.settings.templates import parse_templates
from warehouse.settings.values import user_path
from warehouse.settings.variables import variable


def hours(value: object) -> object:
    """Read hours of work, or the file of them that a text names."""
    return parse_hours(value) if isinstance(value, str) else value


def holidays(value: object) -> object:
    """Read the holidays in a file."""
    return parse_holidays(user_path(str(value))) if _is_path(value) else value or ()


def rates(value: object, info: ValidationInfo) -> object:
    """Read the rates in a file; dates are in the bill's zone, which was checked before."""
    if not _is_path(value):
        return value or ()
    # A time zone that is wrong has a message of its own.
    zone = info.data.get("billing_timezone") or info.data.get("timezone") or "UTC"
    return parse_rate_card(user_path(str(value)), zone)


def templates(value: object) -> object:
    """Read the templates in a file."""
    return parse_templates(user_path(str(value))) if _is_path(value) else value or ()


def message_categories(value: object) -> object:
    """Check a file of messages' categories."""
    return check_message_categories(user_path(str(value))) if _is_path(value) else value or None


def _is_path(value: object) -> bool:
    return isinstance(value, (str, Path)) and value != ""


class IsRead:
    """Marks a setting that is read from its text, or from the file that the text names."""


def named(given: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> Iterator[tuple[str, Path]]:
    """Yield variables with the files they name, of values by field that are not read yet."""
    for field, value in given.items():
        if isinstance(value, (str, Path)) and value != "" and _is_read(fields.get(field)):
            path = existing(str(value))
            if path is not None:
                yield variable(field), path


def _is_read(field: FieldInfo | None) -> bool:
    """Whether a setting is read from its text, or from the file that the text names."""
    return field is not None and IsRead in field.metadata


def existing(text: str) -> Path | None:
    """Return the path that a setting names; None where it is a value, such as hours of work."""
    try:
        path = user_path(text).absolute()
        return path if path.exists() else None
    except (OSError, ValueError):
        return None  # too long for a path, for example
