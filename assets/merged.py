"""One step for messages, calls and IVR calls: made of timelines and webhooks together."""

from collections.abc import Iterator

import dagster as dg

from assets.check_results import check_result
from assets.failures import failing_clearly
from assets.tables import model_keys, table_result, table_spec, unique_check, unique_check_spec
from warehouse.lake.connection import Lake
from warehouse.merge import checks
from warehouse.merge.messages import Merged, merge
from warehouse.models.model import merged_models

#: The tables that one merge writes.
_MODELS = {model.name: model for model in merged_models()}
#: The step's tables as assets.
MERGED_KEYS = [dg.AssetKey(["core", name]) for name in _MODELS]


@dg.multi_asset(
    name="merged",
    specs=[table_spec(model, model_keys(model)) for model in _MODELS.values()],
    description="Merges messages and calls of timelines and webhooks, where these changed.",
)
def merged(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult[None]]:
    """Merge, and measure every table."""
    with failing_clearly(context):
        done = merge(lake)
    context.log.info("%s", done)
    numbers = _numbers(done)
    with failing_clearly(), lake.snapshot() as connection:
        numbers["messages"]["webhook_coverage"] = checks.webhook_coverage(connection)
        for name, table in _MODELS.items():
            yield table_result(connection, table, numbers.get(name))


def _numbers(done: Merged) -> dict[str, dict[str, int | float]]:
    return {
        "messages": {"rows_changed": done.messages},
        "calls": {"rows_changed": done.calls},
        "ivr_calls": {"rows_changed": done.ivr_calls},
    }


#: What the marts would count twice.
_BLOCKS = dict.fromkeys(("messages", "calls"), "Blocks the marts, which would count it twice.")
_CHECKS = [
    *(unique_check_spec(model, _BLOCKS.get(name, "")) for name, model in _MODELS.items()),
    dg.AssetCheckSpec(
        "every_event_is_one_message",
        asset=["core", "messages"],
        description="The WhatsApp events of the timelines and the messages that claim to be in one "
        "are the same set.",
    ),
    dg.AssetCheckSpec(
        "few_are_joined_by_time",
        asset=["core", "messages"],
        description="Timeline and webhooks name messages by the same ids. Where they do not, a "
        "message is known by conversation, direction, text and time within 2 s: this counts how "
        f"often, and warns above {checks.JOINED_BY_TIME_SHARE:.0%}.",
    ),
    dg.AssetCheckSpec(
        "all_have_a_time",
        asset=["core", "messages"],
        description="Every message and call has a time. One without is in core, but in no day of "
        "the marts until a timeline or another delivery states its time.",
    ),
]


@dg.multi_asset_check(name="merged_checks", specs=_CHECKS)
def merged_checks(lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
    """Compare messages with the events and deliveries that they are made of."""
    with failing_clearly(), lake.snapshot() as connection:
        unique = [unique_check(connection, model) for model in _MODELS.values()]
        missing = checks.events_without_message(connection)
        by_time, of_both = checks.joined_by_time(connection)
        without_time = checks.without_time(connection)
    yield from unique
    yield check_result(
        "every_event_is_one_message",
        ["core", "messages"],
        "Events of the timelines and messages differ. A sync under way may explain it; else run "
        "the step again, and report it if it stays."
        if missing
        else None,
        {"difference": missing},
    )
    yield check_result(
        "few_are_joined_by_time",
        ["core", "messages"],
        f"{by_time:,} of {of_both:,} messages that both sides know share no id. The service names "
        "events otherwise than it used to."
        if by_time > of_both * checks.JOINED_BY_TIME_SHARE
        else None,
        {"joined_by_time": by_time, "known_to_both": of_both},
        loses_nothing=True,
    )
    yield check_result(
        "all_have_a_time",
        ["core", "messages"],
        f"{without_time:,} messages and calls have no time and are in no day of the marts. See: "
        "SELECT * FROM core.messages WHERE sent_at IS NULL"
        if without_time
        else None,
        {"without_time": without_time},
        loses_nothing=True,
    )
