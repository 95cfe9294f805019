"""Signing in: one password, sessions in a signed cookie, few attempts.

A session lives in this process and ends with it, after half a day, or at the sign-out: a cookie
seen before is of no use then. Keys are made at the start and are stored nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

from itsdangerous import BadSignature, TimestampSigner

COOKIE = "hatif_page"
LASTS = 12 * 3_600  # seconds
#: Failed attempts within `_WITHIN` seconds after which one address, or all, must wait.
_FROM_ONE, _FROM_ALL = 5, 50
_WITHIN = 900.0
_MOST = 1_000  # sessions, and addresses remembered
_log = logging.getLogger("hatif.page")


class Sessions:
    """Sessions and attempts.

    Args:
        password: what opens them; None where none is needed.
        clock: seconds, of any beginning.
    """

    def __init__(self, password: str | None, clock: Callable[[], float] = monotonic) -> None:
        # Digests are compared: they are equally long whatever was typed.
        self._key = secrets.token_bytes(32)
        self._digest = None if password is None else self._of(password)
        self._signer = TimestampSigner(secrets.token_bytes(32), digest_method=hashlib.sha256)
        self._clock = clock
        self._open: OrderedDict[str, float] = OrderedDict()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    @property
    def is_needed(self) -> bool:
        """Whether there is a password."""
        return self._digest is not None

    def is_open(self, cookie: str | None) -> bool:
        """Whether a cookie is that of a session."""
        if not self.is_needed:
            return True
        name = self._name(cookie)
        return name is not None and self._clock() - self._open.get(name, -LASTS) < LASTS

    def wait(self, address: str) -> int:
        """Return the seconds until an address may try again; 0 where it may now."""
        now = self._clock()
        waits = [
            attempts[0] + _WITHIN - now
            for attempts, most in (
                (self._failed.get(address, deque[float]()), _FROM_ONE),
                (self._all, _FROM_ALL),
            )
            if len(attempts) >= most
        ]
        return max(0, *(int(wait) + 1 if wait > 0 else 0 for wait in [*waits, 0]))

    def sign_in(self, address: str, password: str) -> str | None:
        """Return the cookie of a new session; None for a wrong password."""
        if self._digest is None or not hmac.compare_digest(self._of(password), self._digest):
            self._remember_failure(address)
            _log.warning("a sign-in from %s was refused", address)
            return None
        self._failed.pop(address, None)
        name = secrets.token_urlsafe(24)
        self._open[name] = self._clock()
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return self._signer.sign(name).decode()

    def sign_out(self, cookie: str | None) -> None:
        """End the session of a cookie."""
        name = self._name(cookie)
        if name is not None:
            self._open.pop(name, None)

    def _name(self, cookie: str | None) -> str | None:
        if not cookie or len(cookie) > 200:
            return None
        try:
            return self._signer.unsign(cookie, max_age=LASTS).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def _of(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")

    def _remember_failure(self, address: str) -> None:
        now = self._clock()
        mine = self._failed.setdefault(address, deque(maxlen=_FROM_ONE))
        self._failed.move_to_end(address)
        while len(self._failed) > _MOST:
            self._failed.popitem(last=False)
        for attempts in (mine, self._all):
            attempts.append(now)
        while self._all and self._all[0] < now - _WITHIN:
            self._all.popleft()
        while len(self._all) > _FROM_ALL:
            self._all.popleft()
