"""The stage: one world with its quirks, tokens, faults and log, and every way to direct it.

All methods may be called from any thread at any time; a request is answered in one piece,
before or after such a call, never in the middle of it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from rehearsal import actions, changes, rare_changes, truth
from rehearsal.campaigns import TEMPLATES, Template
from rehearsal.changes import Which
from rehearsal.faults import TRANSIENT, Fault, FaultBook
from rehearsal.ids import aware, micros
from rehearsal.log import Request
from rehearsal.passage import Passage, pass_time
from rehearsal.reader import Reader
from rehearsal.spec import Quirks, WorldSpec
from rehearsal.tokens import Tokens
from rehearsal.webhooks import FORMATS, Posted, Transport, Written
from rehearsal.webhooks import truth as webhook_truth
from rehearsal.webhooks.sending import Sending
from rehearsal.world import World


class Stage:
    """Everything but the sockets."""

    def __init__(self, spec: WorldSpec | None = None, quirks: Quirks | None = None) -> None:
        self.spec = spec or WorldSpec()
        self.quirks = quirks or Quirks()
        self.lock = RLock()
        self.world = World(self.spec)
        self.reader = Reader(self.world, self.quirks)
        self.tokens = Tokens(self.world.workspace_id, self.spec.seed)
        self.book = FaultBook()
        self.sending = Sending(self.world)
        self._posting = Lock()
        self.requests: list[Request] = []
        self.client_id = self.world.client_id
        self.client_secret = self.world.client_secret
        self.channel_secret = self.world.channel_secret
        self.workspace_id = self.world.workspace_id

    @property
    def now(self) -> datetime:
        """The world's clock."""
        return aware(self.world.now)

    @property
    def clock(self) -> datetime:
        """The time that answers tell, in ``Date`` and in dates to retry after."""
        right = self.now if self.quirks.date_header == "world" else datetime.now(UTC)
        return right + timedelta(hours=self.quirks.date_off_hours)

    def set_quirks(self, **changed: Any) -> None:
        """Change some quirks; takes effect with the next request."""
        with self.lock:
            self.quirks = replace(self.quirks, **changed)
            self.reader.use(self.quirks)

    def fault(self, fault: Fault) -> None:
        """Arm a fault; its count of matching requests starts now."""
        if isinstance(fault.then, str):
            fault = replace(fault, then=actions.named(fault.then))
        with self.lock:
            self.book.add(fault)

    def fault_rate(self, rate: float, kinds: Sequence[str] = TRANSIENT, seed: int = 0) -> None:
        """Strike a share of all requests, the token's included; the draw follows the seed."""
        with self.lock:
            self.book.set_rate(rate, kinds, seed)

    def clear_faults(self) -> None:
        """Disarm every fault, end the rate, and take bad records out of their lists."""
        with self.lock:
            self.book.clear()
            self.reader.uproot()

    @property
    def tokens_issued(self) -> int:
        """How many tokens have been handed out."""
        return self.tokens.issued

    def revoke_tokens(self) -> None:
        """Refuse every token issued so far."""
        with self.lock:
            self.tokens.revoke_all()

    def requests_by_stream(self) -> dict[str, int]:
        """How many requests each stream has had, ``token`` and ``other`` included."""
        with self.lock:
            return dict(Counter(request.stream for request in self.requests))

    def truth(self, table: str, timelines: Collection[str] | None = None) -> list[dict[str, Any]]:
        """What ``core.<table>`` must hold now for live rows; see truth.py and webhooks/truth.py.

        Args:
            table: one of core's; or campaigns or campaign_messages, of the marts.
            timelines: conversations whose timelines the warehouse has read as they are now,
                all by default; only messages and calls depend on it.

        Raises:
            KeyError: no such table.
        """
        with self.lock:
            if table in webhook_truth.TABLES:
                rows = webhook_truth.TABLES[table]
                return list(rows(self.world, self.sending.ledger, timelines))
            return truth.truth(self.world, self.quirks, table)

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates of campaigns; none where the workspace sends none."""
        return TEMPLATES if self.spec.campaigns else ()

    def truth_counts(self) -> dict[str, int]:
        """How many live records each of the nine streams has now."""
        with self.lock:
            return truth.counts(self.world, self.quirks)

    def deleted(self, table: str) -> set[str]:
        """Ids that once lived in that table and are gone."""
        with self.lock:
            return set(self.world.gone.get(table, ()))

    def advance(self, duration: timedelta, **counts: int) -> dict[str, list[str]]:
        """Move the clock and let things happen; ``counts`` are the fields of Passage.

        Webhooks that fall due are posted before it returns, if somebody gets them.

        Returns:
            The ids that each kind of change touched.
        """
        with self.lock:
            done = pass_time(self.world, duration, Passage(**counts))
        self._post()
        return done

    @property
    def webhook_secrets(self) -> dict[str, tuple[str, ...]]:
        """Secrets by channel: of three channels one rotates two, one has none, one has one."""
        with self.lock:
            return self.sending.secrets()

    @property
    def webhook_secrets_setting(self) -> str:
        """The same as a receiver's setting: ``channel_id=secret`` pairs, separated by commas."""
        known = self.webhook_secrets
        return ",".join(f"{one}={secret}" for one, secrets in known.items() for secret in secrets)

    def write_webhooks(
        self,
        directory: Path,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        formats: Sequence[str] = FORMATS,
        signed: bool = True,
        **rates: Any,
    ) -> Written:
        """Write what the service sends after ``since`` and until ``until`` to new files.

        Args:
            directory: where; files lie in folders by date.
            since: by default the beginning of the workspace.
            until: by default now.
            formats: of FORMATS, drawn by chance for each file.
            signed: whether channels with a secret sign.
            rates: fields of Transport.

        Returns:
            What the files hold: that is what truth() takes for received from now on.
        """
        span = (
            self.world.start if since is None else micros(since),
            self.world.now if until is None else micros(until),
        )
        with self.lock:
            secrets = self.webhook_secrets if signed else {}
            return self.sending.write(directory, span, secrets, Transport(**rates), formats)

    def post_webhooks(
        self, url: str, since: datetime | None = None, *, signed: bool = True, **rates: Any
    ) -> None:
        """Post what falls due from now on to a receiver, as time is moved on.

        Args:
            url: of the receiver; it takes the place of an earlier one.
            since: also what was first sent after that; by default nothing from before now.
            signed: whether channels with a secret sign.
            rates: fields of Transport.
        """
        with self.lock:
            secrets = self.webhook_secrets if signed else {}
            begin = self.world.now if since is None else micros(since)
            self.sending.post_to(url, begin, secrets, Transport(**rates))

    def posted_webhooks(self) -> list[Posted]:
        """Every delivery that was to be posted, with its attempts and how it ended."""
        with self._posting:
            return list(self.sending.posted)

    def billing(self) -> list[dict[str, Any]]:
        """What each message costs in truth, and how much of it was received; see truth."""
        with self.lock:
            return list(webhook_truth.billing(self.world, self.sending.ledger))

    def add_contacts(self, count: int) -> list[str]:
        """New contacts, each with a conversation and its first message."""
        return self._change(changes.add_contacts, count)

    def edit_contacts(self, which: Which) -> list[str]:
        """Edits that move ``lastModificationTime`` and write history."""
        return self._change(changes.edit_contacts, which)

    def edit_contacts_silently(self, which: Which) -> list[str]:
        """A note or a property value, and ``lastModificationTime`` stays."""
        return self._change(changes.edit_silently, which)

    def delete_contacts(self, which: Which) -> list[str]:
        """Contacts vanish; their conversations stay."""
        return self._change(changes.delete_contacts, which)

    def delete_conversations(self, which: Which) -> list[str]:
        """Conversations vanish with their timelines."""
        return self._change(changes.delete_conversations, which)

    def restore_contacts(self, which: Which) -> list[str]:
        """Deleted contacts come back with the ids, notes and history they had."""
        return self._change(changes.restore_contacts, which)

    def restore_conversations(self, which: Which) -> list[str]:
        """Deleted conversations come back with their ids and timelines."""
        return self._change(changes.restore_conversations, which)

    def close_conversations(self, which: Which) -> list[str]:
        """Open conversations are closed; no activity shows it."""
        return self._change(changes.close_conversations, which)

    def delete_tags(self, which: Which) -> list[str]:
        """Tags vanish, from their conversations too."""
        return self._change(changes.delete_tags, which)

    def delete_property_definitions(self, which: Which) -> list[str]:
        """Definitions vanish, and their values with them."""
        return self._change(changes.delete_definitions, which)

    def touch_conversations(self, which: Which) -> list[str]:
        """Conversations get a new event and jump to the front of ``LastActivityAt DESC``."""
        return self._change(changes.touch_conversations, which)

    def delete_channels(self, which: Which) -> list[str]:
        """Channels vanish with their conversations and timelines."""
        return self._change(rare_changes.delete_channels, which)

    def move_conversations(self, which: Which, channel_id: str) -> list[str]:
        """Conversations belong to another channel from now on."""
        with self.lock:
            return rare_changes.move_conversations(self.world, which, channel_id)

    def merge_contacts(self, winner_id: str, loser_id: str) -> list[str]:
        """One contact takes over all that another has, which vanishes."""
        with self.lock:
            return rare_changes.merge_contacts(self.world, winner_id, loser_id)

    def date_ahead(self, which: Which, instant: datetime) -> list[str]:
        """Conversations get an event made now and dated at ``instant``."""
        with self.lock:
            return rare_changes.date_ahead(self.world, which, micros(instant))

    def deliver_late(self, count: int, lag: timedelta) -> list[str]:
        """Events that happened ``lag`` ago are inserted now, one in each of so many talks."""
        with self.lock:
            return rare_changes.deliver_late(self.world, count, lag)

    def prerender(self) -> None:
        """Render every record now, so that a benchmark measures its reader."""
        with self.lock:
            self.reader.prerender()

    def _post(self) -> None:
        """Post what is due; requests are answered meanwhile."""
        with self._posting:
            with self.lock:
                errand = self.sending.hand_over()
            if errand is None:
                return
            poster, deliveries, until = errand
            poster.take(deliveries)
            accepted = poster.carry(until)
            with self.lock:
                self.sending.note(accepted)

    def _change(self, change: Callable[[World, Any], list[str]], which: Which) -> list[str]:
        with self.lock:
            return change(self.world, which)
