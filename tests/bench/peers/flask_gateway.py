"""The replaced gateway, written from the contract: Flask's development server, one line appended to a file an event.

Arguments: port, file. The file stands for the delivery stream.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from rules import verdict

app = Flask(__name__)
delivered = Path(sys.argv[2]).open("ab", buffering=0)  # noqa: SIM115 (open as long as the process lives)
lock = threading.Lock()


@app.after_request
def allow_origins(response: Response) -> Response:
    """Answer as a page of any origin needs it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "content-type"
    return response


@app.get("/health")
def health() -> Response:
    """Live while the process lives."""
    return jsonify(ok=True)


@app.post("/ingest")
def ingest() -> tuple[Response, int]:
    """Check each event and deliver the good ones."""
    body: Any = request.get_json(force=True, silent=True)
    if body is None:
        return jsonify(ok=False, error="Invalid JSON"), 400
    events = body["events"] if isinstance(body, dict) and isinstance(body.get("events"), list) else [body]
    verdicts = [verdict(event) for event in events]
    good = [json.dumps(event) + "\n" for event, error in zip(events, verdicts, strict=True) if error is None]
    with lock:
        delivered.write("".join(good).encode())
    errors = [{"index": number, "error": error} for number, error in enumerate(verdicts) if error]
    return jsonify(ok=True, accepted=len(good), rejected=len(errors), errors=errors[:10]), 200


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True, debug=False)
