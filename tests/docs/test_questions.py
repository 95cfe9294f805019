"""docs/questions.md: thirty questions, each short, each with the answer that it really has."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from benchmarks.answers import answered
from hatif.reading import Quiet
from pipelines.demo import settings_of, spec_of
from pipelines.sync import sync
from rehearsal import RehearsalServer
from sync.session import RunOptions
from tests.pipelines.conftest import ROOT
from warehouse.settings.environment import Settings

PAGE = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"### (.+?)\n+```sql\n(.+?)```\n+```text\n(.+?)\n```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home of ``hatif demo --contacts 100 --keep``."""
    home = tmp_path_factory.mktemp("questions")
    with RehearsalServer(spec_of(100)) as server:
        made = settings_of(server, home)
        server.write_webhooks(home / "webhooks")
        assert sync(made, [], RunOptions(), Quiet()).ok
        before = server.now
        server.advance(timedelta(hours=6))
        server.write_webhooks(home / "webhooks", before)
        assert sync(made, [], RunOptions(), Quiet()).ok
    return made


@pytest.mark.parametrize(
    ("sql", "answer"),
    [(sql, answer) for _, sql, answer in QUESTIONS],
    ids=[title for title, *_ in QUESTIONS],
)
def test_the_answer_on_the_page_is_the_answer(settings: Settings, sql: str, answer: str) -> None:
    assert answered(settings, sql) == answer, "python -m benchmarks.answers HOME, see there"


def test_there_are_thirty_in_two_groups() -> None:
    assert len({title for title, *_ in QUESTIONS}) == len(QUESTIONS) == 30
    groups = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert [group.count("\n### ") > 10 for group in groups] == [True, True]


def test_none_takes_more_than_ten_lines() -> None:
    assert {title: sql for title, sql, _ in QUESTIONS if sql.strip().count("\n") >= 10} == {}


def test_no_answer_is_empty() -> None:
    assert [title for title, _, answer in QUESTIONS if answer.count("\n") < 2] == []
