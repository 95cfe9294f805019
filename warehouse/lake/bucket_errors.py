"""What a refusal of a bucket means: what happened, and what to do about it.

DuckDB and Amazon's library name the same things differently; none of their words are repeated,
since these quote addresses and requests.
"""

from __future__ import annotations

import re

from warehouse.lake.causes import Cause, Explanation, first

CHECK = "check HATIF_LAKE and the AWS_… variables"
#: Addresses and names of files, whose letters and digits mean nothing; and what DuckDB writes
#: of any refusal, where the connection came about, too.
_NAMES = re.compile(
    r"(?:s3|https?)://[^\s'\"]+|ducklake-[0-9a-f-]+|Unable to connect to URL(?=.*\bHTTP code )",
    re.DOTALL,
)
#: By the service's word, that of Amazon's library, or the status of the answer.
_CAUSES = (
    Cause(r"NO_SUCH_BUCKET|NoSuchBucket", "there is no such bucket", CHECK),
    Cause(
        r"INVALID_ACCESS_KEY_ID|InvalidAccessKeyId|UNRECOGNIZED_CLIENT|InvalidClientTokenId",
        "the access key is not known there",
        "check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
    ),
    Cause(
        r"SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch",
        "the secret key does not belong to the access key",
        "check AWS_SECRET_ACCESS_KEY",
    ),
    Cause(
        r"EXPIRED_TOKEN|ExpiredToken|INVALID_TOKEN|InvalidToken",
        "the session token is not valid any more",
        "get a new AWS_SESSION_TOKEN with its keys",
    ),
    Cause(
        r"\b30[1278]\b|PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocation",
        "the bucket is in another region, or at another endpoint",
        "check AWS_REGION and AWS_ENDPOINT_URL",
    ),
    Cause(
        r"RequestTimeTooSkewed|REQUEST_TIME_TOO_SKEWED",
        "the clock of this machine is wrong",
        "let the machine keep time (NTP)",
    ),
    Cause(
        r"InvalidObjectState|INVALID_OBJECT_STATE",
        "an object was moved to an archive",
        "restore it, and let no lifecycle rule touch what lies below the prefix",
    ),
    Cause(
        r"QuotaExceeded|StorageFull|\b507\b|Insufficient ?Storage",
        "there is no room left",
        "make room in the bucket, or raise its quota",
    ),
    Cause(
        r"ACCESS_DENIED|AccessDenied|AllAccessDisabled|AccountProblem|\b40[13]\b|Forbidden",
        "these credentials may not do that there",
        "they need to list the bucket, and to get, put and delete objects below the prefix",
    ),
    Cause(
        r"SLOW_DOWN|SlowDown|THROTTL|\b(?:429|50[0234])\b|SERVICE_UNAVAILABLE|ServiceUnavailable"
        r"|INTERNAL_FAILURE|InternalError|OperationAborted|InsufficientCapacity",
        "the service is overloaded or out of order",
        "run it again in some minutes",
        passes=True,
    ),
    Cause(
        r"partial file|mismatches requested range|Unexpected response",
        "an answer of the service was incomplete",
        "run it again; if it happens again, look at proxies between, and at the service",
        passes=True,
    ),
    # Of a request that took too long DuckDB states the status alone, after its last try.
    Cause(
        r"NETWORK_CONNECTION|Request returned HTTP 400\b|\b408\b|REQUEST_TIMEOUT|RequestTimeout"
        r"|curlCode|[Tt]imed? ?out|[Cc]onnect"
        r"|nothing|resolve|reset|[Ff]ailed to (?:read|write)|SSL",
        "the service does not answer",
        "check AWS_ENDPOINT_URL, the network, and that the service runs",
        passes=True,
    ),
    Cause(
        r"[Nn]o (?:valid )?credentials|Secret Validation Failure|anonymous",
        "there are no credentials",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
)


def explained(words: str) -> Explanation:
    """Return what a refusal of a bucket means, and what to do; none of its words are repeated."""
    cause = first(_CAUSES, _NAMES.sub("…", words))
    if cause is None:
        return Explanation(f"the service refused; {CHECK}")
    return Explanation(f"{cause.happened}; {cause.advice}", cause.passes)
