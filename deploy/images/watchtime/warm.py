"""Imports all that the image's commands import, while it is built.

What was trimmed too much fails here. And it leaves the modules compiled, which a container with a read-only root could
not keep: without that each start and each health check takes twice as long.
"""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import importlib

import boto3
import duckdb
import pyarrow.parquet  # noqa: F401 - only compiled

from deploy.cli import COMMANDS

if __name__ == "__main__":
    for name in ("gateway.__main__", "streams.__main__", "sinks.__main__", "deploy.setup"):
        importlib.import_module(name)
    for command in COMMANDS.values():
        importlib.import_module(command.module)
    boto3.client("s3", region_name="us-east-1")
    duckdb.sql("SELECT 1").fetchall()
