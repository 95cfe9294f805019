"""One world with every story of these tests, computed once; tests only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warehouse.marts.world import STORIES, World

_RATES = """country,message_type,effective_from,currency,rate,category
*,*,2025-01-01,USD,0.001,anything
*,template,2025-01-01,USD,0.05,marketing
SA,*,2025-01-01,SAR,0.02,Saudi
SA,*,2026-04-01,SAR,0.03,Saudi
AE,template,2026-03-10T12:00:00+04:00,USD,0.04,marketing
"""
# A holiday on Wednesday 11 March, and on the morning of Thursday 12.
_HOLIDAYS = "date,from,to,name\n2026-03-11,,,whole day\n2026-03-12,09:00,13:00,morning\n"


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All stories; working hours Sunday to Thursday, nine to six, Riyadh."""
    home = tmp_path_factory.mktemp("reported")
    rates, holidays = home / "rates.csv", home / "holidays.csv"
    rates.write_text(_RATES)
    holidays.write_text(_HOLIDAYS)
    world = World(home, rate_card=str(rates), holidays=str(holidays))
    world.put(
        "users",
        {"user_id": "amal", "name": "Amal", "is_ai_agent": False},
        {"user_id": "badr", "name": "Badr", "is_ai_agent": False},
        {"user_id": "robo", "name": "Robo", "is_ai_agent": True},
    )
    world.tell(*STORIES)
    world.refresh()
    yield world
    world.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of a test's own."""
    world = World(tmp_path / "home")
    yield world
    world.close()
