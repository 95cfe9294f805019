"""Workspaces as partitions of the assets: of which a run is, and the settings that it works with.

Without HATIF_WORKSPACES nothing has partitions. With it a run has one, the name of a workspace, and
all that it opens is of that one's settings.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import dagster as dg
from dagster._record import replace

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings
from warehouse.settings.variables import Given
from warehouse.settings.workspace_file import shown
from warehouse.settings.workspaces import Workspaces

#: Tag of a run that names its workspace; `pipelines/dagster.yaml` limits runs by it.
TAG = "hatif/workspace"
#: Dagster's own tag of a run's partition, and of the first and last where a run has several.
PARTITION = "dagster/partition"
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_LISTED = 20


def several() -> Workspaces | None:
    """Return the workspaces of HATIF_WORKSPACES, read now; None where there is one workspace.

    Raises:
        SettingsError: the environment or the file as a whole cannot be used.
    """
    return Workspaces.of(Given.read(Settings.model_fields))


def keys_of(names: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """Return the names of workspaces as the keys of partitions."""
    return dg.StaticPartitionsDefinition(list(names))


def partitioned(
    definition: dg.AssetsDefinition, keys: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """Return assets, with their checks, with a partition for each workspace.

    A run has one partition, since a process has one store; so a backfill is a run for each. That is
    how Dagster does it where no policy is stated: with BackfillPolicy.multi_run(1) runs would be of
    ranges from a partition to itself, which nothing but steps takes for one partition.
    """
    given = definition.get_attributes_dict()
    return dg.AssetsDefinition.dagster_internal_init(
        **{
            **given,
            "specs": [
                # A policy looks at the newest of all partitions; see `assets/on_time.py`.
                one.replace_attributes(partitions_def=keys, freshness_policy=None)
                for one in given["specs"]
            ],
            "check_specs_by_output_name": _checks(definition, keys),
        }
    )


def partitioned_checks(
    definition: dg.AssetChecksDefinition, keys: dg.PartitionsDefinition
) -> dg.AssetChecksDefinition:
    """Return checks with a partition for each workspace, so that each has results of its own."""
    found: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=definition.node_keys_by_input_name,
        node_def=definition.op,
        check_specs_by_output_name=_checks(definition, keys),
        can_subset=definition.can_subset,
    )
    return found


def _checks(
    definition: dg.AssetsDefinition, keys: dg.PartitionsDefinition
) -> dict[str, dg.AssetCheckSpec]:
    """Return the specs of checks by output, with partitions; Dagster warns that these are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        return {
            output: replace(check, partitions_def=keys)
            for output, check in definition.get_attributes_dict()[
                "check_specs_by_output_name"
            ].items()
        }


def workspace_of(run: dg.DagsterRun | None) -> str | None:
    """Return the workspace that a run is of, None where it has no partition, or several."""
    tags = run.tags if run else {}
    first = tags.get(_FIRST)
    return tags.get(PARTITION) or (first if first == tags.get(_LAST) else None)


def settings_of(run: dg.DagsterRun | None) -> Settings:
    """Return the settings that a run works with.

    Raises:
        SettingsError: they are mistaken, or it is not clear which workspace is meant.
    """
    workspaces, name = several(), workspace_of(run)
    if workspaces is None:
        if name is None:
            return Settings.load()
        raise SettingsError(
            f"this run is of the workspace {shown(name)}, and HATIF_WORKSPACES is not set: reload "
            "the definitions, then launch it without a partition"
        )
    if name is None:
        listed = ", ".join(map(shown, workspaces.names[:_LISTED]))
        of_several = run is not None and _FIRST in run.tags
        raise SettingsError(
            f"this run is of {'several workspaces' if of_several else 'no workspace'}, and a run "
            f"works for one: launch it for one partition, the name of a workspace ({listed})"
        )
    return workspaces.settings(workspaces.find(name))
