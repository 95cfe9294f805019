"""What an error of DuckDB or of the operating system means: what happened, and what to do about it.

DuckDB quotes the values it cannot convert, and connection strings; neither may reach a message, a
log or a run record. What is left of its words distinguishes causes.
"""

from __future__ import annotations

import errno
import re

import duckdb

from hatif.errors import HomeError, redact
from warehouse.errors import StoreUnavailable
from warehouse.lake import bucket_errors, database_errors
from warehouse.lake.causes import Cause, Explanation, first

RESTORE = "Restore it from a backup (docs/operations.md)"
_LIMIT = 300
#: By what DuckDB, SQLite or the system writes.
_CAUSES = (
    Cause(
        r"no space left|disk is full|disk quota",
        "the disk is full",
        "Make room in HATIF_HOME, HATIF_LAKE and the temporary folder, and run it again",
    ),
    Cause(
        r"read-only file ?system|readonly database|read-only mode",
        "the file system or file is read-only",
        "Make it writable; query, status, rejects and publish FILE need only to read",
    ),
    Cause(
        r"permission denied|not permitted",
        "this user may not open it",
        "Run it as the owner of HATIF_HOME, or give this user the files (chown -R)",
    ),
    Cause(
        r"not a database|malformed|corrupt|database schema|disk i/o error|file is encrypted",
        "the catalog is damaged",
        RESTORE,
    ),
    Cause(
        r"catalog version mismatch|version is .* but the extension|different version",
        "the catalog was made by another version",
        "Install the version that made it, or a later one",
    ),
    Cause(
        r"unable to open database file|could not open database",
        "the catalog cannot be opened",
        "Check that its path is a file and that this user may write to its folder",
    ),
    Cause(
        r"database is locked|table is locked|database is busy",
        "another program holds the catalog",
        "End what has it open, or wait, and run it again",
        passes=True,
    ),
    Cause(
        r"out of memory|failed to allocate",
        "the memory did not suffice",
        "Ask for less at once, or end other programs",
    ),
    Cause(
        r"interrupted|interrupt",
        "it was interrupted",
        "Run it again",
    ),
)
#: What becomes of a Parquet file that cannot be read.
_FILE = re.compile(r"[\"']?([^\"'\n]*ducklake-[0-9a-f-]{36}(?:-delete)?\.parquet)")
_FILE_CAUSES = (
    (r"no such file|cannot open file|does not exist|404", "is missing"),
    (r"permission denied", "may not be read by this user"),
    (r"", "is damaged"),
)
_FILE_ADVICE = (
    f"{RESTORE}; a file of core or marts is made again by: hatif rebuild. hatif doctor --deep "
    "names every such file"
)
#: Of a bucket: refusals of its service, and no answer at all.
_BUCKET = re.compile(r"\bHTTP\b|Secret Validation Failure|\bto S3\b")
_MISSING = re.compile(r"\b404\b(?!.*NoSuchBucket)", re.DOTALL)
#: DuckLake reads on where its catalog gave no answer, and takes what is not there for the answer.
_UNANSWERED = re.compile(
    r"fetch from an unsuccessful query result|(?:execute query|prepare COPY): *\Z"
    r"|Current transaction is aborted|index 0 within vector of size 0"
)
_NO_ANSWER = Explanation(
    "the catalog gave no answer. Run it again; if it happens again, look at the log of its server",
    passes=True,
)
#: Of a catalog on a server: words of libpq, of DuckDB about it, and of PostgreSQL.
_DATABASE = re.compile(
    r"(?i:postgres|connection to server|execute query|prepare COPY|server closed"
    r"|terminating connection|SSL connection)|\b(?:ERROR|FATAL|PANIC): "
)
#: A statement for the catalog's database, with values, before the database's words.
_STATEMENT = re.compile(r"(execute query|prepare COPY) \".*\": ?", re.DOTALL)
#: Addresses in DuckDB's own code, behind an error of its own making.
_STACK = re.compile(r"\n\s*Stack Trace:.*", re.DOTALL)
#: DuckDB's own class at the head of a message, and the excerpt of the statement at its end.
_HEAD = re.compile(r"^(?:[A-Z][A-Za-z]+ )+Error: ")
_EXCERPT = re.compile(r"\n\s*LINE \d+:.*", re.DOTALL)
#: What follows these words is a value.
_VALUE = re.compile(r"(\b(?:input|value|key|udf|exception)\b:?\s).*", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_DSN = re.compile(
    r"\b(?:postgres(?:ql)?|mysql):\S.*|\b\w*(?:password|secret|token|key)\s*=\s*\S+", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def explain(error: duckdb.Error | OSError) -> str:
    """Return what happened, a semicolon-free sentence without data, and what to do."""
    return explanation(error).text


def explanation(error: duckdb.Error | OSError) -> Explanation:
    """Return the same, and whether it may pass."""
    if isinstance(error, OSError):
        return Explanation(_explain_os(error))
    text = _STATEMENT.sub(r"\1: ", str(error))
    shows_cause = "DuckLake" in text or not _quotes_data(error)
    if _UNANSWERED.search(text):
        return _of_database(text) or _NO_ANSWER
    found = _of_bucket(text) if not _quotes_data(error) else None
    if found is None and (file := _FILE.search(text)) is not None:
        happened = next(cause for words, cause in _FILE_CAUSES if re.search(words, text.lower()))
        return Explanation(f"the lake's file {_in_bucket(file[1])} {happened}. {_FILE_ADVICE}")
    if found is None and shows_cause:
        found = _of_database(text) or _of_engine(text)
    return found or Explanation(f"DuckDB: {words_of(error)}")


def store_refusal(error: Exception) -> HomeError | None:
    """Return the error to end with where the catalog's server or the bucket refused to be read.

    None of any other error, such as those of a statement.
    """
    text = _STATEMENT.sub(r"\1: ", str(error))
    if _UNANSWERED.search(text):
        found: Explanation | None = _of_database(text) or _NO_ANSWER
    elif isinstance(error, (duckdb.ProgrammingError, duckdb.DataError)):
        return None
    else:
        found = _of_bucket(text) or _of_database(text)
    if found is None:
        return None
    kind = StoreUnavailable if found.passes else HomeError
    return kind(f"the warehouse cannot be read: {found.text}")


def is_refused_for_good(error: duckdb.Error) -> bool:
    """Whether the catalog's server or the bucket refuses until somebody changes something there."""
    text = _STATEMENT.sub(r"\1: ", str(error))
    found = _of_bucket(text) or _of_database(text)
    return found is not None and not found.passes


def _of_bucket(text: str) -> Explanation | None:
    """Return what a refusal of the bucket's service means; None if it is none."""
    file = _FILE.search(text)
    is_missing = file is not None and _MISSING.search(text)
    if is_missing or not _BUCKET.search(text):
        return None
    what = "the lake's bucket" if file is None else f"the lake's file {_in_bucket(file[1])}"
    found = bucket_errors.explained(text)
    return Explanation(f"{what} cannot be used: {found.text}", found.passes)


def _of_database(text: str) -> Explanation | None:
    """Return what a refusal of the catalog's server means; None if it is none."""
    found = database_errors.explained(text) if _DATABASE.search(text) else None
    return found and Explanation(f"the catalog's database: {found.text}", found.passes)


def _of_engine(text: str) -> Explanation | None:
    cause = first(_CAUSES, text.lower())
    return cause and Explanation(f"{cause.happened}. {cause.advice}", cause.passes)


def _in_bucket(name: str) -> str:
    """Return the name of a file without the words and the server's address before it."""
    return re.sub(r"^.*?(?:s3://|https?://[^/]*/)", "s3://", name)


def step_failure(error: duckdb.Error | OSError) -> str:
    """Return why a step failed, in a run's report."""
    what = "the lake cannot be read" if isinstance(error, duckdb.Error) else "it did not end"
    return f"{what}: {explain(error)}. Nothing was lost"


def words_of(error: duckdb.Error) -> str:
    """Return DuckDB's words without values, connection strings, statement or control characters."""
    text = _EXCERPT.sub("", _STACK.sub("", _STATEMENT.sub(r"\1: ", str(error))))
    text = _DSN.sub("…", text)
    if _quotes_data(error):
        text = _VALUE.sub(r"\1…", text)
    text = _QUOTED.sub("…", _HEAD.sub("", text))
    cleaned = redact(_CONTROL.sub(" ", text), _LIMIT)
    return f"{cleaned} ({type(error).__name__})" if cleaned else type(error).__name__


def complete_words_of(error: Exception) -> str:
    """Return the words for those whose own statement failed: with values, without secrets.

    A file of the lake that cannot be read is explained.
    """
    text = _STACK.sub("", str(error)).strip()
    if isinstance(error, duckdb.Error) and _FILE.search(text):
        return explain(error)
    return _DSN.sub("…", text)


def _quotes_data(error: duckdb.Error) -> bool:
    """Whether the class of the error is one that quotes what it was given."""
    return isinstance(
        error,
        (
            duckdb.ConversionException,
            duckdb.InvalidInputException,
            duckdb.OutOfRangeException,
            duckdb.ConstraintException,
        ),
    )


def _explain_os(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    text = (error.strerror or type(error).__name__).lower()
    if error.errno == errno.EROFS:
        text = "read-only file system"
    cause = first(_CAUSES, text)
    if cause is not None:
        return f"{where}{cause.happened}. {cause.advice}"
    return f"{where}{error.strerror or type(error).__name__}"
