"""What ``hatif doctor`` finds about prices: messages without a rate, rates without a message."""

from __future__ import annotations

import duckdb

from hatif.findings import Finding
from warehouse.lake.sql import home_value, scalar
from warehouse.marts import categories, price_gaps
from warehouse.settings.environment import Settings

_MOST_NAMED = 5


def findings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> list[Finding]:
    """Return what is found of prices in the last 90 days; nothing where all is well."""
    found = [_without_rate(connection), _without_charge(connection), _ambiguous(connection)]
    if settings.message_categories is not None:
        found.append(_left_out(connection))
    if settings.invoices is not None:
        found += _invoices(connection)
    return [one for one in found if one is not None]


def _without_rate(connection: duckdb.DuckDBPyConnection) -> Finding | None:
    count = scalar(connection, f"SELECT count(*) {price_gaps.WITHOUT_RATE}")
    if not count:
        return None
    rows = connection.execute(
        "SELECT coalesce(market, 'no market'), category, count(*) AS messages "
        f"{price_gaps.WITHOUT_RATE} GROUP BY ALL ORDER BY messages DESC, 1, 2 LIMIT {_MOST_NAMED}"
    ).fetchall()
    named = ", ".join(f"{market} {category} ({number:,})" for market, category, number in rows)
    text = f"{count:,} charged messages of 90 days have no rate: {named}"
    return Finding("rates", "warning", text, "Add lines to HATIF_RATE_CARD")


def _without_charge(connection: duckdb.DuckDBPyConnection) -> Finding | None:
    lines = [
        str(line)
        for (line,) in connection.execute(
            f"SELECT line {price_gaps.WITHOUT_CHARGE} ORDER BY line"
        ).fetchall()
    ]
    if not lines:
        return None
    more = f" and {len(lines) - _MOST_NAMED:,} more" if len(lines) > _MOST_NAMED else ""
    text = f"rates that priced no message in 90 days: line {', '.join(lines[:_MOST_NAMED])}{more}"
    advice = "Compare their market, category and channel with marts.message_costs"
    return Finding("unused rates", "warning", text, advice)


def _ambiguous(connection: duckdb.DuckDBPyConnection) -> Finding | None:
    count = scalar(connection, f"SELECT count(*) {price_gaps.AMBIGUOUS}")
    if not count:
        return None
    text = f"{count:,} messages of 90 days fit templates of two categories alike"
    found = connection.execute(f"{price_gaps.AMBIGUOUS_TEMPLATES} LIMIT {_MOST_NAMED}").fetchall()
    named = ", ".join(template for (template,) in found)
    advice = f"Make the texts of {named} in HATIF_TEMPLATES longer, or log categories by message"
    return Finding("templates", "warning", text, advice)


def _left_out(connection: duckdb.DuckDBPyConnection) -> Finding | None:
    if error := home_value(connection, categories.ERROR):
        text = f"HATIF_MESSAGE_CATEGORIES cannot be read: {error}"
        advice = "Correct or restore the file; what was read of it before counts until then"
        return Finding("message categories", "warning", text, advice)
    kept = home_value(connection, categories.COUNTS)
    if kept is None:
        return None
    rows, left_out, *lines = kept.split()
    if left_out == "0":
        return Finding("message categories", "ok", f"{int(rows):,} rows")
    text = f"{int(rows):,} rows; {int(left_out):,} ids have no known category, or two"
    advice = "Correct HATIF_MESSAGE_CATEGORIES"
    if lines:
        advice += f", beginning with line {lines[0].replace(',', ', ')}"
    return Finding("message categories", "warning", text, advice)


def _invoices(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Return how much of the bill is explained, by currency, and files that cannot be read."""
    found = [
        Finding("invoices", "warning", f"{file}: {error}", "Correct or remove the file")
        for file, error in connection.execute(
            "SELECT file, error FROM ops.invoice_files WHERE error IS NOT NULL ORDER BY file"
        ).fetchall()
    ]
    rows = connection.execute(
        "SELECT currency, sum(invoiced), sum(difference), sum(abs(unexplained)) "
        "FROM marts.invoice_reconciliation GROUP BY currency ORDER BY currency"
    ).fetchall()
    for currency, invoiced, difference, unexplained in rows:
        share = 100 if not invoiced else max(0, 100 - 100 * unexplained / abs(invoiced))
        text = (
            f"{invoiced:,.2f} {currency} invoiced, ours differ by {difference:,.2f}; "
            f"{share:.1f} % of the bill explained"
        )
        advice = "FROM marts.invoice_reconciliation WHERE unexplained <> 0" if unexplained else ""
        found.append(Finding("bill", "warning" if unexplained else "ok", text, advice))
    return found
