"""Campaigns that the workspace sent through the API: templates to many, and what came back.

They are written into the timelines of conversations that there are, from a generator of their own:
the same workspace without campaigns stays as it is. Each shows something that a reader of campaigns
must get right; `PLANS` has what.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from rehearsal import content
from rehearsal.ids import DAY, HOUR, MINUTE, SECOND, sequential_guid
from rehearsal.model import Conversation, Event, More
from rehearsal.timelines import CALL, INBOUND, OUTBOUND, WHATSAPP

if TYPE_CHECKING:
    from rehearsal.world import World

_FAILURES = ((131026, "Message undeliverable"), (131049, None), (131047, "Re-engagement message"))


@dataclass(frozen=True, slots=True)
class Template:
    """A template of the workspace, in one language, as it was approved."""

    name: str
    category: str
    language: str
    text: str


TEMPLATES = (
    Template("autumn_offer", "marketing", "ar", "مرحباً {{1}}،\nخصم {{2}}٪ حتى نهاية الأسبوع"),
    Template("autumn_offer", "marketing", "en", "Hello {{1}},\n{{2}}% off until the weekend"),
    Template("order_shipped", "utility", "en", "Order {{1}} was shipped and arrives on {{2}}."),
    Template("visit_reminder", "utility", "ar", "نذكركم بموعد الزيارة يوم {{1}} الساعة {{2}}"),
)
#: Sent as they are, and among no templates that a reader is given.
_PLAIN = "نعتذر: فروعنا مغلقة غداً، نخدمكم عبر  واتساب"
_LOGGED = "رمز عرضك {n} يا {name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign to be sent.

    Attributes:
        key: its name here.
        template: of TEMPLATES; ``""`` for a text that is none of them.
        text: where there is no template; ``{name}`` and ``{n}`` are filled in.
        days: before the world's clock at the start, when its first message goes out.
        contacts: to so many; or to those to whom the campaign of that key failed.
        spacing: seconds between two messages.
        failing: share of messages that fail.
        logged: the sender logged its messages, with this category and the template's name.
        repeated: so many contacts get it again within the burst.
    """

    key: str
    template: str
    text: str
    days: float
    contacts: int | str
    spacing: int = 40
    failing: float = 0.0
    logged: tuple[str, str] | None = None
    repeated: int = 0


PLANS = (
    Plan("two languages", "autumn_offer", "", 40, 48, failing=0.3, repeated=4),
    Plan("a week later", "autumn_offer", "", 33, 30),
    Plan("to those it failed for", "autumn_offer", "", 38, "two languages", failing=0.4),
    Plan("at the same time", "order_shipped", "", 39.99, 40, spacing=55),
    Plan("a text", "", _PLAIN, 25, 26),
    Plan("the text a week later", "", _PLAIN, 18, 22),
    Plan("known by the log", "", _LOGGED, 12, 20, logged=("marketing", "voucher")),
    Plan("too few", "visit_reminder", "", 10, 9),
    Plan("as few as may be", "visit_reminder", "", 6, 10, spacing=7 * 3600),
)


@dataclass(slots=True, eq=False)
class Sent:
    """A campaign as it was sent.

    Attributes:
        plan: what was to be sent.
        events: its messages.
    """

    plan: Plan
    events: list[Event]


def send(world: World) -> list[Sent]:
    """Write the campaigns of `PLANS` into the world's timelines; return what was sent.

    They go to fewer contacts where not so many are on a line for WhatsApp for two months.
    """
    writer = _Writer(world)
    found: dict[str, Sent] = {}
    for plan in PLANS:
        found[plan.key] = writer.send(plan, found)
    for talk in writer.touched:
        talk.events.sort(key=lambda event: event.at)
        talk.active = max(talk.active, talk.events[-1].at)
    return list(found.values())


class _Writer:
    """Writes campaigns; all chance comes from a generator of its own."""

    def __init__(self, world: World) -> None:
        self.world, self.rng = world, Random(f"{world.spec.seed} campaigns")
        self.touched: dict[Conversation, None] = {}
        # The first line for WhatsApp that carries calls, too.
        lines = sorted(world.channels.values(), key=lambda line: line.type, reverse=True)
        self.talks = list(world.by_channel[lines[0].id].values())
        # Who was in the workspace long before, so that every message lies after its contact.
        begin = world.now - 60 * DAY
        self.talks = [talk for talk in self.talks if talk.created < begin]

    def send(self, plan: Plan, before: dict[str, Sent]) -> Sent:
        """Send one, and let some of its contacts reply and call."""
        if isinstance(plan.contacts, str):
            failed = (event for event in before[plan.contacts].events if event.status == "Failed")
            talks = list(dict.fromkeys(event.conversation for event in failed))
        else:
            talks = self.rng.sample(self.talks, min(plan.contacts, len(self.talks)))
        talks += talks[: plan.repeated]
        at = self.world.now - int(plan.days * DAY)
        events = []
        for talk in talks:
            at += plan.spacing * SECOND + self.rng.randrange(10) * SECOND
            events.append(self._message(talk, at // SECOND * SECOND, plan))
        for event in events:
            self._answer(event)
        return Sent(plan, events)

    def _message(self, talk: Conversation, at: int, plan: Plan) -> Event:
        rng = self.rng
        is_failed = rng.random() < plan.failing
        event = self._event(talk, at, OUTBOUND, rng.choice(("Read", "Read", "Delivered", "Sent")))
        if is_failed:
            event.status = "Failed"
            code, reason = rng.choice(_FAILURES)
            event.more = More(error_code=code, failure_reason=reason)
        event.body = self._text(talk, plan)
        self.world.template_messages.add(event.id)
        return event

    def _text(self, talk: Conversation, plan: Plan) -> str:
        rng = self.rng
        if not plan.template:
            return plan.text.format(name=talk.contact.name, n=rng.randrange(10**5))
        form = rng.choice([one for one in TEMPLATES if one.name == plan.template])
        filled = form.text.replace("{{1}}", rng.choice((talk.contact.name, "سارة", "7731")))
        return filled.replace("{{2}}", str(rng.choice((15, "20", "الأحد"))))

    def _answer(self, event: Event) -> None:
        """What its contact does: nothing, a reply soon, late or too late, a call; and we answer."""
        if event.status == "Failed":
            return
        rng, talk = self.rng, event.conversation
        roll = rng.random()
        if roll < 0.45:
            wait = rng.choice((20 * MINUTE, 5 * HOUR, 23 * HOUR, 30 * HOUR, 70 * HOUR, 80 * HOUR))
            at = event.at + 7 * HOUR + wait if wait < DAY else event.at + wait
            self._reply(talk, at + rng.randrange(30) * MINUTE)
        if 0.35 < roll < 0.55:
            self._call(talk, event.at + rng.choice((8, 40, 71, 90)) * HOUR)

    def _reply(self, talk: Conversation, at: int) -> None:
        rng = self.rng
        for place in range(rng.choice((1, 1, 2))):
            said = self._event(talk, at + place * MINUTE, INBOUND, "Read")
            said.body = rng.choice(("كم السعر؟", "Yes please", "إيقاف", "👍"))
        if rng.random() < 0.7:
            at += rng.choice((5 * MINUTE, 3 * HOUR, 30 * HOUR))
            answer = self._event(talk, at, OUTBOUND, "Read")
            answer.handler = rng.choice((*self.world.members, *self.world.agents))
            answer.handler_name = answer.handler.name
            answer.body = content.OUTBOUND_TEXTS[0]

    def _call(self, talk: Conversation, at: int) -> None:
        call = self._event(talk, at, INBOUND, self.rng.choice(("Answered", "Missed")), CALL)
        call.more = More(ringing=12 * SECOND)
        if call.status == "Answered":
            call.more.duration = 95 * SECOND

    def _event(
        self, talk: Conversation, at: int, direction: int, status: str, source: int = WHATSAPP
    ) -> Event:
        at = min(at // SECOND * SECOND, self.world.now - SECOND)
        event = Event(
            id=sequential_guid(at + self.rng.randrange(SECOND), self.rng),
            conversation=talk,
            source=source,
            direction=direction,
            at=at,
            status=status,
            source_id=sequential_guid(at, self.rng),
        )
        talk.events.append(event)
        self.touched[talk] = None
        return event
