"""The world: every record of the seeded workspace, its clock, and how it comes to be.

``version`` moves with every change and ``wire`` keeps rendered records until they change,
so that reading is fast and never stale. ``moves`` and ``summarised`` remember when a message
reached a status and when a call got its summary, since the start of the rehearsal: webhooks
report that when it happens. ``template_messages`` are the events that are sure to be templates.
"""

from random import Random

from rehearsal import campaigns, people, timelines
from rehearsal.ids import micros, random_guid, sequential_guid
from rehearsal.model import (
    Channel,
    Contact,
    Conversation,
    Definition,
    Tag,
    User,
)
from rehearsal.spec import WorldSpec


class World:
    """All records by id, in the order of their creation."""

    def __init__(self, spec: WorldSpec) -> None:
        rng = Random(spec.seed)
        self.spec = spec
        self.now = micros(spec.now)
        self.start = self.now - people.AGE
        self.workspace_id = sequential_guid(self.start, rng)
        self.client_id = f"{self.workspace_id}_API_{rng.getrandbits(64):016x}"
        self.client_secret = f"rehearsal-client-secret-{rng.getrandbits(96):024x}"
        self.channel_secret = f"rehearsal-hook-secret-{rng.getrandbits(96):024x}"
        self.users: dict[str, User] = {u.id: u for u in people.users(self, rng)}
        self.channels: dict[str, Channel] = {c.id: c for c in people.channels(self, rng)}
        self.tags: dict[str, Tag] = {t.id: t for t in people.tags(self, rng)}
        self.definitions: dict[str, Definition] = {d.id: d for d in people.definitions(self, rng)}
        self.contacts: dict[str, Contact] = {c.id: c for c in people.contacts(self, rng)}
        self.conversations: dict[str, Conversation] = {}
        self.by_channel: dict[str, dict[str, Conversation]] = {c: {} for c in self.channels}
        self.gone: dict[str, set[str]] = {}
        self.departed_contacts: dict[str, Contact] = {}
        self.departed_conversations: dict[str, Conversation] = {}
        self.moves: dict[str, list[tuple[int, str]]] = {}
        self.summarised: dict[str, int] = {}
        self.version = 0
        self.wire: dict[str, bytes] = {}
        for conversation in timelines.conversations(self, rng):
            self.add_conversation(conversation)
        self.rng = Random(rng.random())
        self.template_messages: set[str] = set()
        self.campaigns = campaigns.send(self) if spec.campaigns else []

    @property
    def members(self) -> list[User]:
        """The people among the users."""
        return [u for u in self.users.values() if not u.is_ai]

    @property
    def agents(self) -> list[User]:
        """The AI agents among the users."""
        return [u for u in self.users.values() if u.is_ai]

    def add_conversation(self, conversation: Conversation) -> None:
        """Make a conversation findable by its id and on its channel."""
        self.conversations[conversation.id] = conversation
        self.by_channel[conversation.channel.id][conversation.id] = conversation

    def changed(self, *ids: str) -> None:
        """These records look different from now on."""
        self.version += 1
        for record_id in ids:
            self.wire.pop(record_id, None)

    def changed_widely(self) -> None:
        """Something changed that many records show, such as the name of a tag."""
        self.version += 1
        self.wire.clear()

    def mark_deleted(self, table: str, *ids: str) -> None:
        """Remember ids that once lived and are gone."""
        self.gone.setdefault(table, set()).update(ids)

    def unearth(self, table: str, *ids: str) -> None:
        """These ids live again."""
        self.gone.setdefault(table, set()).difference_update(ids)

    def guid(self, instant: int) -> str:
        """A new sequential id."""
        return sequential_guid(instant, self.rng)

    def stranger(self) -> str:
        """An id that belongs to nothing here."""
        return random_guid(self.rng)
