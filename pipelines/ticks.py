"""Ticks of schedules and sensors for several workspaces: what all of them have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from logging import Logger
from typing import TypeVar

import dagster as dg

from assets.workspaces import TAG, several
from hatif.errors import SettingsError
from pipelines.settings import listed
from pipelines.side_by_side import Answer
from warehouse.settings.environment import Settings

T = TypeVar("T")

#: So many different reasons are shown of a tick.
_SHOWN = 20


def settings_of(names: Sequence[str]) -> tuple[dict[str, Settings], dict[str, str]]:
    """Return the settings of workspaces, and a reason for each that has none; read now.

    Args:
        names: those that Dagster has partitions for.

    Raises:
        SettingsError: the environment or the file as a whole cannot be used.
    """
    found = several()
    if found is None:
        raise SettingsError("HATIF_WORKSPACES is not set any more; reload the definitions")
    settings, reasons = {}, {}
    for name in names:
        if name not in found.names:
            reasons[name] = "is not in the file any more; reload the definitions"
            continue
        try:
            settings[name] = found.settings(name)
        except SettingsError as error:
            reasons[name] = str(error)
    for name in found.names:
        if name not in names:
            new = "is new in the file; reload the definitions"
            reasons[name] = new if name in found.well_named else found.mistake(name) or new
    return settings, reasons


def errors_of(answers: Mapping[str, Answer[T]], log: Logger) -> dict[str, str]:
    """Return the errors of looks by workspace; a fault of this program is logged with its place."""
    for name, answer in answers.items():
        if answer.fault is not None:
            log.error("%s: %s\n%s", name, answer.error, answer.fault)
    return {name: answer.error for name, answer in answers.items() if answer.error is not None}


def request(name: str, run_key: str | None, **more: str) -> dg.RunRequest:
    """Return a request for a run of a workspace.

    Args:
        name: of the workspace.
        run_key: see `dg.RunRequest`.
        more: tags beside those of the workspace.
    """
    return dg.RunRequest(run_key=run_key, partition_key=name, tags={TAG: name, **more})


def sentence(reasons: Mapping[str, str]) -> str:
    """Return reasons by workspace as a sentence; those with the same are named together."""
    names = defaultdict(list)
    for name, reason in reasons.items():
        names[reason].append(name)
    shown = [f"{listed(some)}: {reason}" for reason, some in names.items()]
    more = [f"{len(shown) - _SHOWN:,} more"] if len(shown) > _SHOWN else []
    return "; ".join(shown[:_SHOWN] + more) or "nothing to do"


def result(
    log: Logger, requests: Sequence[dg.RunRequest], reasons: Mapping[str, str]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return what a tick returns: its requests, with the reasons in its log; or the reasons."""
    if not requests:
        return dg.SkipReason(sentence(reasons))
    if reasons:
        log.info("skipped: %s", sentence(reasons))
    return list(requests)
