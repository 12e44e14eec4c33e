"""The one way out when exactness is in doubt: say why, and end the process at once.

A transaction that is neither known to be written nor known not to be can only be settled by the fencing and the
restore of a new owner, so nothing is retried here; whoever supervises the process starts it again.
"""

from __future__ import annotations

import os
from typing import Final, NoReturn

import structlog

EXIT_CODE: Final = 70


def end_process(what: str, error: BaseException) -> NoReturn:
    """Log what failed and end the process without any clean-up."""
    structlog.get_logger().critical(what, error=str(error) or type(error).__name__, exc_info=error)
    os._exit(EXIT_CODE)
