"""Who is in the workspace: users, channels, tags, property definitions and contacts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from rehearsal import content
from rehearsal.ids import DAY, HOUR, MINUTE, SECOND, random_guid, sequential_guid
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

if TYPE_CHECKING:
    from rehearsal.world import World

AGE = 420 * DAY
"""How far back the workspace goes."""

_DEFINITIONS: tuple[tuple[str, str, int, tuple[str, ...] | None], ...] = (
    ("المدينة", "city", 3, content.CITIES),
    ("مصدر العميل ", "source", 3, ("إعلان", "توصية", "Walk-in", "معرض 2026 ")),
    ("Budget", "budget", 2, None),
    ("تاريخ الميلاد", "birth_date", 4, None),
    ("ملاحظة داخلية", "internal_note", 1, None),
    ("Renewal date", "renewal_date", 4, None),
    ("عدد الفروع", "branches", 2, None),
    ("Signature", "signature", 9, None),
)


def users(world: World, rng: Random) -> Iterator[User]:
    """Members first, then one AI agent in four: its ``user_id`` is not sequential."""
    agents = max(1, world.spec.users // 4)
    for index in range(world.spec.users):
        is_ai = index >= world.spec.users - agents
        created = world.start + index * 3 * DAY + rng.randrange(DAY)
        yield User(
            id=sequential_guid(created + rng.randrange(3 * SECOND), rng),
            user_id=random_guid(rng) if is_ai else sequential_guid(created - MINUTE, rng),
            name=f"مساعد ذكي {index}" if is_ai else content.person(rng),
            email=None if is_ai else f"member.{index}@example.invalid",
            phone=None if is_ai or index % 3 == 2 else f"+9665000000{index % 100:02}",
            role=1 if index == 0 else 2,
            is_ai=is_ai,
            created=created,
        )


def channels(world: World, rng: Random) -> Iterator[Channel]:
    """Lines of type 3 as seen live, and the two other types."""
    owner = next(iter(world.users.values()))
    for index in range(world.spec.channels):
        created = world.start + index * DAY + rng.randrange(DAY)
        hook = f"https://hooks.example.invalid/post-call?channel={index}&token="
        yield Channel(
            id=sequential_guid(created + rng.randrange(2 * SECOND), rng),
            name=("خدمة العملاء", "المبيعات ", "Support line")[index % 3] + f" {index + 1}",
            type=(3, 2, 1, 3)[index % 4],
            number=f"+9669200000{index % 100:02}",
            phone_id=sequential_guid(created - HOUR, rng),
            created=created,
            modified=created + 40 * DAY + rng.randrange(DAY) if index % 2 == 0 else None,
            creator_id=owner.user_id,
            hook=hook + world.channel_secret if index % 2 == 0 else None,
        )


def tags(world: World, rng: Random) -> Iterator[Tag]:
    """Tags with trailing spaces and near-duplicates; times are whole seconds."""
    for index in range(world.spec.tags):
        name, icon = content.TAGS[index % len(content.TAGS)]
        created = (world.start + 10 * DAY + index * DAY) // SECOND * SECOND
        yield Tag(
            id=sequential_guid(created + rng.randrange(900_000), rng),
            name=name if index < len(content.TAGS) else f"{name} {index}",
            icon=icon,
            pinned=index % 5 == 0,
            created=created,
        )


def definitions(world: World, rng: Random) -> Iterator[Definition]:
    """Properties of types 1 to 4, and one of an undocumented type."""
    owner = next(iter(world.users.values()))
    for index, (name, key, kind, options) in enumerate(_DEFINITIONS):
        created = world.start + 5 * DAY + index * HOUR + rng.randrange(MINUTE)
        colours = content.COLOURS
        yield Definition(
            id=sequential_guid(created + rng.randrange(SECOND), rng),
            name=name,
            key=key,
            type=kind,
            required=index == 0,
            options=None
            if options is None
            else [(value, colours[i % len(colours)]) for i, value in enumerate(options)],
            created=created,
            modified=created + 9 * DAY if index % 3 == 1 else None,
            creator_id=owner.user_id,
        )


def contacts(world: World, rng: Random) -> Iterator[Contact]:
    """The contacts of the start, oldest first, more of them as time goes on."""
    span = AGE - 41 * DAY
    moments = sorted(rng.random() ** 0.7 for _ in range(world.spec.contacts))
    for index, moment in enumerate(moments):
        yield contact(world, rng, index, world.start + 40 * DAY + int(moment * span))


def contact(world: World, rng: Random, index: int, created: int) -> Contact:
    """One contact: a person with details, or a bare number that wrote once."""
    random = rng.random
    number = content.phone(rng, index)
    is_bare = random() < 0.12
    # An import writes rows today that say they were created days ago.
    inserted = created + (int(random() * 9 * DAY) + DAY if random() < 0.03 else 0)
    made = Contact(
        id=sequential_guid(min(inserted, world.now) + rng.randrange(2 * SECOND), rng),
        name=number.text if is_bare else content.person(rng),
        phone=None if not is_bare and random() < 0.01 else number,
        type=2 if random() < world.spec.unknown_codes else 1,
        created=created,
        creator_id=None if is_bare else rng.choice(world.members).user_id,
    )
    if not is_bare:
        _describe(made, rng, index)
        _write_notes(world, made, rng)
        made.properties = [
            PropertyValue(definition, property_value(rng, definition))
            for definition in world.definitions.values()
            if random() < 0.35
        ]
    if random() < 0.4:
        _edit_in_the_past(world, made, rng)
    return made


def property_value(rng: Random, definition: Definition) -> str | float | date:
    """A value that fits the definition's type."""
    if definition.type == 2:
        return rng.choice((0, 1, 12, 1999.99, -3.5, rng.randrange(10**6), rng.random()))
    if definition.options:
        return rng.choice(definition.options)[0]
    if definition.type == 4:
        return date(1960, 1, 1) + timedelta(days=rng.randrange(24_000))
    return rng.choice(content.NOTES + content.ODD_TEXTS[2:8])


def _describe(made: Contact, rng: Random, index: int) -> None:
    random = rng.random
    if random() < 0.5:
        made.email = content.email(rng, index)
    if random() < 0.4:
        made.company = rng.choice(content.COMPANIES)
    if random() < 0.3:
        made.position = rng.choice(content.POSITIONS)
    made.custom_fields = _custom_fields(rng, index)


def _custom_fields(rng: Random, index: int) -> dict[str, Any] | None:
    roll = rng.random()
    if roll < 0.7:
        return None
    if roll < 0.8:
        return {}
    return {
        "legacyId": index,
        "مصدر": rng.choice(content.CITIES),
        "Nested": {"scores": [1, 2.5, None], "vip": roll < 0.85},
    }


def _write_notes(world: World, made: Contact, rng: Random) -> None:
    for number in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
        at = min(made.created + number * DAY + rng.randrange(2 * HOUR), world.now)
        author = rng.choice(world.members)
        note_id = sequential_guid(at + rng.randrange(SECOND), rng)
        made.notes.append(Note(note_id, rng.choice(content.NOTES), author, at))


def _edit_in_the_past(world: World, made: Contact, rng: Random) -> None:
    at = made.created
    for _ in range(rng.choice((1, 1, 2, 5))):
        at += int(rng.random() * max(0, world.now - at) * 0.9)
        log_edit(world, made, rng, at)


def log_edit(world: World, made: Contact, rng: Random, at: int) -> None:
    """Change some fields at one instant: a history row each, a few milliseconds apart."""
    author = rng.choice(world.members).user_id
    values = {
        "Company": rng.choice(content.COMPANIES),
        "Email": content.email(rng, rng.randrange(10**6)),
        "Position": rng.choice((None, *content.POSITIONS)),
        "Name": content.person(rng),
    }
    for step, name in enumerate(rng.sample(sorted(values), rng.choice((1, 1, 2, 3)))):
        logged = at + step * 3_000 + rng.randrange(3_000)
        old = getattr(made, name.lower())
        setattr(made, name.lower(), values[name])
        row_id = sequential_guid(logged - rng.randrange(20_000), rng)
        made.history.append(HistoryRow(row_id, name, old, values[name], logged, author))
    made.modified, made.modifier_id = at, author
