"""A child program that does nothing but be ready: `standin_program.py NAME STAGE PORT FOLDER`.

Files in FOLDER steer it: `NAME.broken` makes it exit at once, `NAME.deaf` makes it ignore SIGTERM. It notes its
starts in `NAME.starts`: a line with its pid, and whether the pid before it was still alive.
"""

from __future__ import annotations

import http.server
import os
import signal
import sys
from pathlib import Path


class Answer(http.server.BaseHTTPRequestHandler):
    """Says that the stage is ready."""

    def do_GET(self) -> None:
        body = f'watchtime_ready{{stage="{sys.argv[2]}"}} 1.0\n'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[4])
    starts = folder / f"{name}.starts"
    before = starts.read_text().split() if starts.exists() else []
    overlap = "overlap" if len(before) > 1 and Path(f"/proc/{before[-2]}").exists() else "alone"
    with starts.open("a") as file:
        file.write(f"{os.getpid()} {overlap}\n")
    if (folder / f"{name}.broken").exists():
        sys.exit(f"{name} cannot start: this is a test")
    deaf = (folder / f"{name}.deaf").exists()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else lambda *_: sys.exit(0))
    server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Answer)
    server.serve_forever()


if __name__ == "__main__":
    main()
