"""A test delivery: a signed webhook that a running receiver stores and the warehouse accepts.

It is a workspace event that names no conversation, so no table but ``raw.webhook_events`` shows it.
"""

from __future__ import annotations

import json
import uuid

import httpx

from hatif.errors import HatifError
from hatif.webhooks.signatures import HEADER, Secrets

_SECONDS = 10.0


class TrialFailed(HatifError):
    """The receiver did not take the test delivery."""


def send(url: str, secrets: Secrets) -> str:
    """Post a test delivery, signed by the first of the secrets; return how it was signed.

    Args:
        url: of a receiver.
        secrets: by channel.

    Raises:
        TrialFailed: nothing listens there, or it refused; the message names what to do.
    """
    channel, sign = secrets.signer()
    event = {"id": str(uuid.uuid4())} | ({"channelId": channel} if channel else {})
    body = json.dumps({"eventType": "TestDelivery", "data": event}).encode()
    headers = {"Content-Type": "application/json"} | ({HEADER: sign(body)} if sign else {})
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise TrialFailed(
            f"no receiver answers on {url} ({type(error).__name__}); start it with: hatif collect"
        ) from None
    if answer.status_code != 200:
        advice = (
            "its secrets (HATIF_WEBHOOK_SECRETS) are others than those here"
            if answer.status_code == 401
            else "see its own messages"
        )
        raise TrialFailed(f"the receiver on {url} answered {answer.status_code}: {advice}")
    if not sign:
        return "unsigned, since HATIF_WEBHOOK_SECRETS is empty"
    return "signed by the secret " + (f"of channel {channel}" if channel else "of all channels")
