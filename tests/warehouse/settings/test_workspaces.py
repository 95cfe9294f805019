"""The file of several workspaces: settings of each, mistakes of each, and nothing shared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings
from warehouse.settings.variables import Given
from warehouse.settings.workspaces import Workspaces

SECRET = "s3cret-of-a-client"
GUID = "3a1c3594-3280-d8f1-91b7-584a2265b1f5"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a file and read it as the environment names it."""

    def write(text: str | bytes, mode: int = 0o644, **variables: str) -> Workspaces:
        file = tmp_path / "workspaces.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)
        monkeypatch.setenv("HATIF_WORKSPACES", str(file))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        found = Workspaces.of(Given.read(Settings.model_fields))
        assert found is not None
        return found

    return write


def test_a_workspace_has_its_own_values_then_defaults_then_the_environment(read, tmp_path: Path):
    (tmp_path / "secret.txt").write_text("of-a-file\r\n")
    (tmp_path / "rates.csv").write_text("SA,*,2026-01-01,USD,1\n")
    found = read(
        f"""
        [defaults]
        timezone = "Asia/Dubai"
        rate_card = "rates.csv"
        client_secret = {{ env = "{{workspace}}_SECRET" }}
        [riyadh]
        client_id = "{GUID}_API_ab"
        timezone = "Asia/Riyadh"
        requests_per_minute = 30
        page_messages = true
        session_gap_hours = 1.5
        [abu-dhabi]
        client_id = "b"
        rate_card = ""
        client_secret = {{ file = "secret.txt" }}
        """,
        RIYADH_SECRET=SECRET,
        HATIF_MAX_CONCURRENCY="3",
        HATIF_TIMEZONE="UTC",
    )
    riyadh, dhabi = found.settings("riyadh"), found.settings("abu-dhabi")
    assert (riyadh.timezone, dhabi.timezone) == ("Asia/Riyadh", "Asia/Dubai")
    assert (riyadh.requests_per_minute, dhabi.requests_per_minute) == (30, 60)
    assert (riyadh.max_concurrency, riyadh.session_gap_hours) == (3, 1.5)
    assert (riyadh.page_messages, dhabi.page_messages) == (True, False)
    assert (len(riyadh.rate_card), len(dhabi.rate_card)) == (1, 0)
    assert riyadh.credentials() == (f"{GUID}_API_ab", SECRET)
    assert dhabi.credentials() == ("b", "of-a-file")
    assert found.workspace_id("riyadh") == GUID
    assert (riyadh.workspace, Settings.load(None, workspaces=None).workspace) == ("riyadh", None)
    assert SECRET not in repr(riyadh) + repr(found._entries)


def test_places_stated_for_all_have_a_part_of_its_own_for_each(read, tmp_path: Path):
    found = read(
        '[defaults]\nlake = "s3://bucket/lakes/"\nwebhook_dir = "hooks"\n[a]\n[b]\nlake = "mine"\n',
        HATIF_HOME=str(tmp_path / "homes"),
        HATIF_CATALOG=f"sqlite:{tmp_path}/catalogs/c.sqlite",
    )
    a, b = found.settings("a"), found.settings("b")
    assert a.home == tmp_path / "homes" / "a"
    assert (a.lake_path, b.lake_path) == ("s3://bucket/lakes/a", str(tmp_path / "mine"))
    assert b.webhook_location == str(tmp_path / "hooks" / "b")
    assert a.catalog_dsn == f"sqlite:{tmp_path}/catalogs/a/c.sqlite"
    assert found.unassigned == tmp_path / "homes" / "_unassigned"


@pytest.mark.parametrize(
    "stated",
    ["postgres:host=db dbname=hatif", "postgresql://db/hatif", "postgres:host=db dbname='hatif'"],
)
def test_each_workspace_has_a_database_of_its_own(read, stated: str):
    pytest.importorskip("psycopg")
    found = read("[a]\n[b-c]\n[d]\ncatalog = 'postgres:dbname=x'", HATIF_CATALOG=stated)
    assert "dbname=hatif_a" in found.settings("a").catalog_dsn
    assert "dbname=hatif_b-c" in found.settings("b-c").catalog_dsn
    assert found.settings("d").catalog_dsn == "postgres:dbname=x"


def test_relative_paths_begin_at_the_file_and_those_of_the_environment_at_the_folder(
    read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    (tmp_path / "hours.csv").write_text("valid_from,hours\n2026-01-01,Sun 09:00-10:00\n")
    found = read('[a]\nhome = "x/../mine"\nbusiness_hours = "hours.csv"\n[b]\n')
    assert found.settings("a").home == tmp_path / "mine"
    assert found.settings("a").inputs["HATIF_BUSINESS_HOURS"] == tmp_path / "hours.csv"
    assert found.settings("b").home == tmp_path / "else" / "data" / "b"


def test_channels_can_have_a_table_of_secrets_and_two_while_one_rotates(read):
    found = read(
        '[a.webhook_secrets]\n"c-1" = [{ env = "OLD_ONE" }, { env = "HATIF_NEW" }]\n'
        '"*" = { env = "OLD_ONE" }\n',
        OLD_ONE="old",
        HATIF_NEW="new",
    )
    value = found.settings("a").webhook_secrets.get_secret_value()
    assert value == "c-1=old,c-1=new,*=old"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_marks_and_line_ends_of_other_systems_are_read(read, start: bytes):
    found = read(start + b'[a]\r\nscope = "x"\r\n\r\n[b]\r\n')
    assert found.names == ("a", "b")
    assert found.settings("a").scope == "x"


def test_a_secret_in_the_file_needs_a_file_of_ones_own(read):
    text = f'[a]\nclient_secret = "{SECRET}"\n[b]\ncatalog = "postgresql://u:{SECRET}@h/d"\n'
    mistakes = read(text).mistakes()
    assert set(mistakes) == {"a", "b"}
    assert all("chmod 600" in mistake for mistake in mistakes.values())
    assert SECRET not in str(mistakes)
    found = read(text, mode=0o600).settings("a")
    assert found.client_secret is not None
    assert found.client_secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ('timezone = "Mars"', "a.timezone: is not the name of a time zone"),
        ('timezon = "UTC"', "a.timezon: there is no such setting; the nearest is timezone"),
        ('HATIF_TIMEZONE = "UTC"', "the nearest is timezone"),
        ('workspaces = "x"', "a.workspaces: there is no such setting"),
        ("timezone = []", "a.timezone: must be text, a number"),
        ("holidays = 2026-01-01", "a.holidays: must be text, a number"),
        ("requests_per_minute = true", "a.requests_per_minute: "),
        ("requests_per_minute = 60.5", "a.requests_per_minute: "),
        ("session_gap_hours = nan", "a.session_gap_hours: "),
        ('client_secret = { env = "NO_SUCH_THING" }', "variable NO_SUCH_THING is not set"),
        ('client_secret = { env = "s3cret" }', "variable that it names is not set"),
        ('client_secret = { env = "" }', "variable that it names is not set"),
        ('client_secret = { file = "s3cret" }', "cannot be read (No such file or directory)"),
        ('client_secret = { file = "." }', "no small regular file"),
        ('client_secret = { file = "/dev/zero" }', "no small regular file"),
        ('client_secret = { file = "empty" }', "is empty"),
        ('client_secret = { file = "latin" }', "UTF-8"),
        ('client_secret = { file = "a\\u0000b" }', "UTF-8"),
        ('client_secret = { env = "A_B", file = "x" }', "must be a value"),
        ("client_secret = { env = 1 }", "must be a value"),
        ("client_secret = { }", "must be a value"),
        ("[a.timezone]\nx = 1", "a.timezone: must be a value"),
        ("webhook_secrets = { c = 1 }", "a.webhook_secrets: must be channel = "),
        ('client_id = "your-client-id"', "a.client_id: is still the example's text"),
        ('home = "/"', "a.home: must not be the root"),
    ],
)
def test_a_mistake_of_one_names_file_and_key_and_spares_the_others(
    read, tmp_path: Path, value: str, mistake: str
):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin").write_bytes(b"\xe9")
    found = read(f"[a]\n{value}\n[b]\n")
    assert list(found.mistakes()) == ["a"]
    said = found.mistakes()["a"]
    assert mistake in said
    assert said.startswith(f"{tmp_path / 'workspaces.toml'}: a.")
    assert "s3cret" not in said.replace("s3cret'", "")
    assert found.settings("b").timezone == "Asia/Riyadh"


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("", "names no workspace"),
        ("# nothing\n", "names no workspace"),
        ("[defaults]\n", "names no workspace"),
        ("[a]\nx = s3cret\n", "line 2, column 5: is not TOML"),
        ('[a]\nx = "s3cret', "is not TOML"),
        ("[a]\nb = 1\nb = 2\n", "line 3"),
        ("[a]\n[b]\n[a]\n", "line 3, column 3: sets what is set already"),
        ("timezone = 'UTC'\n[a]\n", "timezone stands outside of a table"),
        ("[[a]]\n", "a stands outside of a table"),
        ("[defaults]\ntimezon = 1\n[a]\n", "defaults.timezon: there is no such setting"),
        (b"\xff\xfe[\0a\0]\0", "is not UTF-8"),
        (b"[\0a\0]\0", "is not UTF-8"),
        ("x = " + "[" * 100_000, "is not TOML that can be read"),
        ("[a]\nx = " + "9" * 10_000, "is not TOML that can be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(read, tmp_path: Path, content, mistake: str):
    with pytest.raises(SettingsError) as caught:
        read(content)
    assert mistake in str(caught.value)
    assert str(tmp_path / "workspaces.toml") in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["missing.toml", ".", "a\nb", "/dev/null", "x" * 5_000, "~nobody/x"]
)
def test_a_file_that_is_none_is_an_error_of_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("HATIF_WORKSPACES", name)
    with pytest.raises(SettingsError, match=r"^HATIF_WORKSPACES"):
        Workspaces.of(Given.read(Settings.model_fields))


@pytest.mark.parametrize(
    "name",
    ["Riyadh", "-a", "_a", '"a b"', '"a/b"', '".."', '"رياض"', '""', "a" * 49, "lake", "webhooks"],
)
def test_a_name_that_cannot_be_a_folder_of_its_own_is_refused(read, name: str):
    found = read(f"[{name}]\n[b]\n")
    assert len(found.mistakes()) == 1
    assert found.settings("b").workspace == "b"


@pytest.mark.parametrize(
    "tables",
    [
        '[a]\nhome = "h"\n[b]\nhome = "h"',
        '[a]\nhome = "h"\n[b]\nhome = "./x/../h/"',
        '[a]\nhome = "h"\n[b]\nhome = "H"',
        '[a]\nhome = "h"\n[b]\nhome = "h/b"',
        '[a]\nhome = "h/a"\n[b]\nhome = "h"',
        '[a]\nhome = "h"\n[b]\nhome = "link"',
        '[a]\nhome = "h"\n[b]\nwebhook_dir = "h/webhooks"',
        '[a]\nlake = "h/lake"\n[b]\nwebhook_dir = "h"',
        '[a]\nlake = "s3://buck/y"\n[b]\nlake = "s3://buck/y/"',
        '[a]\nlake = "s3://buck/y"\n[b]\nwebhook_dir = "s3://buck/y/z"',
        '[a]\ncatalog = "sqlite:h/c"\n[b]\ncatalog = "sqlite:link/c"',
        '[a]\nhome = "h"\n[b]\ncatalog = "sqlite:h/c.sqlite"',
        '[a]\nclient_id = "x"\n[b]\nclient_id = "X"',
        f'[a]\nclient_id = "{GUID}_API_1"\n[b]\nclient_id = "{GUID.upper()}_API_2"',
    ],
)
def test_two_workspaces_that_share_anything_are_refused_and_others_are_not(
    read, tmp_path: Path, tables: str
):
    (tmp_path / "h").mkdir()
    (tmp_path / "link").symlink_to("h")
    found = read(f"{tables}\n[c]\n")
    mistakes = found.mistakes()
    assert set(mistakes) == {"a", "b"}
    assert "workspace b" in mistakes["a"] or "of b;" in mistakes["a"]


def test_databases_are_one_by_whatever_they_are_called(read):
    pytest.importorskip("psycopg")
    found = read(
        '[a]\ncatalog = "postgresql://u@DB/x"\n[b]\ncatalog = "postgres:host=db port=5432 dbname=x"'
        '\n[c]\ncatalog = "postgres:host=db dbname=y"\n'
    )
    assert set(found.mistakes()) == {"a", "b"}


def test_neighbours_in_one_folder_and_bucket_are_apart(read):
    found = read(
        '[a]\nlake = "s3://buck/lake"\ncatalog = "sqlite:c/a.sqlite"\n'
        '[b]\nlake = "s3://buck/lake-2"\ncatalog = "sqlite:c/b.sqlite"\n'
    )
    assert found.mistakes() == {}


def test_a_thousand_workspaces_are_read_and_kept_apart(read):
    found = read("\n".join(f'[w{n}]\nclient_id = "{n}"' for n in range(1_000)))
    assert (len(found.names), found.mistakes()) == (1_000, {})
    same = read(
        '[defaults]\nhome = "{workspace}/../one"\n' + "\n".join(f"[w{n}]" for n in range(99))
    )
    assert len(same.mistakes()) == 99
    assert "and 9" in same.mistakes()["w0"]


def test_what_the_file_names_may_begin_with_our_prefix_and_nothing_else_may(read):
    text = '[a]\nclient_secret = { env = "HATIF_A_SECRET" }\n'
    assert read(text, HATIF_A_SECRET="x").mistakes() == {}
    with pytest.raises(SettingsError, match="HATIF_B_SECRET: there is no such setting"):
        read(text, HATIF_B_SECRET="x")


def test_a_mistake_of_the_environment_names_its_variable(read):
    found = read("[a]\n[b]\ntimezone = 'UTC'\n", HATIF_TIMEZONE="Mars")
    assert found.mistakes() == {
        "a": "HATIF_TIMEZONE: is not the name of a time zone, such as Asia/Riyadh"
    }


def test_missing_credentials_are_named_with_the_table_they_go_into(read, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"put it into \[a\] in .*workspaces.toml"):
        read("[a]\n").settings("a").credentials()


def test_nothing_of_another_workspace_is_written_to(read, tmp_path: Path):
    found = read("[a]\n[b]\n")
    kept = found.settings("a").inputs
    assert kept["workspace b (home)"] == Path(os.path.realpath(tmp_path / "data" / "b"))
    assert kept["HATIF_WORKSPACES"] == tmp_path / "workspaces.toml"


def test_what_serves_one_home_does_not_take_that_of_the_surroundings(read):
    read("[a]\n")
    with pytest.raises(SettingsError, match=r"^HATIF_WORKSPACES: names several workspaces"):
        Settings.load()


@pytest.mark.parametrize("name", ["riyad", "RIYADH!", "", "x" * 1_000])
def test_an_unknown_name_is_answered_with_the_nearest(read, name: str):
    found = read("[riyadh]\n[jeddah]\n")
    assert found.find("Riyadh") == "riyadh"
    with pytest.raises(SettingsError, match=r"the nearest is (riyadh|jeddah)"):
        found.find(name)
