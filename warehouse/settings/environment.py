"""Settings: environment variables or a ``.env`` file, checked at start, one message a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hatif.errors import SettingsError
from hatif.webhooks.signatures import Secrets
from warehouse.settings import named_files, values
from warehouse.settings.business_hours import Holiday, Schedule, parse_hours
from warehouse.settings.message_categories import CategoryFile
from warehouse.settings.rate_card import Rate
from warehouse.settings.templates import Template
from warehouse.settings.values import LIVE_LIMIT, LIVE_URL, user_path
from warehouse.settings.variables import Given, variable

_HOURS = "Sun-Thu 09:00-18:00"
#: Settings whose examples are no values to use.
_PERSONAL = ("client_id", "client_secret", "webhook_secrets", "page_password")


class Settings(BaseModel):
    """All settings (docs/settings.md). Secrets never show in repr or errors."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, hide_input_in_errors=True, validate_default=True
    )

    base_url: Annotated[str, AfterValidator(values.base_url)] = Field(
        LIVE_URL, description="Address of the service, or of a rehearsal server."
    )
    client_id: Annotated[str, AfterValidator(values.plain)] | None = Field(
        None,
        description="Client credentials, made in the portal under Settings → API connect. Needed "
        "by whatever calls the service.",
        examples=["your-client-id"],
    )
    client_secret: Annotated[SecretStr, AfterValidator(values.plain_secret)] | None = Field(
        None,
        description="The secret of the client. It is shown in no log, error or run record.",
        examples=["your-client-secret"],
    )
    scope: Annotated[str, AfterValidator(values.plain)] = Field(
        "VoxaAPI", description="Scope that tokens are requested for."
    )
    home: Annotated[Path, AfterValidator(values.directory)] = Field(
        Path("data"),
        description="Directory of everything local: the catalog, the lake, webhook files. `~` is "
        "the user's home directory, here and in every other path.",
    )
    catalog: Annotated[str, AfterValidator(values.catalog)] | None = Field(
        None,
        repr=False,  # it can hold a password
        description="DuckLake catalog: `sqlite:PATH`; or, for several machines, `postgres:…` with "
        "the keys of libpq, or an address `postgresql://…` (docs/cluster.md). If not set, "
        "`catalog.sqlite` in `HATIF_HOME`.",
        examples=["postgres:host=db dbname=hatif"],
    )
    lake: Annotated[str, AfterValidator(values.location)] | None = Field(
        None,
        description="Where the Parquet files lie: a directory or `s3://bucket/prefix`. If not "
        "set, `lake` in `HATIF_HOME`.",
        examples=["s3://bucket/lake"],
    )
    webhook_dir: Annotated[str, AfterValidator(values.location)] | None = Field(
        None,
        description="Where webhook files are collected, searched with all folders below: a "
        "directory or `s3://bucket/prefix`. If not set, `webhooks` in `HATIF_HOME`.",
        examples=["s3://bucket/webhooks"],
    )
    webhook_secrets: Annotated[SecretStr, AfterValidator(values.secrets)] = Field(
        SecretStr(""),
        description="Secrets of the webhook signatures: `channel_id=secret`, separated by commas; "
        "`*=secret` for all channels. A channel appears twice while its secret is replaced.",
        examples=["channel-id=secret"],
    )
    requests_per_minute: Annotated[int, Field(ge=0, le=10_000), AfterValidator(values.budget)] = (
        Field(
            60,
            description=f"Requests that we make a minute, of the {LIVE_LIMIT} that the service "
            "allows to the workspace. `0` is no limit.",
        )
    )
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Requests at the same time, at most; fewer while the service is slow."
    )
    intervals: Annotated[str, AfterValidator(values.intervals)] = Field(
        "",
        description="Least time between two whole reads of a list, by stream; units s, m, h, d, "
        "w. One that is not set grows, to six hours at most, while a list stays the same. `hatif "
        "status` shows those in force.",
        examples=["contacts=1h,timelines=14d"],
    )
    unsettled_hours: Annotated[float, Field(ge=0, le=24 * 30, allow_inf_nan=False)] = Field(
        72, description="For how many hours an event that can still change is read again."
    )
    delete_brake: Annotated[str, AfterValidator(values.share)] = Field(
        "10%",
        description="Largest share of a stream that one run may mark deleted; up to 50 rows always "
        "pass.",
    )
    timezone: Annotated[str, AfterValidator(values.time_zone)] = Field(
        "Asia/Riyadh", description="Time zone of reporting days and of business hours."
    )
    billing_timezone: Annotated[str, AfterValidator(values.time_zone)] | None = Field(
        None,
        description="Time zone whose months and days the bill uses. If not set, `HATIF_TIMEZONE`.",
        examples=["America/Los_Angeles"],
    )
    business_hours: Annotated[
        tuple[Schedule, ...], named_files.IsRead, BeforeValidator(named_files.hours)
    ] = Field(
        parse_hours(_HOURS),
        description="Days and hours of work, such as `Sun-Thu 09:00-12:00,13:00-18:00; Sat "
        "10:00-13:00`. An end that is not after its start is on the next day. Or the path of a "
        "CSV file `valid_from,hours` of schedules that follow each other.",
        examples=[_HOURS],
    )
    holidays: Annotated[
        tuple[Holiday, ...], named_files.IsRead, BeforeValidator(named_files.holidays)
    ] = Field(
        (),
        description="Path of a CSV file `date[,from,to][,name]` in local time; without times the "
        "whole day is free.",
        examples=["holidays.csv"],
    )
    session_gap_hours: Annotated[float, Field(ge=0.01, le=24 * 366, allow_inf_nan=False)] = Field(
        24, description="Hours without a message or call after which a new session begins."
    )
    rate_card: Annotated[
        tuple[Rate, ...], named_files.IsRead, BeforeValidator(named_files.rates)
    ] = Field(
        (),
        description="Path of a CSV file of rates, `market|country,effective_from,currency,rate` "
        "and more columns (below). Without one, costs are NULL.",
        examples=["rates.csv"],
    )

    message_categories: Annotated[
        CategoryFile | None, named_files.IsRead, BeforeValidator(named_files.message_categories)
    ] = Field(
        None,
        description="Path of a CSV or Parquet file of the messages that a sender logged, "
        "`message_id,category[,template]`; the id is the wamid or the event's.",
        examples=["sent.csv"],
    )
    templates: Annotated[
        tuple[Template, ...], named_files.IsRead, BeforeValidator(named_files.templates)
    ] = Field(
        (),
        description="Path of a CSV file of templates, `template,category,language,text`, by which "
        "messages are told apart whose category nobody logged.",
        examples=["templates.csv"],
    )
    page_password: SecretStr | None = Field(
        None,
        description="Password of `hatif page`, of 8 characters or more. Needed where other "
        "machines reach the page.",
        examples=["a-long-password"],
    )
    page_proxy: Annotated[str | None, AfterValidator(values.proxy)] = Field(
        None,
        description="A proxy that authenticates in front of `hatif page`, instead of a password: "
        "`ADDRESS=HEADER`, the address that it connects from and the header in which it names the "
        "user. Requests from elsewhere, or without the header, are refused. The proxy must remove "
        "that header from what it is sent.",
        examples=["10.0.0.5=X-Forwarded-User"],
    )
    page_messages: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        False, description="Whether `hatif page` shows what messages contain: `yes` or `no`."
    )

    campaign_gap_hours: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = Field(
        24, description="Hours without a message of a campaign after which another one begins."
    )
    invoices: Annotated[Path | None, named_files.IsRead, AfterValidator(values.folder)] = Field(
        None,
        description="Folder of invoice files (CSV) that our costs are compared with, "
        "`month,channel,market,category,quantity,amount,currency`.",
        examples=["invoices"],
    )

    workspaces: Path | None = Field(
        None,
        description="Path of a TOML file of several workspaces, each with settings of its own; "
        "all others are defaults then (docs/workspaces.md). Without it there is one workspace.",
        examples=["workspaces.toml"],
    )

    _inputs: dict[str, Path] = PrivateAttr(default_factory=dict)
    _kept: Callable[[], Mapping[str, Path]] = PrivateAttr(dict)
    _workspace: str | None = PrivateAttr(None)
    _credentials_go: str = PrivateAttr("the environment or a .env file")

    @model_validator(mode="wrap")
    @classmethod
    def _with_inputs(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        found = read(given)
        inputs = dict(named_files.named(given, cls.model_fields))
        found._inputs = inputs  # noqa: SLF001 - of this class
        return found

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name in _PERSONAL:
            values.no_placeholder(value, cls.model_fields[info.field_name].examples or ())
        return values.text(value) if isinstance(value, str) else value

    @classmethod
    def load(cls, env_file: Path | None = Path(".env"), /, **overrides: object) -> Self:
        """Read the environment and ``.env``; check names and values.

        Args:
            env_file: None reads no file.
            overrides: values by field, which stand for the environment's.

        Raises:
            SettingsError: with one sentence a mistake, naming the variable, never its value.
        """
        given = Given.read(cls.model_fields, env_file)
        found = cls.of(given.values | overrides, given.mistakes())
        if found.workspaces is not None:
            # What syncs, watches or shows one home must not take that of the settings around it.
            raise SettingsError(
                "HATIF_WORKSPACES: names several workspaces, and these settings are those of one; "
                "name it, or take this setting away"
            )
        return found

    @classmethod
    def of(
        cls,
        given: Mapping[str, object],
        mistakes: Sequence[str] = (),
        name_of: Callable[[str], str] = variable,
    ) -> Self:
        """Check values by field.

        Args:
            given: texts as written, or values.
            mistakes: sentences on what was wrong before.
            name_of: returns what a message calls a field.

        Raises:
            SettingsError: with one sentence a mistake.
        """
        sentences = list(mistakes)
        try:
            found = cls.model_validate(given)
        except ValidationError as error:
            sentences += _sentences(error, name_of)
        if sentences:
            raise SettingsError("; ".join(sentences))
        return found

    def as_workspace(self, name: str, table: str, kept: Callable[[], Mapping[str, Path]]) -> Self:
        """Make these the settings of one workspace of several.

        Args:
            name: of the workspace.
            table: where its credentials are written, for messages.
            kept: returns the files and folders of others, by who names them.
        """
        self._workspace = name
        self._credentials_go = table
        self._kept = kept
        return self

    @property
    def workspace(self) -> str | None:
        """The name of the workspace, where there are several."""
        return self._workspace

    @property
    def inputs(self) -> Mapping[str, Path]:
        """The user's own files and folders that settings name to be read, by variable; absolute.

        No output may replace one.
        """
        return {**self._kept(), **self._inputs}

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
                f"Settings → API connect and put it into {self._credentials_go}"
            )
        return self.client_id, secret

    @property
    def bill_zone(self) -> str:
        """Name of the time zone of the bill's months and days."""
        return self.billing_timezone or self.timezone

    @property
    def catalog_dsn(self) -> str:
        """The DuckLake catalog, by default an SQLite file in the home."""
        kind, _, place = (self.catalog or "").partition(":")
        if kind == "sqlite" and place.startswith("~"):
            return f"sqlite:{user_path(place)}"
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


def _sentences(error: ValidationError, name_of: Callable[[str], str]) -> Iterator[str]:
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        text = one["msg"].removeprefix("Value error, ").rstrip(".")
        yield f"{name_of(str(one['loc'][0]))}: {text}"
