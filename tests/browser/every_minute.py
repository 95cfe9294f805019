"""The definitions as Dagster loads them, but for the clock: the hot sync is due every minute."""

from pipelines.definitions import build_defs
from pipelines.jobs import hot_sync
from pipelines.schedules import schedule

defs = build_defs(schedules=[schedule(hot_sync.name, "* * * * *")])
