"""The definitions as Dagster loads them, but for the clock: schedules tick five times as often."""

from pipelines import jobs
from pipelines.definitions import build_defs
from pipelines.retention import tidy_runs
from pipelines.schedules import schedule

defs = build_defs(
    schedules=[
        schedule(jobs.hot_sync.name, "*/3 * * * *"),
        schedule(jobs.contacts_sync.name, "1-59/12 * * * *"),
        schedule(jobs.deep_pass.name, "7-59/12 * * * *"),
        schedule(jobs.maintenance.name, "10 * * * *"),
        schedule(tidy_runs.name, "*/11 * * * *"),
    ]
)
