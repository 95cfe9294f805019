"""What can be wrong with a request, or with starting the page."""

from __future__ import annotations

from hatif.errors import HatifError


class BadRequest(HatifError):
    """An address names what there is not, or a value of the wrong form.

    Attributes:
        name: the parameter, for the message in the reader's language.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class TooSlow(HatifError):
    """A statement took longer than it may."""


class CannotServe(HatifError):
    """The address cannot be listened on."""
