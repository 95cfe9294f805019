"""Results of asset checks, all built in one place."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg


def check_result(
    name: str,
    asset_key: dg.AssetKey | list[str],
    message: str | None,
    metadata: Mapping[str, int | float],
    *,
    loses_nothing: bool = False,
) -> dg.AssetCheckResult:
    """Return the result of one check.

    Args:
        name: of the check.
        asset_key: of the asset that it is about.
        message: what is wrong and what to do, None where the check passed. Shows no data.
        metadata: the numbers that the check compared.
        loses_nothing: a failure is a warning, since the data are complete all the same.
    """
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=asset_key,
        passed=message is None,
        severity=dg.AssetCheckSeverity.WARN if loses_nothing else dg.AssetCheckSeverity.ERROR,
        description=message,
        metadata=dict(metadata),
    )
