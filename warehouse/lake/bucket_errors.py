"""What a refusal of a bucket means: what happened, and what to do about it.

DuckDB and Amazon's library name the same things differently; none of their words are repeated,
since these quote addresses and requests.
"""

from __future__ import annotations

import re

CHECK = "check HATIF_LAKE and the AWS_… variables"
#: Cause by the service's word, or by that of Amazon's library.
_CAUSES = (
    (r"NO_SUCH_BUCKET|NoSuchBucket", "there is no such bucket", CHECK),
    (
        r"INVALID_ACCESS_KEY_ID|InvalidAccessKeyId|UNRECOGNIZED_CLIENT|InvalidClientTokenId",
        "the access key is not known there",
        "check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
    ),
    (
        r"SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch",
        "the secret key does not belong to the access key",
        "check AWS_SECRET_ACCESS_KEY",
    ),
    (
        r"EXPIRED_TOKEN|ExpiredToken|INVALID_TOKEN|InvalidToken",
        "the session token is not valid any more",
        "get a new AWS_SESSION_TOKEN with its keys",
    ),
    (
        r"301|307|PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocation",
        "the bucket is in another region, or at another endpoint",
        "check AWS_REGION and AWS_ENDPOINT_URL",
    ),
    (
        r"RequestTimeTooSkewed|REQUEST_TIME_TOO_SKEWED",
        "the clock of this machine is wrong",
        "let the machine keep time (NTP)",
    ),
    (
        r"ACCESS_DENIED|AccessDenied|403|Forbidden",
        "these credentials may not do that there",
        "they need to list the bucket, and to get, put and delete objects below the prefix",
    ),
    (
        r"SLOW_DOWN|SlowDown|503|SERVICE_UNAVAILABLE|500|502|504|INTERNAL_FAILURE|InternalError",
        "the service is overloaded or out of order",
        "run it again in some minutes",
    ),
    (
        r"NETWORK_CONNECTION|REQUEST_TIMEOUT|curlCode|timed? ?out|connect|nothing|resolve|reset",
        "the service does not answer",
        "check AWS_ENDPOINT_URL, the network, and that the service runs",
    ),
    (
        r"[Nn]o (?:valid )?credentials|Secret Validation Failure|anonymous",
        "there are no credentials",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
)


def explained(words: str) -> str:
    """Return what a refusal of a bucket means, and what to do; none of its words are repeated."""
    for pattern, happened, advice in _CAUSES:
        if re.search(pattern, words):
            return f"{happened}; {advice}"
    return f"the service refused; {CHECK}"
