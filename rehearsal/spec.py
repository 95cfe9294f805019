"""What a rehearsal is made of: the size of its world, and the quirks it answers with."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Habits:
    """What the service reports by webhook, and how completely; shares between 0 and 1.

    Attributes:
        nulls: messages whose first delivery beyond ``Pending`` has no ``messageId`` either.
        without_event_id: message deliveries that lack ``conversationEventId``.
        edits: messages that are edited or withdrawn later.
        refires: calls with another delivery that has recording, summary or rating.
        flat_calls: calls that come without the ``{data, eventType}`` wrapper.
        words: calls whose status and direction come as words.
    """

    nulls: float = 0.1
    without_event_id: float = 0.02
    edits: float = 0.01
    refires: float = 0.6
    flat_calls: float = 0.3
    words: float = 0.2


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """The seeded workspace: the same spec makes the same world, ids included.

    Attributes:
        seed: everything random follows from it.
        contacts: live contacts at the start.
        conversations: live conversations; at most contacts times channels.
        events: timeline events in total, unevenly spread.
        channels: how many lines the workspace has.
        users: members in total, AI agents included.
        tags: conversation tags.
        now: the world's clock at the start; nothing in the world is later.
        odd_texts: share of message bodies that are hard to carry.
        unknown_codes: share of events and conversations with an undocumented code.
        campaigns: templates were sent to many contacts through the API (campaigns.py).
        habits: what it reports by webhook.
    """

    seed: int = 7
    contacts: int = 300
    conversations: int = 300
    events: int = 6_000
    channels: int = 2
    users: int = 8
    tags: int = 12
    now: datetime = datetime(2026, 11, 1, 9, tzinfo=UTC)
    odd_texts: float = 0.02
    unknown_codes: float = 0.001
    campaigns: bool = False
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        if self.channels < 1 or self.users < 2:
            raise ValueError("a workspace needs at least one channel and two users")
        if self.conversations > self.contacts * self.channels:
            raise ValueError("a contact has one conversation a channel: too many conversations")
        if self.events and not self.conversations:
            raise ValueError("events need a conversation to lie in")


@dataclass(frozen=True, slots=True)
class Quirks:
    """How the service behaves today; every field can change while it runs.

    Attributes:
        casing: of every key the API sends, wrapper included (error bodies stay camelCase).
        enums: numbers as seen live, or names as documented.
        page_cap: a maximum that is applied silently.
        max_page: a maximum beyond which the answer is 400.
        size_refusal: how a page beyond the maximum is refused: by ABP as seen live, by ABP without
            naming a parameter, by RFC 7807, as plain text, with 422, or with a code and 403.
        slow_page: pages of more records than this always end in 504.
        poisoned: positions of rows that make every page around them end in 500.
        holes: offsets at which a page comes empty, though the total counts more.
        max_offset: pages that reach beyond it are refused with 400.
        ignore_sorting: answer in the default order whatever is requested.
        date_filters: ``ToDate`` leaves out conversations active later, or is ignored.
        options: select options with colours, or as bare texts.
        channel_phone: the channel's line as an object, as its number, or null.
        v1_times: naive Riyadh time as seen live, or naive UTC (a changed service).
        unknown_keys: every record has one more, undocumented key.
        timeline_total: timelines come with ``totalCount``, or without.
        history: contact history answers, or is missing (404 for every contact).
        statistics: property statistics as objects, as bare texts, or missing (404); or those of
            the first property hold ``NaN``, which is no JSON.
        token_seconds: the life of a token, given in ``expires_in`` and enforced.
        signed_out: how an invalid or expired token is answered: 401 as seen live, a redirect
            to a login page, or that page itself with 200.
        requests_per_minute: the workspace's budget; beyond it the answer is 429.
        date_header: whose clock the ``Date`` of an answer has, if any.
        date_off_hours: by how much that clock is wrong.
    """

    casing: Literal["camel", "pascal"] = "camel"
    enums: Literal["int", "text"] = "int"
    page_cap: int | None = None
    max_page: int = 1000
    size_refusal: Literal["abp", "nameless", "problem", "text", "422", "403"] = "abp"
    slow_page: int | None = None
    poisoned: Collection[int] = ()
    holes: Collection[int] = ()
    max_offset: int | None = None
    ignore_sorting: bool = False
    date_filters: bool = False
    options: Literal["objects", "text"] = "objects"
    channel_phone: Literal["object", "text", "null"] = "object"
    v1_times: Literal["naive", "utc_naive"] = "naive"
    unknown_keys: bool = False
    timeline_total: Literal["live", "none"] = "live"
    history: Literal["live", "missing"] = "live"
    statistics: Literal["objects", "text", "missing", "one_nan"] = "objects"
    token_seconds: int = 1_296_000
    signed_out: Literal["401", "302", "page"] = "401"
    requests_per_minute: int | None = None
    date_header: Literal["world", "machine", "none"] = "world"
    date_off_hours: float = 0
