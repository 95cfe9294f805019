"""Who may use the control endpoints: programs of this machine, and no web page.

A browser lets any page send requests to 127.0.0.1. It names the page in ``Origin`` or
``Sec-Fetch-Site``, and a page whose own name was pointed at 127.0.0.1 shows in ``Host``. Other
programs send neither; JSON as the type of a body is what a page cannot send unasked.
"""

import re
from pathlib import Path

from starlette.requests import Request

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HOST = re.compile(rf"({'|'.join(map(re.escape, _LOOPBACK))})(:[0-9]{{1,5}})?")


class Refused(Exception):
    """A control request that is not carried out; ``status`` is what to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check_sender(request: Request) -> None:
    """Let a request pass that no web page can have sent.

    Raises:
        Refused: Host is no loopback name, it comes from a page, or its body is not called JSON.
    """
    headers = request.headers
    host = headers.get("host", "").lower()
    if not _HOST.fullmatch(host):
        raise Refused(403, f"control requests need one of {', '.join(_LOOPBACK)} as Host")
    if headers.get("origin", f"http://{host}").lower() != f"http://{host}":
        raise Refused(403, "control requests are not taken from pages of another origin")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused(403, "control requests are not taken from pages of another site")
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "" if has_body else "application/json")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body of a control request must be application/json")


def folder_within(root: Path | None, given: str | None) -> Path:
    """Return the folder to write to: the one that the command line named, or one below it.

    Args:
        root: what the command line named, if anything.
        given: what the request names; by default the root itself.

    Raises:
        Refused: the command line named none, or the folder lies elsewhere, by a link too.
    """
    if root is None:
        raise Refused(403, "no folder was named at the start: give --webhook-dir")
    folder = root if given is None else Path(given)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise Refused(403, "the folder must lie below the one that --webhook-dir named")
    return folder
