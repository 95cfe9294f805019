"""Databases of PostgreSQL by their connection strings: one for each workspace, and what names it.

Needs ``psycopg`` (``hatif-warehouse[cluster]``), which reads a string by libpq's own rules.
"""

from __future__ import annotations

from hatif.errors import SettingsError

_KIND = "postgres:"


def _parameters(text: str) -> dict[str, str]:
    try:
        import psycopg
        from psycopg import conninfo
    except ImportError:
        raise SettingsError(
            "names a PostgreSQL database: install hatif-warehouse[cluster] for it"
        ) from None
    place = text.partition(":")[2]
    try:
        found = conninfo.conninfo_to_dict(text if place.startswith("//") else place)
    except psycopg.Error:  # its words can quote the password
        raise SettingsError("is no connection string of PostgreSQL") from None
    return {key: str(value) for key, value in found.items()}


def own(text: str, workspace: str) -> str:
    """Return the string of a workspace's own database: the name stated for all, ``_``, its name.

    Databases share nothing: no table, no lock, and no right unless it is given.

    Raises:
        SettingsError: it is no connection string, or psycopg is not installed.
    """
    found = _parameters(text)
    from psycopg import conninfo

    name = f"{found.get('dbname') or 'hatif'}_{workspace}"
    return _KIND + conninfo.make_conninfo("", **(found | {"dbname": name}))


def key(text: str) -> tuple[str, ...]:
    """Return what a database is compared by: service, host, port and name.

    Raises:
        SettingsError: it is no connection string, or psycopg is not installed.
    """
    found = _parameters(text)
    host = found.get("hostaddr") or found.get("host", "")
    place = (found.get("service", ""), host.lower(), found.get("port", "5432"))
    return ("postgres", *place, found.get("dbname") or found.get("user", ""))
