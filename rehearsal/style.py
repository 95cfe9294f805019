"""How a record is written today: what every shape needs to know of the world and its quirks."""

from typing import Any

from rehearsal.codes import Codes, on_wire
from rehearsal.ids import naive_text
from rehearsal.spec import Quirks

Json = dict[str, Any]

FREE_FORM = "customFields"
"""The one object whose keys belong to its authors, not to the service."""


class Style:
    """One workspace under one set of quirks."""

    def __init__(self, workspace_id: str, quirks: Quirks) -> None:
        self.workspace_id = workspace_id
        self.quirks = quirks
        self.text_enums = quirks.enums == "text"
        self.options_as_text = quirks.options == "text"
        self._offset = 3 if quirks.v1_times == "naive" else 0

    def v1(self, instant: int | None) -> str | None:
        """A time of version 1."""
        return None if instant is None else naive_text(instant, self._offset)

    def code(self, names: Codes, code: int | None) -> int | str | None:
        """An enumeration in a list."""
        return on_wire(names, code, self.text_enums)
