"""Logs of every stage: JSON lines on standard error, the libraries' own included.

No ids of people or videos go into them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

import structlog


def configure_logs(least_levels: Mapping[str, int]) -> None:
    """Send structlog's and the standard library's records through one JSON renderer.

    `least_levels`: libraries that repeat in every try what a stage's own line says once, and the level from which on
    to hear them.
    """
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=steps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name, level in least_levels.items():
        logging.getLogger(name).setLevel(level)
