"""How a named error ends a step: retried where that can help, final where not.

Three layers retry and are independent: the client repeats a request within seconds,
a step is run again within minutes, a run whose process was killed is launched again by Dagster's
daemon (``pipelines/dagster.yaml``). The first two know from the error whether another try can help
(`HatifError.transient`); the third reads a tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from hatif.errors import HatifError
from warehouse.lake.explain import step_failure

#: Seconds until a step is run again: longer than the client's own patience with one request.
RETRY_SECONDS = 120
_NO_NEW_RUN = {"dagster/max_retries": "0"}


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

    A run that cannot begin is launched again by the daemon, like one whose process was killed; the
    tag keeps it from that where another try cannot help.
    """
    try:
        yield
    except HatifError as error:
        if not error.transient and context.instance and context.run:
            context.instance.add_run_tags(context.run.run_id, _NO_NEW_RUN)
        raise failure(error) from None
