"""Property statistics: an array of made-up rows, since their real shape is unknown."""

from collections import Counter

from rehearsal.model import Definition
from rehearsal.style import Json
from rehearsal.world import World

#: What some JSON writers make of a share of nothing.
NOT_A_NUMBER = b'[{"value":"filled","count":NaN}]'


def first(world: World) -> Definition:
    """The property whose statistics a quirk makes unreadable."""
    return next(iter(world.definitions.values()))


def statistics(world: World, definition: Definition, *, as_text: bool) -> list[Json] | list[str]:
    """How many contacts have each option of a select, or any value of another type."""
    held = Counter(
        value.value if definition.options is not None else "filled"
        for contact in world.contacts.values()
        for value in contact.properties
        if value.definition is definition
    )
    names = [name for name, _ in definition.options] if definition.options else ["filled"]
    if as_text:
        return [f"{name}: {held[name]}" for name in names]
    return [{"value": name, "count": held[name]} for name in names]
