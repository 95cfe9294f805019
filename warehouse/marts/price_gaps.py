"""Where prices have gaps: charges without a rate, rates without a charge, ambiguous templates.

Each is a SELECT over the lake, for the checks and for the doctor. They look at the last 90 days.
"""

from __future__ import annotations

_RECENT = "charged_at > now() - INTERVAL 90 DAY"

#: Messages that are charged, and no rate of the card fits; of unknown category, no rate of any. Of
#: these a price may be missing, too, because their rates are in several currencies.
WITHOUT_RATE = (
    f"FROM marts.message_costs c WHERE confidence = 'flagged' AND {_RECENT} "
    "AND currency IS NULL AND cost_high IS NULL AND EXISTS (FROM ops.rate_card) "
    "AND (category <> 'unknown' OR NOT EXISTS (FROM ops.rate_card r "
    "WHERE r.effective_from <= c.charged_at AND r.from_volume = 0 "
    "AND r.market IN ('*', c.market) AND r.country IN ('*', c.country) "
    "AND r.message_type IN ('*', c.message_type) AND r.channel IN ('*', c.channel_id) "
    "AND (r.category <> 'service' OR c.message_type IS NULL)))"
)
#: Messages whose text two templates of different categories fit alike.
AMBIGUOUS = f"FROM marts.message_costs WHERE category_from = 'ambiguous' AND {_RECENT}"
#: The names of these templates, of some messages.
AMBIGUOUS_TEMPLATES = (
    "SELECT DISTINCT template FROM (SELECT p.template, "
    "rank() OVER (PARTITION BY m.message_key ORDER BY p.weight DESC) AS place "
    f"FROM core.messages m JOIN ops.templates p ON folded_text(m.body) LIKE p.pattern ESCAPE '\\' "
    f"WHERE m.message_key IN (SELECT message_key {AMBIGUOUS} LIMIT 100)) WHERE place = 1 ORDER BY 1"
)
#: Rates that have been in force for 90 days, while messages were charged, and priced none of them.
#: A rate that another one has followed by then is none of these, nor is a volume not reached yet.
WITHOUT_CHARGE = (
    "FROM ops.rate_card r WHERE r.effective_from <= now() - INTERVAL 90 DAY "
    "AND r.from_volume = 0 "
    f"AND EXISTS (FROM marts.message_costs WHERE {_RECENT}) "
    "AND NOT EXISTS (FROM ops.rate_card n WHERE n.effective_from > r.effective_from "
    "AND n.effective_from <= now() - INTERVAL 90 DAY AND n.from_volume = 0 "
    "AND n.market = r.market AND n.country = r.country AND n.category = r.category "
    "AND n.message_type = r.message_type AND n.channel = r.channel) "
    "AND NOT EXISTS (FROM (SELECT DISTINCT rate_effective_from, currency, rate, market, country, "
    f"category, message_type, channel_id FROM marts.message_costs WHERE {_RECENT} "
    "AND rate IS NOT NULL) c "
    "WHERE c.rate_effective_from = r.effective_from AND c.currency = r.currency "
    "AND c.rate = r.rate AND r.market IN ('*', c.market) AND r.country IN ('*', c.country) "
    "AND (r.category IN ('*', c.category) OR c.category = 'unknown') "
    "AND r.message_type IN ('*', c.message_type) AND r.channel IN ('*', c.channel_id))"
)
