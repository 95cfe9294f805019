"""One clear message a mistake, naming the variable, never its value."""

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings


def load(monkeypatch, **env):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return Settings.load(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HATIF_BASE_URL", "api.voxa.sa"),
        ("HATIF_BASE_URL", "https://"),
        ("HATIF_BASE_URL", "https://:443"),
        ("HATIF_BASE_URL", "https://api.voxa.sa:port"),
        ("HATIF_BASE_URL", "https://api.voxa.sa:99999"),
        ("HATIF_BASE_URL", "https://[broken"),
        ("HATIF_BASE_URL", "https://api voxa.sa"),
        ("HATIF_REQUESTS_PER_MINUTE", "-1"),
        ("HATIF_REQUESTS_PER_MINUTE", "many"),
        ("HATIF_MAX_CONCURRENCY", "0"),
        ("HATIF_TIMEZONE", "Mars/Olympus"),
        ("HATIF_TIMEZONE", "../../etc/passwd"),
        ("HATIF_DELETE_BRAKE", "ten"),
        ("HATIF_DELETE_BRAKE", "10"),
        ("HATIF_DELETE_BRAKE", "101%"),
    ],
)
def test_a_mistake_is_named(monkeypatch, name, value):
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load(monkeypatch, **{name: value})


@pytest.mark.parametrize("name", ["BASE_URL", "REQUESTS_PER_MINUTE", "TIMEZONE", "DELETE_BRAKE"])
def test_a_mistake_is_not_quoted(monkeypatch, name):
    """Somebody may have pasted the secret into the wrong line."""
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **{f"HATIF_{name}": "s3cret"})
    assert "s3cret" not in str(caught.value) + repr(caught.value.args)


def test_every_mistake_is_named_at_once(monkeypatch):
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, HATIF_MAX_CONCURRENCY="0", HATIF_DELETE_BRAKE="?")
    assert "HATIF_MAX_CONCURRENCY" in str(caught.value)
    assert "HATIF_DELETE_BRAKE" in str(caught.value)


def test_a_base_url_loses_its_last_slash(monkeypatch):
    assert (
        load(monkeypatch, HATIF_BASE_URL="http://[::1]:8000/x/").base_url == "http://[::1]:8000/x"
    )


def test_a_dotenv_file_is_read_and_an_unreadable_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("HATIF_SCOPE=Other\n")
    assert Settings.load().scope == "Other"
    (tmp_path / ".env").write_bytes(b"HATIF_SCOPE=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env"):
        Settings.load()


def test_the_brake_is_a_share(monkeypatch):
    assert load(monkeypatch, HATIF_DELETE_BRAKE="12.5%").delete_share == 0.125
