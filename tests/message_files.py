"""What a workspace knows of its own messages: its templates, and a log of what it sent."""

from __future__ import annotations

import csv
from pathlib import Path

from rehearsal import RehearsalServer


def write_message_files(server: RehearsalServer, folder: Path) -> dict[str, str]:
    """Write both into a folder; return their paths by the setting that names them."""
    templates, log = folder / "templates.csv", folder / "sent.csv"
    with templates.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        write(("template", "category", "language", "text"))
        for one in server.templates:
            write((one.name, one.category, one.language, one.text))
    logged = [
        f"{event.id},{','.join(sent.plan.logged)}"
        for sent in server.world.campaigns
        if sent.plan.logged
        for event in sent.events
    ]
    log.write_text("\n".join(("message_id,category,template", *logged)))
    return {"templates": str(templates), "message_categories": str(log)}
