"""Settings: environment variables or a ``.env`` file, checked at start, one message a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hatif.errors import SettingsError
from hatif.webhooks.signatures import Secrets
from warehouse.settings.business_hours import Holiday, Schedule, parse_holidays, parse_hours
from warehouse.settings.intervals import parse_intervals
from warehouse.settings.rate_card import Rate, parse_rate_card


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or re.search(r"[^!-~]", value):
        raise ValueError("must be an http:// or https:// address")
    return value.rstrip("/")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not the name of a time zone, such as Asia/Riyadh") from None
    return value


def _share(value: str) -> str:
    number = value.removesuffix("%")
    if not value.endswith("%") or not number.replace(".", "", 1).isdigit() or float(number) > 100:
        raise ValueError("must be a percentage such as 10%")
    return value


def _intervals(value: str) -> str:
    parse_intervals(value)
    return value


def _hours(value: object) -> object:
    return parse_hours(value) if isinstance(value, str) else value


def _holidays(value: object) -> object:
    return parse_holidays(Path(value)) if value and isinstance(value, (str, Path)) else value or ()


def _rates(value: object, info: ValidationInfo) -> object:
    if not value or not isinstance(value, (str, Path)):
        return value or ()
    # A time zone that is wrong is complained about itself.
    return parse_rate_card(Path(value), info.data.get("timezone", "UTC"))


def _secrets(value: SecretStr) -> SecretStr:
    Secrets(value.get_secret_value())
    return value


class Settings(BaseSettings):
    """All settings (docs/settings.md). Secrets never show in repr or errors."""

    model_config = SettingsConfigDict(
        env_prefix="HATIF_", env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    base_url: Annotated[str, AfterValidator(_url)] = "https://api.voxa.sa"
    client_id: str | None = None
    client_secret: SecretStr | None = None
    scope: str = "VoxaAPI"
    home: Path = Path("data")
    catalog: str | None = None
    lake: str | None = None
    requests_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 60
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Riyadh"
    business_hours: Annotated[tuple[Schedule, ...], NoDecode, BeforeValidator(_hours)] = (
        parse_hours("Sun-Thu 09:00-18:00")
    )
    holidays: Annotated[tuple[Holiday, ...], NoDecode, BeforeValidator(_holidays)] = ()
    session_gap_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 24
    rate_card: Annotated[tuple[Rate, ...], NoDecode, BeforeValidator(_rates)] = ()
    delete_brake: Annotated[str, AfterValidator(_share)] = "10%"
    intervals: Annotated[str, AfterValidator(_intervals)] = ""
    unsettled_hours: Annotated[float, Field(ge=0, le=24 * 30)] = 72
    webhook_dir: str | None = None
    webhook_secrets: Annotated[SecretStr, AfterValidator(_secrets)] = SecretStr("")

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment and ``.env``.

        Raises:
            SettingsError: with one sentence a mistake, naming the variable, never its value.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            mistakes = [
                f"HATIF_{'_'.join(map(str, e['loc'])).upper()}: {_sentence(e['msg'])}"
                for e in error.errors(include_input=False, include_url=False, include_context=False)
            ]
            raise SettingsError("; ".join(mistakes)) from None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(".env: cannot be read; it must be UTF-8 text") from None

    def credentials(self) -> tuple[str, str]:
        """Return client id and secret.

        Raises:
            SettingsError: when either is missing.
        """
        secret = self.client_secret.get_secret_value() if self.client_secret else ""
        missing = [
            name
            for name, value in (
                ("HATIF_CLIENT_ID", self.client_id),
                ("HATIF_CLIENT_SECRET", secret),
            )
            if not value
        ]
        if missing or not self.client_id:
            raise SettingsError(
                f"{' and '.join(missing)}: not set. Make a pair in the portal under "
                "Settings → API connect and put it into the environment or a .env file"
            )
        return self.client_id, secret

    @property
    def catalog_dsn(self) -> str:
        """The DuckLake catalog, by default an SQLite file in the home."""
        return self.catalog or f"sqlite:{self.home / 'catalog.sqlite'}"

    @property
    def lake_path(self) -> str:
        """Where the Parquet files lie."""
        return self.lake or str(self.home / "lake")

    @property
    def webhook_location(self) -> str:
        """Where webhook files are collected: a path or an ``s3://`` address."""
        return self.webhook_dir or str(self.home / "webhooks")

    @property
    def webhook_directory(self) -> Path:
        """The local directory for a receiver to write to.

        Raises:
            SettingsError: webhook files are collected in a bucket.
        """
        if "://" in self.webhook_location:
            raise SettingsError(
                "HATIF_WEBHOOK_DIR: a receiver writes to a local directory; copy its files to the "
                "bucket from there"
            )
        return Path(self.webhook_location)

    @property
    def secrets(self) -> Secrets:
        """The channels' secrets for webhook signatures."""
        return Secrets(self.webhook_secrets.get_secret_value())

    @property
    def delete_share(self) -> float:
        """The brake as a fraction of a stream, 0 to 1."""
        return float(self.delete_brake.removesuffix("%")) / 100


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")
