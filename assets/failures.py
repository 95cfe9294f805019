"""How a named error ends a step: retried where that can help, final where not.

Four layers retry and are independent: the client repeats a request within seconds, a step is run
again within minutes, a run whose process was killed is launched again by Dagster's daemon
(``pipelines/dagster.yaml``), and after a run that could read nothing the sensor `service_outage`
(``pipelines/outage_sensor.py``) looks for the service. The first two know from the error whether
another try can help (`HatifError.transient`); a tag keeps the third from runs that could not begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from assets import outages
from hatif.errors import HatifError, HomeError
from sync.outage import stops_any_stream
from warehouse.lake.explain import step_failure

#: Seconds until a step is run again: longer than the client's own patience with one request.
RETRY_SECONDS = 120
#: What becomes of a run that cannot begin, for its log.
_AN_OUTAGE = (
    "Nothing was lost, and no further run fails of it: the schedules wait, and the sensor "
    "service_outage looks when one can begin again."
)
_A_REFUSAL = "Nothing was done. Put that right, then run this job once more."


def failure(error: HatifError) -> dg.Failure:
    """Return a failure in the words of the error; Dagster does not run the step again."""
    return dg.Failure(
        description=str(error),
        metadata={"error": type(error).__name__, "worth_retrying": error.transient},
        allow_retries=False,
    )


def may_try_again(context: dg.AssetExecutionContext, error: HatifError, retries: int) -> bool:
    """Whether the error may pass, and a step that may be run again so often has tries left."""
    return error.transient and context.op_execution_context.retry_number < retries


@contextmanager
def failing_clearly(
    context: dg.AssetExecutionContext | None = None, retries: int = 0
) -> Iterator[None]:
    """Turn what goes wrong inside into what Dagster should do about it.

    Args:
        context: of the step; needed only with `retries`.
        retries: how often the step is run again if its error may pass.

    Raises:
        RetryRequested: the error may pass, and tries are left.
        Failure: it will not, or none are.
    """
    try:
        yield
    except HatifError as error:
        if context is not None and may_try_again(context, error, retries):
            context.log.warning("%s Tried again in %s s.", error, RETRY_SECONDS)
            raise dg.RetryRequested(retries, RETRY_SECONDS) from None
        raise failure(error) from None
    except (duckdb.Error, OSError) as error:
        # Dagster keeps messages, and DuckDB quotes the data it chokes on: that is left out.
        raise dg.Failure(
            description=step_failure(error),
            metadata={"error": type(error).__name__, "worth_retrying": False},
            allow_retries=False,
        ) from None


@contextmanager
def opening(context: dg.InitResourceContext) -> Iterator[None]:
    """Turn what goes wrong while a resource is opened into a failure of the run.

    Dagster's daemon would launch a run that cannot begin again, like one whose process was killed;
    the tag keeps it from that: one failure a cause is enough.
    """
    try:
        yield
    except (HatifError, duckdb.Error, OSError) as error:
        known = error if isinstance(error, HatifError) else HomeError(step_failure(error))
        _note_end(context, known)
        raise failure(known) from None


def _note_end(context: dg.InitResourceContext, error: HatifError) -> None:
    """Say in the run's log what follows, and tag the run."""
    is_outage = stops_any_stream(error)
    if context.log:
        cause = str(error).removesuffix(".")
        context.log.error("%s. %s", cause, _AN_OUTAGE if is_outage else _A_REFUSAL)
    if context.instance and context.run:
        context.instance.add_run_tags(context.run.run_id, outages.NO_NEW_RUN)
        outages.tag(context.instance, context.run, error if is_outage else None)
