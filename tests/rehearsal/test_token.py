"""The token endpoint, and what the API does with tokens."""

import time

from tests.rehearsal.conftest import CONTACTS, Client


def test_right_credentials_get_a_token_for_fifteen_days(calm):
    answer = calm.ask_token()
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 1_296_000
    assert answer.json()["token_type"] == "Bearer"


def test_a_wrong_secret_is_invalid_client(calm):
    answer = calm.ask_token(client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_wrong_scope_is_invalid_scope(calm):
    answer = calm.ask_token(scope="Everything")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_another_grant_is_unsupported(calm):
    answer = calm.ask_token(grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_a_token_without_scope_is_issued_and_then_good_for_nothing(client):
    unscoped = Client(client.server).log_in(scope=None)
    answer = unscoped.get(CONTACTS)
    assert (answer.status_code, answer.content) == (401, b"")
    unscoped.http.close()


def test_no_token_and_a_made_up_token_are_401_with_an_empty_body(server):
    stranger = Client(server)
    assert (stranger.get(CONTACTS).status_code, stranger.get(CONTACTS).content) == (401, b"")
    stranger.http.headers["Authorization"] = "Bearer made-up"
    assert stranger.get(CONTACTS).status_code == 401
    stranger.http.close()


def test_revoked_tokens_are_refused_and_the_log_knows_the_generations(server, client):
    assert client.get(CONTACTS).status_code == 200
    server.revoke_tokens()
    assert client.get(CONTACTS).status_code == 401
    assert client.log_in().get(CONTACTS).status_code == 200
    assert server.tokens_issued == 2
    reads = [r for r in server.requests if r.stream == "contacts"]
    assert [(r.status, r.generation) for r in reads] == [(200, 1), (401, None), (200, 2)]


def test_a_token_lives_as_long_as_it_says(server):
    server.set_quirks(token_seconds=1)
    client = Client(server).log_in()
    assert client.get(CONTACTS).status_code == 200
    time.sleep(1.05)
    assert client.get(CONTACTS).status_code == 401
    client.http.close()
