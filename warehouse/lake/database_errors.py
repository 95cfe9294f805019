"""What a refusal of PostgreSQL means: what happened, and what to do about it.

libpq writes where it connected to and as which user; none of its other words are repeated, since
these can quote statements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from warehouse.lake.causes import Cause, Explanation, first

#: Schema of the database in which DuckLake keeps its tables, and this program those of its locks.
SCHEMA = "public"
CHECK = "Check HATIF_CATALOG"
_RIGHTS = (
    f"A sync makes tables in schema {SCHEMA}: make the user the owner of the database, or GRANT "
    f"CREATE, USAGE ON SCHEMA {SCHEMA}. Whoever only reads needs SELECT on the tables"
)
#: Where its connection ended before the answer came.
CUT = Cause(
    r"server closed|connection.*(closed|lost|reset|terminated)|terminating connection"
    r"|Broken pipe|EOF detected|unexpected eof|no connection to the server"
    r"|could not (send|receive) data",
    "the connection was cut",
    "Run it again; if it happens again, look at the server's log",
    passes=True,
)
#: By PostgreSQL's code or words. Codes of SQLSTATE are not known where the server refuses the
#: connection, so its words are read there, too.
_CAUSES = (
    Cause(
        r"3D000|database .* does not exist",
        "there is no database {dbname}",
        f"{CHECK}, or make it: createdb {{dbname}}",
    ),
    Cause(
        r"28P01|password authentication failed|no password supplied|SCRAM",
        "the password of user {user} was refused, or none was given",
        f"{CHECK}, PGPASSWORD or ~/.pgpass",
    ),
    Cause(
        r"role .* does not exist|(Peer|Ident|GSSAPI|LDAP|RADIUS|PAM|certificate) authentication",
        "there is no user {user}, or not for this machine",
        f"{CHECK}",
    ),
    Cause(
        r"is not permitted to log in|28000|no pg_hba.conf entry|for database .* denied",
        "user {user} may not connect to database {dbname} from this machine",
        "Let pg_hba.conf and the rights of the user admit it, or connect with SSL",
    ),
    Cause(
        r"42501|permission denied|must be owner",
        "user {user} lacks a right in database {dbname}",
        _RIGHTS,
    ),
    Cause(
        r"53300|too many (clients|connections)|remaining connection slots",
        "the server has no connection to spare",
        "Raise max_connections or the limit of the user or database, or run less at once; "
        "a command needs six",
        passes=True,
    ),
    Cause(
        r"57P0[123]|database system is (starting|shutting|not)|recovery mode|in recovery",
        "the server is starting or stopping",
        "Run it again in a minute",
        passes=True,
    ),
    Cause(
        r"55000|not (currently )?accepting connections",
        "database {dbname} takes no connections",
        "Ask whoever runs the server",
        passes=True,
    ),
    Cause(
        r"25006|read-only transaction",
        "the server only reads: it is a standby, or set to default_transaction_read_only, as some "
        "hosts do where its disk is full",
        "Name the primary in HATIF_CATALOG, make room, or take the setting back",
    ),
    Cause(
        r"53100|No space left|could not extend file|wrote only \d+ of \d+ bytes|write init file",
        "the disk of the database's server is full",
        "Make room there, and run it again",
    ),
    Cause(
        r"53200|out of (shared )?memory",
        "the memory of the database's server did not suffice",
        "Raise its limits (max_locks_per_transaction, memory), or run less at once",
        passes=True,
    ),
    Cause(
        r"57014|statement timeout|lock timeout|55P03",
        "the server ended a statement that took too long",
        "Raise statement_timeout and lock_timeout for user {user}, or leave them unset",
        passes=True,
    ),
    Cause(
        r"(resolve|translate) host.*Temporary failure|Temporary failure in name resolution",
        "the name {host} cannot be resolved now",
        "Check the name service (DNS) of this machine, and run it again",
        passes=True,
    ),
    Cause(
        r"(resolve|translate) host|Name or service not known|nodename nor servname",
        "there is no host of that name: {host}",
        CHECK,
    ),
    Cause(
        r"Connection refused|No such file or directory|is the server running",
        "no server answers at {host} port {port}",
        f"{CHECK}, and that PostgreSQL runs and listens there",
        passes=True,
    ),
    Cause(
        r"25P0[34]|57P05|idle-session timeout|idle-in-transaction timeout|transaction timeout",
        "the server ended a session that rested, or a transaction that took too long",
        "Set idle_session_timeout, idle_in_transaction_session_timeout and transaction_timeout "
        "to 0 for user {user}",
        passes=True,
    ),
    CUT,  # before SSL, which its words name too where the connection had it
    Cause(
        r"timeout|timed out|No route|unreachable",
        "{host} port {port} does not answer",
        f"{CHECK}, and the network and firewalls between",
        passes=True,
    ),
    Cause(
        r"definition of service|service file", "there is no such service", "Check pg_service.conf"
    ),
    Cause(
        r"\bSSL\b|certificate", "no SSL connection comes about", "Check sslmode and certificates"
    ),
)
#: What the words of libpq and of the server name.
_NAMED = {
    "host": re.compile(r'connection to server (?:at|on socket) "([^"]*)"'),
    "port": re.compile(r"\bport (\d+)"),
    "user": re.compile(r'(?:user|role) "((?:[^"]|"")*)"'),
    "dbname": re.compile(r'database "((?:[^"]|"")*)"'),
}
_UNNAMED = {
    "host": "the server of HATIF_CATALOG",
    "port": "5432",
    "user": "of HATIF_CATALOG",
    "dbname": "of HATIF_CATALOG",
}


def explained(words: str, known: Mapping[str, str] | None = None) -> Explanation | None:
    """Return what a message means, None where nothing is known of it.

    Args:
        words: of PostgreSQL or libpq, with the code where there is one.
        known: host, port, user and dbname, as far as these are known.
    """
    cause = first(_CAUSES, words, re.IGNORECASE)
    if cause is None:
        return None
    found = {key: one[1] for key, pattern in _NAMED.items() if (one := pattern.search(words))}
    named = {**_UNNAMED, **found, **(known or {})}
    text = f"{cause.happened.format(**named)}. {cause.advice.format(**named)}"
    return Explanation(text, cause.passes)
