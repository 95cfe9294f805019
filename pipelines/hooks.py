"""What a failed step leaves in the log of its run: what happened to the data, and what to do."""

import dagster as dg

_KEPT = "What was stored stays and is right; nothing has to be undone."


@dg.failure_hook(name="what_to_do")
def log_advice(context: dg.HookContext) -> None:
    """Write the advice to the run's log, where an alert on errors picks it up."""
    context.log.error(advice(context.op.name, context.op_exception))


def advice(step: str, error: BaseException | None) -> str:
    """Return what to do about a failed step, in words that show no data.

    Args:
        step: its name.
        error: what it raised; a `dagster.Failure` is ours and speaks for itself.
    """
    if not isinstance(error, dg.Failure):
        return (
            f"{step}: ended with {type(error).__name__}, a fault of this program. {_KEPT} Run it "
            "again; if it ends so again, report it with the lines of the traceback that name files."
        )
    cause = (error.description or "").removeprefix(f"{step}: ").rstrip(".")
    message = f"{step}: {cause}. {_KEPT}"
    if error.metadata["worth_retrying"].value:
        return f"{message} The next tick of its schedule goes on; do nothing unless it fails again."
    return f"{message} It will fail again until that is put right; then run this job once more."
