"""Signatures of bodies: HMAC-SHA256 of the raw body under the channel's secret."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

#: In lower case; headers come in any.
HEADER = "x-voxa-signature"
_ALL = "*"
_BLOCK = 64  # bytes, of SHA-256
# Another pair within a secret: with it the channel's own secret would fit no signature.
_ANOTHER_PAIR = re.compile(r"[;\s](?:\*|[\w-]+)=[^=]")


class _Key:
    """One secret, with the half of the HMAC that does not depend on the body done once."""

    def __init__(self, secret: str) -> None:
        key = secret.encode()
        if len(key) > _BLOCK:
            key = hashlib.sha256(key).digest()
        key = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def signature(self, body: bytes) -> bytes:
        """Return the signature in lower-case hexadecimal digits."""
        inner = self._inner.copy()
        inner.update(body)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()


class Secrets:
    """The secrets by channel. A channel can have several while one is being replaced.

    Args:
        text: ``channel_id=secret`` pairs, comma separated; ``*`` stands for every channel.

    Raises:
        ValueError: which pair is malformed, without its text.
    """

    def __init__(self, text: str = "") -> None:
        keys: dict[str, list[_Key]] = defaultdict(list)
        for number, pair in enumerate(text.split(","), 1):
            if not pair.strip():
                continue
            channel, _, secret = (part.strip() for part in pair.partition("="))
            if not channel or not secret:
                raise ValueError(
                    f"pair {number} must be channel_id=secret, or *=secret for every channel"
                )
            if _ANOTHER_PAIR.search(secret):
                raise ValueError(f"pair {number} holds another pair; separate them by commas")
            keys[channel.lower()].append(_Key(secret))
        every = keys.pop(_ALL, [])
        self._by_channel = {channel: own + every for channel, own in keys.items()}
        self._every = every

    def __bool__(self) -> bool:
        """Whether any channel has a secret."""
        return bool(self._every or self._by_channel)

    @property
    def channels(self) -> frozenset[str]:
        """The channels with a secret of their own, in lower case."""
        return frozenset(self._by_channel)

    def signer(self) -> tuple[str | None, Callable[[bytes], str] | None]:
        """Return a channel with a secret and what signs its bodies.

        The channel is None for the secret of all channels; both are None without any secret.
        """
        of_one = next(((channel, keys[0]) for channel, keys in self._by_channel.items()), None)
        channel, key = of_one or (None, self._every[0] if self._every else None)
        return channel, (lambda body: key.signature(body).decode()) if key else None

    def verify(
        self, channel_id: str | None, body: bytes, signature: str | None
    ) -> Literal["valid", "unsigned"] | None:
        """Return how a channel's body is signed; None = its signature is missing or wrong."""
        keys = self._by_channel.get(channel_id, self._every) if channel_id else self._every
        if not keys:
            return "unsigned"
        return "valid" if signature is not None and _fits(keys, body, signature) else None

    def should_reject(self, body: bytes, signature: str | None) -> bool:
        """Return whether no channel's secret can accept this: what a receiver may reject.

        The channel is not known there, and a rejected event is lost. So only where every channel
        has a secret is a body rejected, without a signature or with one that fits none of all.
        """
        if not self._every:
            return False
        keys = [*self._every, *(key for own in self._by_channel.values() for key in own)]
        return not signature or not _fits(keys, body, signature)


def _fits(keys: Iterable[_Key], body: bytes, signature: str) -> bool:
    """Compare with every key, in a time that does not depend on which fits or how much of it.

    A header that came several times is its values with commas between: one of them has to fit.
    """
    given = [one.strip() for one in signature.encode("utf-8", "surrogatepass").split(b",")]
    found = False
    for key in keys:
        ours = key.signature(body)
        for one in given:
            found |= hmac.compare_digest(ours, one)
    return found
