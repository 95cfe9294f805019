"""Malformed values of every setting: one line, the variable's name, what is wanted, no value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings

#: Part of most values below: no message may show it.
SECRET = "s3cret"

#: What copying adds to a value, and what belongs to a shell, by what the message says.
WRAPPED = {
    "begins or ends with a space": [" s3cret", "s3cret ", "s3cret\u00a0", " "],
    "is in quotes": ['"s3cret"', "'s3cret'", "“s3cret”", "`s3cret`"],
    "an invisible character": ["s3cret\u200b", "\ufeffs3cret", "s3\u00adcret", "\u202es3cret"],
    "holds another setting": ["s3cret HATIF_HOME=data"],
}
PATHS = {
    "variable or a drive": ["$HOME/s3cret", "${HOME}", "a/$B", "%USERPROFILE%\\x", "C:\\s3cret"],
    "the root of the file system": ["/", "//"],
    "must be a path, without the kind": ["sqlite:s3cret", "postgres:", "file:s3cret"],
    **WRAPPED,
}
#: Values by what the message says, by setting.
VALUES: dict[str, dict[str, list[str]]] = {
    "BASE_URL": {
        "must be an http:// or https:// address": [
            *("api.voxa.sa", "https://", "https://:443", "https:///x", "//x", "http:/x", "http//x"),
            *(f"https://api.voxa.sa:{port}" for port in ("port", "99999", "0", "-1", "8 0")),
            *(f"https://{host}" for host in ("[broken", "[::g]", "a..b", "-a", "a b", "هاتف.sa")),
            *(f"https://{host}" for host in ("300.1.1.1", "1.2.3", "a" * 64, "a.b/{s3cret}")),
            *("ftp://x", "file:///etc", "javascript:x", "https:\\\\x", "https//api.voxa.sa", " "),
            *(" https://x", "https://x ", '"https://x"', "<https://x>"),
        ],
        "must not hold a user name or password": ["https://me:s3cret@x", "https://s3cret@x"],
        "must end before any": ["https://x/?token=s3cret", "https://x/#s3cret"],
        "control character": ["https://x\nhttps://y", "https://x\x85", "https://x\u2028"],
        "invisible character": ["https://api.voxa.sa\u200b", "\ufeffhttps://x", "https://x\u2060"],
    },
    "REQUESTS_PER_MINUTE": {
        "valid integer": ["many", "1.5", "0x10", "1e2", "60/min", "-", "s3cret"],
        "greater than or equal to 0": ["-1", "-60"],
        "the service allows 120 requests a minute": ["121", "500"],
        "less than or equal to": ["99999999999999999999"],
        "integer": ["9" * 5_000],
    },
    "MAX_CONCURRENCY": {"": ["0", "-8", "65", "s3cret", "8.5", "nan"]},
    "SESSION_GAP_HOURS": {
        "": [
            "0",
            "1e-7",
            "1e-320",
            "٢٤",
            "24 h",
            "0x18",
            "-1",
            "nan",
            "inf",
            "-inf",
            "8785",
            "1e999",
            "24h",
            "1,5",
        ]
    },
    "UNSETTLED_HOURS": {"": ["-1", "721", "nan", "inf", "72h", "s3cret"]},
    "TIMEZONE": {
        "is not the name of a time zone": [
            *("right/UTC", "posixrules", "localtime", "Factory", "zone.tab", "Asia/Riyadh "),
            *("Mars/Olympus", "../../etc/passwd", "/etc/localtime", "+03:00", "UTC+3", "Asia"),
            "a" * 4_000,
        ],
        "control character": ["Asia/\u0007"],
    },
    "DELETE_BRAKE": {
        "must be a percentage": [
            *("ten", "10", "101%", "-1%", "%", "1.%", ".5%", "1e1%", "²%", "١٠%", "10 %", "nan%"),
            *("100.1%", "10%%", "9" * 400 + "%", "s3cret%"),
        ]
    },
    "INTERVALS": {
        "pair 1: must be a stream and a time": [
            *("contacts=" + "9" * 400 + "w", "s3cret=1h", "contacts", "contacts=", "=1h", "1h"),
            *("contacts=-1h", "contacts:1h", "contacts=1y", "contacts=1h 2m", "contacts=١h"),
            "contacts=1h;tags=1h",
        ],
        "pair 1: must be at most 3660d": [
            *("contacts=99999999999999w", "contacts=999999999w", "contacts=3661d"),
        ],
        "pair 1: needs a unit": ["contacts=30"],
        "pair 2: needs a unit": ["tags=1h,contacts=1.5"],
        "pair 1: names no stream, the nearest is contacts": ["contact=1h"],
        "pair 2: a second interval of tags": ["tags=1h,tags=2h"],
        "pair 2: a second interval of property_statistics": [
            "statistics=1h,property_statistics=1h"
        ],
    },
    "BUSINESS_HOURS": {
        "must look like": [
            *("2026-01-01", "9-18", "Sun-Thu 9-18", "always", "Sunday 09:00-18:00", "Sun 09:00"),
            *("Sun-Thu", "Sun,", "Sun-Thu 09:00–18:00", "Sun 09:00-18:00,", ";", "Sun 0900-1800"),
            *("الأحد 09:00-18:00", "a" * 5_000, ";;", "“Sun-Thu 09:00-18:00”", "Sun 9am-6pm"),
        ],
        "the days are": ["Sun-Fox 09:00-18:00"],
        "a time that begins at 24:00": ["Sun 24:00-09:00", "Sun 24:00-24:00", "Sun 24:00-00:00"],
        "invisible character": ["Sun-Thu 09:00-18:00\u200b", "Sun\u00ad-Thu 09:00-18:00"],
        "from 00:00 to 24:00": ["Sun-Thu 09:00-25:00", "Sun-Thu 09:60-10:00"],
        "name a readable CSV file valid_from,hours": ["no/s3cret.csv", "~s3cret/hours.csv"],
    },
    "HOLIDAYS": {
        "cannot be read (No such file or directory)": ["no/s3cret.csv", "2026-01-01"],
        "cannot be read (File name too long)": ["a" * 5_000],
        "there is no such user": ["~s3cret/holidays.csv"],
        "is no regular file": ["/dev/null"],
    },
    "RATE_CARD": {
        "cannot be read (No such file or directory)": [
            *("no/s3cret.csv", "SA,template,2026-01-01,USD,0.05", "https://s3cret/rates.csv")
        ],
        "there is no such user": ["~s3cret/rates.csv"],
        "is no regular file": ["/dev/zero"],
    },
    "HOME": {
        "there is no such user": ["~s3cret/home"],
        "must be a path on this machine": ["s3://bucket/home"],
        "control character": ["a\nb"],
        **PATHS,
    },
    "WEBHOOK_SECRETS": {
        "pair 1 must be channel_id=secret": ["s3cret", "=s3cret", "a="],
        "pair 2 must be channel_id=secret": ["a=b,s3cret"],
        "pair 1 holds another pair": ["c=a;d=s3cret", "c=a d=s3cret", "c=a; *=s3cret"],
        "is still the example's text": ["channel-id=secret"],
        "control character": ["a=s3cret\n"],
        "is not UTF-8": ["a=\udcff"],
    },
    "CLIENT_ID": {
        "control character": ["s3cret\n"],
        "is not UTF-8": ["\udce9"],
        "is still the example's text": ["your-client-id"],
        **WRAPPED,
    },
    "PAGE_PASSWORD": {"is still the example's text": ["a-long-password"]},
    "CLIENT_SECRET": {
        "is still the example's text": ["your-client-secret"],
        "control character": ["s3cret\r"],
        "is not UTF-8": ["s3cret\udcff"],
        **WRAPPED,
    },
    "SCOPE": {"control character": ["Voxa\tAPI"], **WRAPPED},
    "CATALOG": {
        "control character": ["postgres:host=a\npassword=s3cret"],
        "variable or a drive": ["sqlite:$HOME/s3cret", "sqlite:C:\\s3cret"],
        "the root of the file system": ["sqlite:/"],
        "there is no such user": ["sqlite:~s3cret/catalog.sqlite"],
        **WRAPPED,
    },
}
VALUES["LAKE"] = VALUES["WEBHOOK_DIR"] = {
    "must be a path or s3://": [
        *(f"{scheme}://s3cret" for scheme in ("ftp", "gs", "http", "file", "S3", "s3a", "gcs")),
        *("s3:/s3cret", "az://s3cret", "r2://s3cret"),
    ],
    "must name a bucket": [
        *("s3://", "s3:///s3cret", "s3://a b", "s3://b..c", "s3://b..c/s3cret", "s3://a.-b?x"),
        *("s3://ab-", "s3://ab./s3cret", "s3://-ab", "s3://a/s3cret", f"s3://{'a' * 64}"),
    ],
    "must be a directory, and there is a file": [
        *("/etc/passwd", "/etc/passwd/webhooks", "/dev/null")
    ],
    "there is no such user": ["~s3cret/x"],
    "cannot be used as a directory (File name too long)": ["a" * 300],
    "control character": ["a\x1b[2J"],
    **PATHS,
}
CASES = [
    (name, value, wanted)
    for name, by_message in VALUES.items()
    for wanted, texts in by_message.items()
    for value in texts
]


@pytest.mark.parametrize(("name", "value", "wanted"), CASES)
def test_a_malformed_value_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"HATIF_{name}", value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    message = str(caught.value)
    assert message.startswith(f"HATIF_{name}: ")
    assert wanted in message
    assert "\n" not in message
    assert SECRET not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "http://[::1]:8000/x/"),
        ("BASE_URL", "http://my_service:8000"),
        ("BASE_URL", "HTTPS://API.VOXA.SA"),
        ("REQUESTS_PER_MINUTE", "120"),
        ("WEBHOOK_SECRETS", "c=YWJj;ZGVm==, *=a b;c=, c=a=b"),
        ("LAKE", "s3://a.b-c/x--y..z"),
        ("REQUESTS_PER_MINUTE", "0"),
        ("INTERVALS", "contacts=0, statistics=1.5d,"),
        ("INTERVALS", "timelines=3660d"),
        ("DELETE_BRAKE", "100%"),
        ("LAKE", "s3://bucket/prefix"),
        ("WEBHOOK_DIR", "s3://bucket?endpoint_override=localhost:9000"),
        ("WEBHOOK_DIR", "not/there/yet"),
        ("TIMEZONE", "UTC"),
        ("SESSION_GAP_HOURS", "0.5"),
        ("CLIENT_SECRET", "a'b\"c d$e%f#g=\u200c"),
        ("HOME", "my data/$1"),
        ("CATALOG", "postgres:host=db password='a b'"),
    ],
)
def test_what_is_well_formed_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"HATIF_{name}", value)
    Settings.load()


def test_only_the_live_service_limits_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATIF_REQUESTS_PER_MINUTE", "500")
    monkeypatch.setenv("HATIF_BASE_URL", "http://127.0.0.1:8765")
    assert Settings.load().requests_per_minute == 500
    monkeypatch.setenv("HATIF_BASE_URL", "https://API.voxa.sa:443/")
    with pytest.raises(SettingsError, match="120"):
        Settings.load()


def test_a_tilde_is_the_home_directory_in_every_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "days.csv").write_text("2026-01-01\n")
    (tmp_path / "rates.csv").write_text("SA,*,2026-01-01,USD,1\n")
    (tmp_path / "hours.csv").write_text("2026-01-01,Sun 09:00-10:00\n")
    for name, value in {
        "HOME": "~/home",
        "LAKE": "~/lake",
        "WEBHOOK_DIR": "~/webhooks",
        "CATALOG": "sqlite:~/catalog.sqlite",
        "HOLIDAYS": "~/days.csv",
        "RATE_CARD": "~/rates.csv",
        "BUSINESS_HOURS": "~/hours.csv",
    }.items():
        monkeypatch.setenv(f"HATIF_{name}", value)
    settings = Settings.load()
    assert settings.home == tmp_path / "home"
    assert settings.lake_path == str(tmp_path / "lake")
    assert settings.webhook_directory == tmp_path / "webhooks"
    assert settings.catalog_dsn == f"sqlite:{tmp_path / 'catalog.sqlite'}"
    assert len(settings.holidays) == len(settings.rate_card) == len(settings.business_hours) == 1


def test_a_bucket_is_no_place_for_a_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATIF_WEBHOOK_DIR", "s3://bucket")
    with pytest.raises(SettingsError, match="a receiver writes to a local directory"):
        _ = Settings.load().webhook_directory


def test_a_file_that_may_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "days.csv"
    file.write_text("2026-01-01\n")
    file.chmod(0)
    monkeypatch.setenv("HATIF_HOLIDAYS", str(file))
    assert "cannot be read (Permission denied)" in _complaint_as_another_user(tmp_path)


def test_a_dotenv_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HATIF_SCOPE=x\n")
    file.chmod(0)
    assert _complaint_as_another_user(tmp_path) == ".env: cannot be read (Permission denied)"


def _complaint_as_another_user(directory: Path) -> str:
    """Load the settings there in a process without the rights of root, who may read everything."""
    code = (
        "import os\n"
        "from warehouse.settings.environment import Settings\n"
        "from hatif.errors import SettingsError\n"
        "Settings.load(None, holidays=())  # imports are made while they may be read\n"
        "if os.getuid() == 0:\n"
        "    os.setgid(65534), os.setuid(65534)\n"
        "try:\n"
        "    Settings.load()\n"
        "except SettingsError as error:\n"
        "    print(error, end='')\n"
    )
    for folder in (directory, *directory.parents[:2]):
        folder.chmod(0o755)
    # That user may write no coverage data either.
    variables = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout
