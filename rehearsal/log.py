"""The request log: each request: when, with which token, and its answer."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Request:
    """One HTTP attempt.

    Attributes:
        at: monotonic seconds of arrival.
        wall: wall-clock instant of arrival, UTC.
        method: HTTP method.
        path: path without the query.
        query: query parameters, names in lower case.
        stream: stream name, ``token`` or ``other``.
        status: status sent; 0 while it is being answered or when the connection was reset.
        generation: which token was shown, counting from 1; None for none or a refused one.
        fault: the kind of fault that struck it.
    """

    at: float
    wall: datetime
    method: str
    path: str
    query: dict[str, str]
    stream: str
    status: int = 0
    generation: int | None = None
    fault: str | None = None
