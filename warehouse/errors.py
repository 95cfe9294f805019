"""Errors of the store. Their messages never quote data: DuckDB's own messages can."""

from __future__ import annotations

from hatif.errors import Busy, HatifError, HomeError


class WarehouseError(HatifError):
    """The lake refused a statement; nothing of the transaction was kept."""


class ValueRefused(WarehouseError):
    """The lake refused a value; the other items of the batch may be stored without it.

    Attributes:
        reason: DuckDB's own words without any value.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class MemoryShort(ValueRefused):
    """The memory did not suffice for the values of a transaction; fewer at once need less."""


class Conflict(WarehouseError):
    """Other writers, or rows that they left, kept a transaction from its commit at every try."""

    transient = True


class ReadersPresent(Busy):
    """Another process reads the lake, and would see less if rows were moved now."""

    def __init__(self) -> None:
        super().__init__("another program reads the warehouse in an open transaction")


class StoreUnavailable(HomeError):
    """The catalog's database or the bucket does not answer now; nothing is wrong with settings."""

    transient = True


class ConnectionLost(StoreUnavailable):
    """A session with the catalog's database ended, and with it the locks that it held."""


class WriteFailed(WarehouseError):
    """The catalog's database or the bucket did not answer in time to keep a transaction."""

    transient = True


class RowsDiffer(WarehouseError):
    """A table's statistics state another number of rows than a scan finds."""


class ModelError(HatifError):
    """An SQL file of this version, or its header, names something that does not exist."""


class NoWarehouse(HomeError):
    """Nothing was ever synced into this home."""


class QueryRefused(HatifError):
    """SQL that is not a single reading statement, or that DuckDB cannot run."""


class OutputRefused(HatifError):
    """The file or folder to be written is one of the warehouse's own."""


class PublishFailed(HatifError):
    """A copy of the warehouse cannot be written; what was published before stays."""
