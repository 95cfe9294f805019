"""The command ``hatif``: exit 0 all done, 1 part failed and was reported, 2 usage or settings."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import hatif
from hatif.streams import STREAMS, stream_named
from pipelines.operating import COMMANDS
from pipelines.reported import echo_json, reported
from warehouse.settings.environment import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hatif.__version__)
def main() -> None:
    """Hatif conversations, messages and calls in DuckDB: complete, provably so, ready for SQL."""


@main.command()
@click.option(
    "--contacts",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Size of the made-up workspace.",
)
@click.option("--keep", is_flag=True, help="Keep the warehouse and say where it is.")
@reported
def demo(contacts: int, keep: bool) -> int:
    """The whole product against the built-in rehearsal server, in a throw-away home."""
    from pipelines.demo import run

    return run(contacts=contacts, keep=keep)


def _stream_names(_: click.Context, __: click.Parameter, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        stream = stream_named(name)
        if stream is None:
            raise click.BadParameter(f"no stream is called {name}; there are {', '.join(STREAMS)}")
        found.append(stream.name)
    return found


@main.command()
@click.option("--full", is_flag=True, help="Read everything again and reconcile.")
@click.option(
    "--accept-deletes", is_flag=True, help="Lift the brake on deletions for this run (with --full)."
)
@click.option(
    "--only",
    type=click.Choice(["api", "webhooks", "models"]),
    help="Only read the service, only the webhook files, or only compute tables. The last two ask "
    "the service nothing.",
)
@click.option(
    "--stream", "streams", multiple=True, callback=_stream_names, help="Only this stream; repeat."
)
@click.option(
    "--max-requests", type=click.IntRange(min=1), help="Stop cleanly after so many HTTP attempts."
)
@click.option("--no-wait", is_flag=True, help="Exit 1 if another sync is under way.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@reported
def sync(
    full: bool,
    accept_deletes: bool,
    only: str | None,
    streams: list[str],
    max_requests: int | None,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Read into the warehouse what changed in the service since the last sync.

    Never synced, or with --full, it reads everything.
    """
    if accept_deletes and not full:
        raise click.UsageError("--accept-deletes goes with --full")
    if streams and only not in (None, "api"):
        raise click.UsageError(f"--stream does not go with --only {only}")
    settings = Settings.load()
    if only in (None, "api"):
        settings.credentials()
    from hatif.unreachable import insecure
    from pipelines import progress
    from pipelines import sync as job
    from pipelines.output import count
    from sync.session import RunOptions

    options = RunOptions(
        full=full,
        accept_deletes=accept_deletes,
        max_requests=max_requests,
        wait=not no_wait,
        waiting=lambda holder: click.echo(f"waiting for {holder}", err=True),
    )
    if only in (None, "api") and (warning := insecure(settings.base_url)):
        click.echo(f"warning: {warning}", err=True)
    with progress.watcher(settings.requests_per_minute) as watching:
        outcome = job.sync(settings, streams, options, watching, only)
    for complaint in outcome.complaints:
        click.echo(f"error: {complaint}", err=True)
    for note in outcome.notes:
        click.echo(f"note: {note}", err=True)
    if outcome.stopped:
        click.echo(outcome.stopped, err=True)
    if as_json:
        echo_json(outcome.as_json())
    else:
        changed = sum(result.rows_changed for result in outcome.results.values())
        click.echo(
            f"{count(changed, 'record')} changed, {count(outcome.requests, 'request')}, "
            f"{count(outcome.webhook_events, 'webhook event')}, {outcome.seconds:.1f} s"
        )
    return 0 if outcome.ok else 1


@main.command()
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="By default a table, or what the name of the file ends with.",
)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all rows there; a file that is there is replaced when all is written.",
)
@reported
def query(sql: str, form: Any, file: Path | None) -> int:
    """Run SQL that reads; tables of marts, core and ops need no prefix.

    One statement: SELECT, FROM, VALUES, WITH, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN, over tables,
    joins, window functions, JSON and snapshots (AT, ducklake_snapshots('wh'), …). Files, other
    databases, extensions, settings, secrets and anything that writes are out of its reach.

    On a terminal a long table goes to $PAGER.
    """
    from pipelines import output
    from warehouse.reports.destinations import require_foreign
    from warehouse.reports.query import Query

    if form is None:
        form = "table" if file is None else file.suffix.removeprefix(".").lower()
        if form not in output.FORMATS:
            raise click.UsageError("--output: say in which --format, or name it .csv or .parquet")
    if form == "parquet" and file is None:
        raise click.UsageError("--format parquet goes with --output FILE")
    settings = Settings.load()
    if file is not None:
        require_foreign(settings, file)
    with Query(settings, sql) as found:
        if file is None:
            output.write(found, form)
        else:
            output.save(found, form, file)
    return 0


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reported
def status(as_json: bool) -> int:
    """How each stream stands: last success, rows, certificate, rejects; the latest runs."""
    from pipelines import status as report

    found = report.gather(Settings.load())
    if as_json:
        echo_json(found)
    else:
        report.show(found)
    return 0


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="0 picks a free one.",
)
@reported
def collect(host: str, port: int) -> int:
    """Receive webhooks: each is on disk before it is answered. Ends on SIGTERM or Ctrl-C."""
    from hatif.webhooks import receiver

    settings = Settings.load()
    receiver.collect(
        settings.webhook_directory,
        settings.secrets,
        host,
        port,
        lambda url: click.echo(f"receiving webhooks on {url}", err=True),
    )
    return 0


@main.group(invoke_without_command=True)
@click.option("--raw", is_flag=True, help="Show the text of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def rejects(context: click.Context, raw: bool, as_json: bool) -> None:
    """Records and webhook deliveries that were set aside: why, where, and another try."""
    if context.invoked_subcommand is None:
        context.invoke(rejects_list, raw=raw, as_json=as_json)


@rejects.command("list")
@click.option("--raw", is_flag=True, help="Show the text of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@reported
def rejects_list(raw: bool, as_json: bool) -> int:
    """List those that wait, the oldest first, with who acknowledged them and why."""
    from pipelines.output import write
    from warehouse.reports.query import Query

    columns = "left(r.reject_id, 12) AS id, first_seen_at, source, stream, reason, location"
    columns += ", acknowledged_by, why" + (", raw" if raw else "")
    sql = (
        f"SELECT {columns} FROM ops.rejects r LEFT JOIN ops.acknowledgements a "
        "ON a.reject_id = r.reject_id AND a.withdrawn_at IS NULL "
        "WHERE replayed_at IS NULL ORDER BY first_seen_at, r.reject_id"
    )
    with Query(Settings.load(), sql) as found:
        write(found, "json" if as_json else "table")
    return 0


_WHICH = click.argument("ids", nargs=-1, metavar="[ID]...")
_STREAM = click.option("--stream", metavar="NAME", help="All that wait of one stream.")
_WHO = click.option("--by", default=getpass.getuser, help="Who; by default the account's name.")


@rejects.command("ack")
@_WHICH
@_STREAM
@click.option("--why", required=True, help="Why they may stay as they are.")
@_WHO
@reported
def rejects_ack(ids: tuple[str, ...], stream: str | None, why: str, by: str) -> int:
    """Acknowledge some: they stay set aside and are shown, but fail no run any more.

    IDs as `hatif rejects` shows them. `hatif rejects reopen` withdraws it.
    """
    from warehouse import acknowledgements
    from warehouse.lake.schema import open_lake

    if not why.strip() or not by.strip():
        raise click.UsageError("--why and --by: must say something")
    with open_lake(Settings.load()) as lake:
        known = lake.write(
            "acknowledge rejects",
            lambda c: acknowledgements.acknowledge(
                c, acknowledgements.find(c, ids, stream), by.strip(), why.strip()
            ),
        )
    click.echo(f"{known:,} acknowledged")
    return 0


rejects.add_command(rejects_ack, "dismiss")


@rejects.command("reopen")
@_WHICH
@_STREAM
@_WHO
@reported
def rejects_reopen(ids: tuple[str, ...], stream: str | None, by: str) -> int:
    """Withdraw the acknowledgement of some: they count as failures again."""
    from warehouse import acknowledgements
    from warehouse.lake.schema import open_lake

    with open_lake(Settings.load()) as lake:
        open_again = lake.write(
            "withdraw acknowledgements",
            lambda c: acknowledgements.withdraw(c, acknowledgements.find(c, ids, stream), by),
        )
    click.echo(f"{open_again:,} open again")
    return 0


@rejects.command("replay")
@reported
def rejects_replay() -> int:
    """Validate them again with this version and these settings; exit 1 if some are still bad."""
    from hatif.streams import catalogue_keys
    from hatif.wire import Spelling
    from warehouse.lake.schema import open_lake
    from warehouse.models.model import wire_keys
    from warehouse.replay import replay

    settings = Settings.load()
    with open_lake(settings) as lake:
        done = replay(lake, settings.secrets, Spelling(wire_keys() | catalogue_keys()))
    click.echo(f"{done.settled:,} settled, {done.left:,} still set aside")
    if done.settled:
        click.echo("run: hatif sync --only models")
    return 1 if done.left else 0


@main.command()
@reported
def rebuild() -> int:
    """Make core and marts again from raw alone; no request is made."""
    from warehouse.lake.locks import REBUILD, exclusive
    from warehouse.marts import refresh
    from warehouse.merge import messages
    from warehouse.records import rebuild as core

    settings = Settings.load()
    with (
        core.open_lake(settings) as lake,
        exclusive(settings.home / REBUILD, "rebuild", wait=False),
    ):
        core.rebuild(lake, lambda stream, rows: click.echo(f"{stream}: {rows:,} records"))
        done = messages.merge_all(lake)
        click.echo(f"merged: {done.messages:,} messages, {done.calls:,} calls")
        written = sum(one.written for one in refresh.rebuild(lake, settings).values())
        click.echo(f"marts: {written:,} rows")
    return 0


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8765,
    show_default=True,
    help="0 picks a free one.",
)
@click.option("--seed", default=7, show_default=True, help="The same seed, the same workspace.")
@click.option("--contacts", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--conversations", type=click.IntRange(min=0), help="As many as contacts, if not given."
)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    help="Timeline events; twenty a conversation, if not given.",
)
@click.option(
    "--faults",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of requests that go wrong.",
)
@click.option("--casing", type=click.Choice(["camel", "pascal"]), default="camel")
@click.option(
    "--page-cap", type=click.IntRange(min=1), help="Cap pages silently at so many records."
)
@click.option("--webhook-url", help="Post webhooks there; a minute passes every two seconds.")
@click.option(
    "--webhook-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write webhooks there as files; a minute passes every two seconds.",
)
@reported
def rehearse(
    port: int,
    seed: int,
    contacts: int,
    conversations: int | None,
    events: int | None,
    faults: float,
    casing: Any,
    page_cap: int | None,
    webhook_url: str | None,
    webhook_dir: Path | None,
) -> int:
    """A stand-in for the service: its live quirks, faults on demand, time that can be moved on."""
    from hatif.errors import SettingsError
    from rehearsal import PortUnavailable, Quirks, RehearsalServer, WorldSpec, serve
    from rehearsal.everyday import live_a_minute

    conversations = contacts if conversations is None else conversations
    try:
        spec = WorldSpec(
            seed=seed,
            contacts=contacts,
            conversations=conversations,
            events=20 * conversations if events is None else events,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def announce(server: RehearsalServer) -> None:
        if webhook_url:
            server.post_webhooks(webhook_url)
        click.echo(
            f"The rehearsal server listens on {server.url}. In another terminal:\n\n"
            f"  export HATIF_BASE_URL={server.url}\n"
            f"  export HATIF_CLIENT_ID={server.client_id}\n"
            f"  export HATIF_CLIENT_SECRET={server.client_secret}\n"
            "  hatif sync --full\n"
        )

    def live(server: RehearsalServer) -> None:
        if webhook_url or webhook_dir:
            live_a_minute(server, webhook_dir)

    try:
        quirks = Quirks(casing=casing, page_cap=page_cap)
        serve(spec, quirks, port, faults, announce, live, webhook_dir)
    except PortUnavailable as error:
        raise SettingsError(str(error)) from None
    return 0


for _command in COMMANDS:
    main.add_command(_command)
