"""This project's own gateway without validation: every event is accepted. Run like `python -m gateway`."""

from __future__ import annotations

import sys

from gateway import intake
from gateway.__main__ import main

if __name__ == "__main__":
    intake.verdict = lambda _event, _size_bytes: None
    sys.exit(main())
