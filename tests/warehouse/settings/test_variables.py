"""Names of variables: typing mistakes, settings of later versions, the order of sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings
from warehouse.settings.values import PLANNED


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("HATIF_CLIENT_SECRETS", "HATIF_CLIENT_SECRET"),
        ("HATIF_REQUEST_PER_MINUTE", "HATIF_REQUESTS_PER_MINUTE"),
        ("HATIF_REQUESTS_PER_MIN", "HATIF_REQUESTS_PER_MINUTE"),
        ("HATIF_TIME_ZONE", "HATIF_TIMEZONE"),
        ("HATIF_URL", "HATIF_BASE_URL"),
        ("HATIF_WEBHOOK_SECRET", "HATIF_WEBHOOK_SECRETS"),
        ("HATIF_WEBHOOKS_DIR", "HATIF_WEBHOOK_DIR"),
        ("HATIF_HOLIDAY", "HATIF_HOLIDAYS"),
        ("hatif_homes", "HATIF_HOME"),
        ("HATIF_", "HATIF_"),
        ("HATIF__HOME", "HATIF_HOME"),
    ],
)
def test_a_mistyped_variable_is_an_error_that_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, nearest: str
) -> None:
    message = f"{name.upper()}: there is no such setting; the nearest is {nearest}"
    monkeypatch.setenv(name, "s3cret")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(message)
    assert "s3cret" not in str(caught.value)
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"export {name}=s3cret\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", sorted(PLANNED))
def test_a_setting_of_a_later_version_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"^{name}: is not used by this version yet"):
        Settings.load()


def test_no_setting_is_both_used_and_planned() -> None:
    assert not PLANNED & {f"HATIF_{name.upper()}" for name in Settings.model_fields}


def test_variables_of_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HATIFY_HOME", "x")
    monkeypatch.setenv("MY_HATIF_HOME", "x")
    (tmp_path / ".env").write_text("AWS_REGION=x\nno line of ours\nDAGSTER_HOME\n")
    assert Settings.load().home == Path("data")


def test_every_mistake_of_names_and_values_comes_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HATIF_TIMEZONE", "Mars")
    monkeypatch.setenv("HATIF_HOMME", "x")
    (tmp_path / ".env").write_text("HATIF_CLIENT_ID 'x'\nHATIF_SKOPE=x\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    message = str(caught.value)
    for part in (".env: line 1: ", "HATIF_HOMME: ", "HATIF_SKOPE: ", "HATIF_TIMEZONE: "):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"HATIF_SCOPE=x\n\n\nHATIF_CLIENT_ID s3cret\n", ".env: line 4: must be NAME=value"),
        (b"# x\nHATIF_CLIENT_SECRET='s3cret\n", ".env: line 2: must be NAME=value"),
        (b"HATIF_CLIENT_ID\n", ".env: line 1: must be NAME=value"),
        (b"HATIF HOME=s3cret\n", ".env: line 1: must be NAME=value"),
        (b"HATIF_SCOPE=\xff\xfe\n", ".env: is not UTF-8"),
        ("HATIF_SCOPE=s3cret\n".encode("utf-16"), ".env: is not UTF-8"),
        (b'HATIF_SCOPE="a\nb"\n', "HATIF_SCOPE: holds a line break"),
        (b"HATIF_SCOPE=a\x00b\n", "HATIF_SCOPE: holds a line break or another control"),
        (b"HATIF_\xd9\x85=s3cret\n", "HATIF_"),
        ("HATIF_SCOPE=s3cret\n".encode("utf-16-le"), ".env: is not UTF-8 text"),
        ("HATIF_SCOPE=s3cret\n".encode("utf-16-be"), ".env: is not UTF-8 text"),
        (b"\x00" * 99, ".env: is not UTF-8 text"),
        (b"# remark\n" * 200_000, ".env: is larger than 1 MiB; it must hold lines NAME=value"),
        (b"HATIF_SCOPE=a\nA=1\nHATIF_SCOPE=s3cret\n", ".env: line 3: sets HATIF_SCOPE a second"),
        (b"HATIF_SCOPE=a\nhatif_scope=s3cret\n", ".env: line 2: sets HATIF_SCOPE a second time"),
        ("\u200bHATIF_SCOPE=s3cret\n".encode(), "?HATIF_SCOPE: there is no such setting"),
        (b"A=1\n\xef\xbb\xbfHATIF_SCOPE=s3cret\n", "?HATIF_SCOPE: there is no such setting"),
        (b"$env:HATIF_SCOPE='s3cret'\n", "?ENV?HATIF_SCOPE: there is no such setting"),
        (b"HATIF-SCOPE=s3cret\n", "HATIF?SCOPE: there is no such setting"),
        (b"HATIF_SCOPE=x HATIF_CLIENT_ID=s3cret\n", "HATIF_SCOPE: holds another setting"),
        ("HATIF_SCOPE=s3cret\u2028HATIF_HOME=y\n".encode(), "HATIF_SCOPE: holds a line break"),
        (b"\xef\xbb\xbfHATIF_HOMME=x\n", "HATIF_HOMME: there is no such setting"),
    ],
)
def test_a_malformed_dotenv_file_is_named_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(message)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dotenv_file_may_have_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfHATIF_SCOPE=Other\r\nHATIF_HOME='a b'\r\n")
    settings = Settings.load()
    assert (settings.scope, settings.home) == ("Other", Path("a b"))


def test_a_pipe_named_dotenv_is_an_error_and_a_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    Settings.load()
    (tmp_path / ".env").rmdir()
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(SettingsError, match=r"^\.env: is no regular file"):
        Settings.load()


def test_a_link_named_dotenv_leads_to_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("gone")
    with pytest.raises(SettingsError, match=r"^\.env: is a link that leads to no file"):
        Settings.load()
    (tmp_path / "gone").write_text("HATIF_SCOPE=x\nHATIF_SCOPE=x\n")
    assert Settings.load().scope == "x"


def test_a_line_of_others_that_is_none_is_not_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("no line of ours\nHATIF_SCOPE=x\n")
    assert Settings.load().scope == "x"
    assert caplog.text == ""


def test_the_environment_wins_and_empty_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("HATIF_SCOPE=file\nHATIF_CLIENT_ID=file\nHATIF_LAKE=\n")
    monkeypatch.setenv("HATIF_SCOPE", "environment")
    monkeypatch.setenv("HATIF_CLIENT_ID", "")
    monkeypatch.setenv("HATIF_DELETE_BRAKE", "")
    settings = Settings.load(timezone="UTC")
    assert (settings.scope, settings.client_id) == ("environment", None)
    assert (settings.lake, settings.delete_brake) == (None, "10%")
    assert settings.timezone == "UTC"
    with pytest.raises(SettingsError, match="HATIF_CLIENT_ID and HATIF_CLIENT_SECRET: not set"):
        settings.credentials()
