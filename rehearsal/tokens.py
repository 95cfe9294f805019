"""The token endpoint's memory: which tokens are out, what they are good for, and since when."""

import base64
import time
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

SCOPE = "VoxaAPI"


@dataclass(frozen=True, slots=True)
class Token:
    """One issued token. ``generation`` counts from 1; ``expires`` is monotonic seconds."""

    generation: int
    has_scope: bool
    expires: float


class Tokens:
    """Issues bearer tokens that look like the service's and can be taken back."""

    def __init__(self, workspace_id: str, seed: int) -> None:
        self.issued = 0
        self._workspace_id = workspace_id
        self._rng = Random(f"tokens:{seed}")
        self._alive: dict[str, Token] = {}

    def issue(self, seconds: int, *, has_scope: bool) -> str:
        """A new token: three dotted parts, as a JWT has."""
        self.issued += 1
        claims: dict[str, Any] = {
            "aud": "Voxa",
            "exp": int(time.time()) + seconds,
            "workspace": self._workspace_id,
            "jti": self._rng.getrandbits(64),
        }
        signature = self._rng.getrandbits(1024).to_bytes(128)
        parts = (msgspec.json.encode({"typ": "at+jwt"}), msgspec.json.encode(claims), signature)
        text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        self._alive[text] = Token(self.issued, has_scope, time.monotonic() + seconds)
        return text

    def find(self, authorization: str) -> Token | None:
        """The living token of an Authorization header."""
        scheme, _, text = authorization.partition(" ")
        token = self._alive.get(text.strip()) if scheme.lower() == "bearer" else None
        return token if token is not None and token.expires > time.monotonic() else None

    def revoke_all(self) -> None:
        """From now on every token issued so far is refused."""
        self._alive.clear()
