"""What can go wrong, as a small tree; every message names what happened, where, and what to do.

HatifError
├── SettingsError              a setting is missing or malformed; nothing was started
├── HomeError                  $HATIF_HOME cannot be used (permissions, disk, another workspace)
├── BucketUnreachable          the bucket of webhook files cannot be listed
├── Busy                       another process holds the lock and the run may not wait
├── Undecodable                a broken body, inside the client only: sent again
├── RequestLimitReached        --max-requests is used up: a clean stop, not a failure
├── Interrupted                Ctrl-C: reading ended early, what was received is stored
├── ServiceError               the service, or the way to it
│   ├── Unreachable            no answer: DNS, refused, reset, timeout (after retries)
│   ├── SignInRefused
│   │   ├── AuthenticationFailed   client id, secret or scope refused
│   │   └── EndpointRefused        401 from one endpoint with a token that others take
│   ├── Forbidden              403: the token lacks a scope or permission
│   ├── BusinessRefusal        403 with a namespaced ABP code: a rule of the service forbids it
│   ├── InvalidRequest         400: the service names what it did not like
│   ├── NotFound               404; `.abp`: whether it is the service's own
│   ├── RateLimited            429 for longer than we are willing to wait
│   ├── ServerFault            5xx after all retries
│   └── MalformedResponse      an answer that is no JSON, or not of the shape we know
└── StreamError                one stream must stop; the others go on
    ├── ListsFailed            some lists could not be read; all the others were
    ├── ForeignRecords         a list begins with records none of which has an id
    ├── ClockChanged           timestamps no longer agree with the instants in the ids
    ├── EndpointUnavailable    an address answers 404 although its parent record lives
    └── BrakeHeld              more rows would be marked deleted than the brake allows

No message carries a secret, a token or text written by or about a customer: see `redact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


class HatifError(Exception):
    """Base of everything this product raises on purpose.

    Attributes:
        transient: the same, tried again some minutes later, may well succeed. The client has been
            patient by then: this is for the runner of a stream.
    """

    transient: bool = False


class SettingsError(HatifError):
    """A setting is missing or malformed."""


class HomeError(HatifError):
    """The home directory or its catalog cannot be used."""


class BucketUnreachable(HatifError):
    """The bucket of webhook files cannot be listed; what was read of it stays.

    Args:
        message: what is wrong.
        transient: the service is overloaded, out of order or out of reach.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class Busy(HatifError):
    """Another process holds a lock that the run may not wait for."""

    transient = True


class Undecodable(HatifError):
    """A body is not what a healthy service sends; the client retries and lets none escape."""


class RequestLimitReached(HatifError):
    """The run has spent the requests it was allowed; what is committed stays."""


class Interrupted(HatifError):
    """Reading was ended from outside; what was received until then is stored."""


class ServiceError(HatifError):
    """The service did not answer as it should.

    Attributes:
        request: method and path of the request, e.g. ``GET /v1/contacts``.
        status: HTTP status, or None when there was no answer.
    """

    def __init__(self, request: str, answer: str, advice: str, status: int | None = None) -> None:
        super().__init__(f"{request}: {answer}. {advice}")
        self.request = request
        self.status = status


class Unreachable(ServiceError):
    """No usable answer at all, after retries."""

    transient = True


class SignInRefused(ServiceError):
    """Not let in, by all endpoints or by one."""


class AuthenticationFailed(SignInRefused):
    """The credentials, or a token just issued for them, were refused."""


class EndpointRefused(SignInRefused):
    """401 from one endpoint with a token that others take: a permission is missing there."""


class Forbidden(ServiceError):
    """403 without a business code: scope or permission."""


class BusinessRefusal(ServiceError):
    """403 with a namespaced code: not an authentication problem."""


class InvalidRequest(ServiceError):
    """400. `members` are the parameter names the service complained about, lower-cased."""

    def __init__(
        self,
        request: str,
        answer: str,
        advice: str,
        status: int | None = None,
        *,
        members: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(request, answer, advice, status)
        self.members = members


class NotFound(ServiceError):
    """404. Only with `abp` true did the service itself say that the record is gone."""

    def __init__(
        self, request: str, answer: str, advice: str, status: int | None = None, *, abp: bool
    ) -> None:
        super().__init__(request, answer, advice, status)
        self.abp = abp


class RateLimited(ServiceError):
    """429 with a wait beyond what a run may spend on one request: the next run may try."""


class ServerFault(ServiceError):
    """5xx that did not go away."""

    transient = True


class MalformedResponse(ServiceError):
    """An answer that is not the JSON we know."""

    transient = True


class StreamError(HatifError):
    """One stream cannot go on; what it committed stays, other streams are not touched.

    Attributes:
        others_read: others of its lists were read: what hangs on these need not wait.
    """

    others_read: bool = False


class ListsFailed(StreamError):
    """Some of a stream's lists could not be read; all the others, if any, were."""

    def __init__(self, message: str, *, transient: bool, others_read: bool) -> None:
        super().__init__(message)
        self.transient = transient
        self.others_read = others_read


class ForeignRecords(StreamError):
    """A list begins with records none of which has an id: a changed API, not an empty list."""


class ClockChanged(StreamError):
    """An endpoint's timestamps moved away from the instants in its ids."""


class EndpointUnavailable(StreamError):
    """A child address answers 404 although its parent lives."""


class BrakeHeld(StreamError):
    """Deletions beyond HATIF_DELETE_BRAKE: these were not marked, all else was read and stored."""

    others_read = True


def cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what made a task group fail, to be raised in its place.

    Of all that its tasks raised the first error of ours counts: the others were cancelled or cut
    off (a stream closed on them) because of it.
    """
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, HatifError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


_LONG_NUMBER = re.compile(r"\+?\d[\d ()-]{6,}\d")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


def redact(text: str, limit: int = 200) -> str:
    """Shorten a message from outside and blank what may identify a person in it.

    Ids (hexadecimal groups) stay readable; e-mail addresses and runs of eight or more digits,
    as phone numbers are, do not.
    """
    flat = " ".join(text.split())
    flat = _EMAIL.sub("<e-mail>", flat)
    flat = _LONG_NUMBER.sub("<number>", flat)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
