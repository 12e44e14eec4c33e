"""The lake in DuckDB: a view for each daily table over the files as they are, and `raw` over the archived events.

These name the columns that Athena's tables name, and the views of views.sql are made over them from the same text, so
that a query works in both. A table without files is there too, empty. Nothing is copied; every query reads the files
anew.
"""

# ruff: noqa: S608
# (statements are put together from the contract's names and quoted literals, see `literal`)

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import boto3
import duckdb
import duckdb_extension_httpfs
import orjson

from athena.questions import literal
from athena.rereading import reread
from athena.statements import VIEWS_FILE, statements
from sinks.lake import Lake
from streams.contract.rows import TABLES, Table

#: Fields of an event that `raw` shows as columns, as Athena's table has them: text where no rule of acceptance asks
#: for another type. `event` holds the whole line; the view `events` has the fields typed.
RAW_COLUMNS: Final = {
    "event_id": "VARCHAR",
    "event_ts": "BIGINT",
    "event_type": "VARCHAR",
    "received_at": "BIGINT",
    "client_id": "VARCHAR",
    "client_session_id": "VARCHAR",
    "tab_id": "VARCHAR",
    "video_id": "VARCHAR",
    "video_session_id": "VARCHAR",
    "channel_name": "VARCHAR",
    "channel_id": "VARCHAR",
    "channel_handle": "VARCHAR",
    "channel_url": "VARCHAR",
    "url": "VARCHAR",
    "watch_ms_delta": "VARCHAR",
    "watch_mode": "VARCHAR",
    "is_visible": "VARCHAR",
    "player_state": "VARCHAR",
    "reason": "VARCHAR",
    "ad": "VARCHAR",
    "content_ms": "VARCHAR",
    "fg_reason": "VARCHAR",
    "page_type": "VARCHAR",
    "seq": "VARCHAR",
    "seq_epoch": "VARCHAR",
    "tz_offset_min": "VARCHAR",
}


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory that has the lake's views."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    # In a session that it takes for interactive DuckDB draws on standard output, where programs read the rows.
    connection.execute("SET enable_progress_bar = false")
    base = _base(lake)
    if base.startswith("s3://"):
        _open_s3(connection, lake)
    made = [f"CREATE VIEW {table.name} AS {_daily(connection, table, base)}" for table in TABLES]
    made.append(f"CREATE VIEW raw AS {_raw(connection, base)}")
    made += [view.text for view in statements(VIEWS_FILE.read_text())]
    for statement in made:
        # A view looks into files for their columns.
        reread(partial(connection.execute, statement))
    return connection


def _base(lake: Lake) -> str:
    """Return how paths in the lake begin, without wildcards of its own."""
    parts = urlsplit(lake.url)
    if parts.scheme == "file":
        return _no_wildcards(str(Path(unquote(parts.path))))
    return _no_wildcards(lake.url.rstrip("/"))


def _no_wildcards(path: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _open_s3(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    # The extension comes with a package: nothing is downloaded when a query runs.
    folder = Path(duckdb_extension_httpfs.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"LOAD {literal(str(folder / 'httpfs.duckdb_extension'))}")
    key = _credentials(lake)
    options = {"KEY_ID": key.key_id, "SECRET": key.secret, "REGION": lake.region}
    if key.token:
        options["SESSION_TOKEN"] = key.token
    if lake.s3_endpoint:
        endpoint = urlsplit(lake.s3_endpoint)
        options |= {"ENDPOINT": endpoint.netloc, "URL_STYLE": "path"}
        options["USE_SSL"] = "true" if endpoint.scheme == "https" else "false"
    values = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
    connection.execute(f"CREATE SECRET lake (TYPE s3, {values})")


class _Key(NamedTuple):
    key_id: str
    secret: str
    token: str


def _credentials(lake: Lake) -> _Key:
    if lake.access_key:
        return _Key(lake.access_key, lake.secret_key, "")
    found = boto3.Session().get_credentials()
    if found is None:
        return _Key("", "", "")  # a public bucket, or an error that names the bucket
    frozen = found.get_frozen_credentials()
    return _Key(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")


def _daily(connection: duckdb.DuckDBPyConnection, table: Table, base: str) -> str:
    """Return the query over a table's files of both formats."""
    columns = ", ".join(table.columns)
    types = {name: "VARCHAR" if table.is_text(name) else "BIGINT" for name in table.columns}
    sources = []
    folder = f"{base}/analytics/{table.name}/dt=*"
    if _any(connection, f"{folder}/*.parquet"):
        sources.append(
            f"SELECT {columns} FROM read_parquet({literal(f'{folder}/*.parquet')}, "
            "hive_partitioning = true, hive_types = {'dt': VARCHAR})",
        )
    if _any(connection, f"{folder}/*.jsonl"):
        struct = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
        sources.append(
            f"SELECT {columns} FROM read_json({literal(f'{folder}/*.jsonl')}, format = 'newline_delimited', "
            f"hive_partitioning = false, columns = {{{struct}}})",
        )
    return " UNION ALL ".join(sources) or _empty(types)


def _raw(connection: duckdb.DuckDBPyConnection, base: str) -> str:
    """Return the query over the archived lines; a line that is no JSON has a null `event`."""
    pattern = f"{base}/raw/*/*/*/*.ndjson.gz"
    if not _any(connection, pattern):
        return _empty({"dt": "VARCHAR", "day": "VARCHAR", **RAW_COLUMNS, "event": "JSON"})
    # One pass over each line.
    shape = orjson.dumps(RAW_COLUMNS).decode()
    return (
        r"SELECT regexp_replace(filename, '^.*/raw/(\d{4})/(\d{2})/(\d{2})/[^/]*$', '\1-\2-\3') AS dt, "
        "replace(dt, '-', '/') AS day, "
        f"unnest(json_transform(json, {literal(shape)})), json AS event "
        f"FROM read_ndjson_objects({literal(pattern)}, filename = true, ignore_errors = true, "
        "compression = 'gzip')"
    )


def _any(connection: duckdb.DuckDBPyConnection, pattern: str) -> bool:
    """Tell whether a file fits a pattern; reading none of them is an error to DuckDB."""
    return connection.execute("SELECT file FROM glob(?) LIMIT 1", [pattern]).fetchone() is not None


def _empty(types: dict[str, str]) -> str:
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in types.items())
    return f"SELECT {columns} WHERE false"
