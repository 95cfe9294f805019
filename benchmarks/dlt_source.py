"""The same service read by dlt's REST source; run by `benchmarks.beside_dlt`, in dlt's own venv.

    python dlt_source.py HOW SERVICE_URL CLIENT_ID CLIENT_SECRET DIRECTORY PAGE

HOW is ``default`` (channels, conversations and all timelines, once, as dlt does it unasked),
``timelines`` (the same, lists inside a record left as JSON and files loaded as Parquet),
``textbook`` (every list, those that grow incremental by their own time, as dlt's documentation has
it) or ``tuned`` (the lists of parents incremental by the time that changes move, their children
read for what came through). Prints JSON: rows by table, seconds, peak memory in MB.
"""

import json
import resource
import sys
import time
from typing import Any

import dlt
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.rest_api import rest_api_source

Config = dict[str, Any]

#: Rows a page; the last argument.
_PAGE = int(sys.argv[6])


def _list(path: str, **params: str) -> Config:
    """A list of the service, paged by offset."""
    return {
        "path": path,
        "params": params,
        "data_selector": "items",
        "paginator": {
            "type": "offset",
            "limit": _PAGE,
            "limit_param": "MaxResultCount",
            "offset_param": "SkipCount",
            "total_path": "totalCount",
        },
    }


def _whole(path: str) -> Config:
    """A list of the service that comes in one piece."""
    return {"path": path, "data_selector": "$", "paginator": "single_page"}


def _resource(name: str, key: str, endpoint: Config, **more: Any) -> Config:
    return {
        "name": name,
        "primary_key": key,
        "write_disposition": "merge",
        "endpoint": endpoint,
        **more,
    }


def _since(path: str, **more: str) -> Config:
    return {"cursor_path": path, "initial_value": "2000-01-01T00:00:00", **more}


def _changed_at(contact: Config) -> Config:
    return contact | {"changedAt": contact.get("lastModificationTime") or contact["creationTime"]}


def _resources(how: str) -> list[Config]:
    conversations = _list(
        "/v2/conversations/service-account/channels/{resources.channels.id}",
        Sorting="LastActivityAt DESC",
    )
    timelines = _list(
        "/v2/conversations/service-account/{resources.conversations.id}/timeline",
        Sorting="CreationTime DESC",
    )
    contacts = _list("/v1/contacts")
    history = _list("/v1/contacts/{resources.contacts.id}/history")
    if how == "tuned":
        conversations["incremental"] = _since("lastActivityAt", row_order="desc")
        contacts["incremental"] = _since("changedAt")
    if how == "textbook":
        timelines["incremental"] = _since("creationTime", row_order="desc")
        history["incremental"] = _since("creationTime")
    found = [
        _resource("channels", "id", _list("/v1/channels/service-account")),
        _resource("conversations", "id", conversations),
        _resource("timelines", "eventId", timelines),
    ]
    if how in ("default", "timelines"):
        return found
    return [
        *found,
        _resource("users", "userId", _whole("/v1/workspaces/users")),
        _resource("tags", "id", _list("/v1/tags/service-account")),
        _resource("property_definitions", "id", _whole("/v1/contact-property-definitions")),
        _resource("contacts", "id", contacts, processing_steps=[{"map": _changed_at}]),
        _resource("contact_history", "id", history),
    ]


def main() -> None:
    """Load, and say what it took."""
    how, url, client_id, client_secret, directory = sys.argv[1:6]
    began = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": OAuth2ClientCredentials(
                    access_token_url=f"{url}/connect/token",
                    client_id=client_id,
                    client_secret=client_secret,
                    access_token_request_data={"scope": "VoxaAPI"},
                ),
            },
            "resources": _resources(how),
        },
        name="hatif",
        # Lists inside a record stay JSON, as ours do; without it dlt makes a table of each.
        max_table_nesting=None if how == "default" else 0,
    )
    pipeline = dlt.pipeline(
        "hatif",
        destination=dlt.destinations.duckdb(f"{directory}/dlt.duckdb"),
        dataset_name="hatif",
        pipelines_dir=f"{directory}/pipelines",
    )
    pipeline.run(source, loader_file_format=None if how == "default" else "parquet")
    seconds = time.perf_counter() - began
    counts = {
        name: count
        for name, count in pipeline.last_trace.last_normalize_info.row_counts.items()
        if not name.startswith("_dlt")
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps({"rows": counts, "seconds": seconds, "peak": peak}) + "\n")


if __name__ == "__main__":
    main()
