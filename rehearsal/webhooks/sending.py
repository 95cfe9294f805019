"""The sending side as the stage directs it: into files, or to a receiver as time passes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from rehearsal.webhooks import files
from rehearsal.webhooks.ledger import Ledger, Written, receipts
from rehearsal.webhooks.outbox import Delivery, Secrets, Transport, outbox
from rehearsal.webhooks.poster import Posted, Poster
from rehearsal.world import World


class Sending:
    """Webhooks of one world, and the ledger of what has been received of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = Ledger()
        self._poster: Poster | None = None
        self._secrets: Secrets = {}
        self._posted_until = 0
        self._batches = 0

    def write(
        self,
        directory: Path,
        span: tuple[int, int],
        secrets: Secrets,
        way: Transport,
        formats: Sequence[str],
    ) -> Written:
        """Write what is first sent in that span to new files, and note it as received.

        Raises:
            ValueError: there is no such format.
        """
        if unknown := set(formats) - set(files.FORMATS):
            raise ValueError(f"no such format: {', '.join(sorted(unknown))}")
        deliveries = outbox(self.world, *span, secrets)
        arrived = files.arrivals(deliveries, way)
        self._batches += 1
        received: list[tuple[Delivery, int, bool]] = []
        paths = []
        for file in files.files(arrived, way, formats, f"batch-{self._batches:03}"):
            paths.append(files.save(file, directory))
            received += file.received
        for delivery, at, is_stated in received:
            self.ledger.note(delivery, at, is_stated=is_stated)
        found = receipts((delivery, at) for delivery, at, _ in received)
        return Written(
            receipts=found,
            files=paths,
            lost=len(deliveries) - len(found),
            empty=sum(arrival.delivery is None for arrival in arrived),
        )

    def post_to(self, url: str, since: int, secrets: Secrets, way: Transport) -> None:
        """From now on, what is first sent after ``since`` goes to that URL as time passes."""
        self._poster, self._secrets, self._posted_until = Poster(url, way), secrets, since

    @property
    def posted(self) -> list[Posted]:
        """Every delivery that was to be posted to the present URL."""
        return [] if self._poster is None else self._poster.posted

    def hand_over(self) -> tuple[Poster, list[Delivery], int] | None:
        """The poster, the deliveries since the last call, and the present instant."""
        if self._poster is None:
            return None
        since, until = self._posted_until, self.world.now
        self._posted_until = until
        return self._poster, outbox(self.world, since, until, self._secrets), until

    def note(self, accepted: Iterable[tuple[Delivery, int]]) -> None:
        """These have been received."""
        for delivery, at in accepted:
            self.ledger.note(delivery, at)

    def secrets(self) -> dict[str, tuple[str, ...]]:
        """Secrets by channel: of three channels one rotates two, one has none, one has one."""
        rng = Random(f"{self.world.spec.seed} secrets")
        texts = [f"قديم-{rng.getrandbits(96):024x}=", f"{rng.getrandbits(128):032x}=="]
        held = (tuple(texts), (), (f"{rng.getrandbits(128):032x}",))
        return {
            channel: held[index % 3]
            for index, channel in enumerate(self.world.channels)
            if held[index % 3]
        }
