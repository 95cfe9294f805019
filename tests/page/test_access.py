"""Who gets in: Host, Origin, methods, passwords, cookies, paths; what is logged of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from hatif.errors import SettingsError
from page.gate import POLICY, names_of
from page.serve import require_password
from page.sessions import COOKIE, Sessions
from tests.page.conftest import PASSWORD, Visit, Visitor, World, secret
from warehouse.settings.environment import Settings


@pytest.fixture
def locked(world: World, visit: Visit) -> Visitor:
    """A visitor of a page with a password."""
    return visit(world.page(page_password=secret()))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", "10.0.0.1", ""])
def test_beyond_loopback_it_needs_a_password(world: World, host: str) -> None:
    with pytest.raises(SettingsError, match="HATIF_PAGE_PASSWORD: not set"):
        require_password(world.settings, host)
    require_password(world.settings.model_copy(update={"page_password": secret()}), host)


def test_a_proxy_that_authenticates_takes_the_place_of_a_password(
    world: World, visit: Visit
) -> None:
    settings = world.settings.model_copy(update={"page_proxy": "203.0.113.9=Remote-User"})
    require_password(settings, "0.0.0.0")
    visitor = visit(world.page(page_proxy=settings.page_proxy))
    user = {"remote-user": "huda"}
    assert visitor.get("/data/view/now", headers=user).status_code == 200
    assert visitor.get("/", headers=user).status_code == 200
    twice = [("remote-user", "huda"), ("remote-user", "omar")]
    for wrong in ({}, {"remote-user": " "}, {"x-forwarded-user": "huda"}, twice):
        for path in ("/", *DATA):
            assert visitor.get(path, headers=wrong).status_code == 403, (wrong, path)
    elsewhere = visit(world.page(page_proxy="203.0.113.8=Remote-User"))
    forged = {**user, "x-forwarded-for": "203.0.113.8", "forwarded": "for=203.0.113.8"}
    assert [elsewhere.get(path, headers=forged).status_code for path in DATA] == [403] * len(DATA)


def test_beside_a_proxy_the_password_still_opens_the_page(world: World, visit: Visit) -> None:
    page = world.page(page_proxy="203.0.113.8=Remote-User", page_password=secret())
    visitor = visit(page)
    assert visitor.get("/data/view/now").status_code == 401
    visitor.sign_in()
    assert visitor.get("/data/view/now").status_code == 200


@pytest.mark.parametrize("wrong", ["proxy=X-User", "10.0.0.5", "10.0.0.5=", "10.0.0.5=a b", "="])
def test_a_proxy_that_is_none_is_named(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ADDRESS=HEADER"):
        Settings.load(home=tmp_path, page_proxy=wrong)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_this_machine_it_needs_none(world: World, host: str) -> None:
    require_password(world.settings, host)


def test_a_password_that_is_soon_guessed_is_refused(world: World) -> None:
    settings = world.settings.model_copy(update={"page_password": secret("short")})
    with pytest.raises(SettingsError, match="at least 8 characters") as refused:
        require_password(settings, "127.0.0.1")
    assert "short" not in str(refused.value)


def test_every_answer_carries_the_policy(visitor: Visitor) -> None:
    for path in ("/", "/data/view/now", "/static/main.js", "/nowhere", "/data/view/nothing"):
        headers = visitor.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost:x", "", "127.0.0.1@evil", "[::1"]
)
def test_another_name_is_refused(visitor: Visitor, host: str) -> None:
    assert visitor.get("/data/choices", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "host", ["localhost:8090", "127.0.0.1", "[::1]:8090", "LOCALHOST", "localhost."]
)
def test_names_of_this_machine_pass(visitor: Visitor, host: str) -> None:
    assert visitor.get("/words/en.json", headers={"host": host}).status_code == 200


def test_beyond_loopback_addresses_and_stated_names_pass() -> None:
    is_ours = names_of("0.0.0.0", ["hatif.example.org"])
    assert all(map(is_ours, ["192.0.2.7", "2001:db8::1", "localhost", "hatif.example.org"]))
    assert not is_ours("evil.example")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_it_only_reads(visitor: Visitor, method: str) -> None:
    for path in ("/", "/data/view/now", "/export/volume/totals.csv", "/static/main.js"):
        assert visitor.request(method, path).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused(locked: Visitor, headers: dict[str, str]) -> None:
    assert locked.sign_in(headers=headers).status_code == 403
    assert locked.post("/logout", headers=headers).status_code == 403
    assert COOKIE not in locked.cookies


def test_data_asked_for_by_another_site_is_refused(visitor: Visitor) -> None:
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert visitor.get("/data/view/now", headers=foreign).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert visitor.get("/?view=volume", headers=followed).status_code == 200


DATA = (
    "/data/choices",
    "/data/view/now",
    "/data/about/now",
    "/data/conversations/volume/by_type?pick.message_type=text",
    "/data/messages/3a1",
    "/export/volume/totals.csv",
)


def test_without_a_session_nothing_is_shown(locked: Visitor) -> None:
    assert locked.get("/?view=now").headers["location"] == "/login?lang=en"
    assert [locked.get(path).status_code for path in DATA] == [401] * len(DATA)


def test_the_password_opens_a_session_and_signing_out_ends_it(locked: Visitor) -> None:
    answer = locked.sign_in(headers={"origin": "http://127.0.0.1:8090"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?lang=en")
    made = answer.headers["set-cookie"].lower()
    assert "httponly" in made
    assert "samesite=lax" in made
    assert PASSWORD not in made
    assert locked.get("/data/view/now").status_code == 200

    cookie = locked.cookies[COOKIE]
    locked.post("/logout")
    assert locked.get("/data/view/now").status_code == 401
    replayed = {"cookie": f"{COOKIE}={cookie}"}
    assert locked.get("/data/view/now", headers=replayed).status_code == 401


def test_forged_cookies_are_refused(world: World, visit: Visit, locked: Visitor) -> None:
    locked.sign_in()
    cookie = locked.cookies[COOKIE]
    other = visit(world.page(page_password=secret()))
    other.sign_in()
    foreign = other.cookies[COOKIE]
    other.cookies.clear()
    name, rest = cookie.split(".", 1)
    for forged in (
        "",
        "x",
        name,
        f"{name}x.{rest}",
        f"{name}.{rest[:-1]}{'A' if rest[-1] != 'A' else 'B'}",
        cookie,  # of another process: a session of its own
        "x" * 10_000,
        "..",
    ):
        answer = other.get("/data/view/now", headers={"cookie": f"{COOKIE}={forged}"})
        assert answer.status_code == 401, forged
    good = {"cookie": f"{COOKIE}={foreign}"}
    assert other.get("/data/choices", headers=good).status_code == 200


def test_wrong_passwords_are_refused_counted_and_logged_without_them(
    locked: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "hatif.page"):
        answers = [locked.sign_in(f"guess-{number}") for number in range(5)]
        assert {answer.status_code for answer in answers} == {401}
        too_many = locked.sign_in()
    assert too_many.status_code == 429
    assert 0 < int(too_many.headers["retry-after"]) <= 901
    assert COOKIE not in locked.cookies
    assert caplog.text.count("a sign-in from 203.0.113.9 was refused") == 5
    assert "guess" not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("typed", ["", "x" * 3_000, "\ud800", "كلمة", "\x00"])
def test_whatever_is_typed_is_compared(typed: str) -> None:
    assert Sessions(PASSWORD).sign_in("a", typed) is None
    assert Sessions(typed or "y").sign_in("a", PASSWORD) is None


def test_after_a_quarter_of_an_hour_one_may_try_again() -> None:
    now = 0.0
    sessions = Sessions(PASSWORD, clock=lambda: now)
    for _ in range(5):
        sessions.sign_in("a", "wrong")
    assert sessions.wait("a") == 901
    assert sessions.wait("b") == 0
    now = 901.0
    assert sessions.wait("a") == 0
    assert sessions.is_open(sessions.sign_in("a", PASSWORD))


def test_many_addresses_do_not_get_around_the_limit() -> None:
    sessions = Sessions(PASSWORD, clock=lambda: 0.0)
    for number in range(50):
        sessions.sign_in(f"address {number}", "wrong")
    assert sessions.wait("another") > 0


def test_a_session_ends_after_half_a_day() -> None:
    now = 0.0
    sessions = Sessions(PASSWORD, clock=lambda: now)
    cookie = sessions.sign_in("a", PASSWORD)
    now = 12 * 3_600.0
    assert not sessions.is_open(cookie)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/static//etc/passwd",
        "/static/",
        "/words/../words.py",
        "/words/xx.json",
        "/export/volume/..%2f..%2fapp.csv",
        "/export/volume/totals.py",
        "/data/view/__init__",
        "/.env",
    ],
)
def test_paths_lead_to_nothing_but_ours(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code in (400, 404)
    assert "import" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "given",
    [
        {"period": "forever"},
        {"from": "2026-01-01"},
        {"from": "2026-02-30", "to": "2026-03-01"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"from": "1980-01-01", "to": "2026-01-01"},
        {"grain": "second"},
        {"target": "-1"},
        {"target": "1e9"},
        {"target": "٣٠٠"},
        {"clock": "sun"},
        {"channel": "x" * 201},
        {"agent": "a\x00b"},
        {"surprise": "1"},
    ],
)
def test_filters_that_are_none_are_named(visitor: Visitor, given: dict[str, Any]) -> None:
    answer = visitor.get("/data/view/volume", params=given)
    assert (answer.status_code, answer.json()["problem"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "'; DROP TABLE core.tags; --", "$from", "{messages}", "\\", "🙂"]
)
def test_filters_are_values_never_sql(tiny: Visitor, value: str) -> None:
    given = dict.fromkeys(("channel", "agent", "tag", "country", "message_type"), value)
    assert tiny.json("/data/view/tiny", period="year", **given)["parts"][0]["rows"] == [[0]]
    written = tiny.json("/data/about/tiny", **given)["parts"][0]["sql"]
    assert value.replace("'", "''") in written
    assert tiny.json("/data/view/tiny", period="year")["parts"][0]["rows"] != [[0]]
