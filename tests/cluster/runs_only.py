"""The product's definitions without schedules and sensors: tests and benchmarks start the runs."""

from __future__ import annotations

import dagster as dg

from pipelines import definitions

defs = dg.Definitions(
    assets=definitions.defs.assets,
    asset_checks=definitions.defs.asset_checks,
    jobs=definitions.defs.jobs,
    resources=definitions.defs.resources,
    executor=definitions.defs.executor,
)
