"""The channel into a running supervisor: a Unix socket in the data folder that only its owner may use.

A request is one JSON line, {"do": …, "names": […]}; the answer is JSON lines, the last of which has "done": true, or
"error" with a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from deploy.errors import DeployError
from deploy.local.supervisor import Supervisor

SOCKET: Final = "control.sock"


class NotRunningError(DeployError):
    """No supervisor runs in this data folder."""


class CutOffError(NotRunningError):
    """The supervisor ended before it had answered."""


@contextlib.asynccontextmanager
async def serve(data_dir: Path, supervisor: Supervisor) -> AsyncIterator[None]:
    """Answer requests while the context lasts."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(message: dict[str, Any]) -> None:
            writer.write(json.dumps(message).encode() + b"\n")

        # A client that went away does not stop what it asked for.
        with contextlib.suppress(ConnectionError):
            say(await _obey(supervisor, json.loads(await reader.readline()), say))
            await writer.drain()
        writer.close()

    (data_dir / SOCKET).unlink(missing_ok=True)
    with _reachable(data_dir) as path:
        server = await asyncio.start_unix_server(answer, path)
    (data_dir / SOCKET).chmod(0o600)
    try:
        yield
    finally:
        server.close()
        (data_dir / SOCKET).unlink(missing_ok=True)


async def _obey(supervisor: Supervisor, request: dict[str, Any], say: Any) -> dict[str, Any]:  # noqa: ANN401 - a callback
    unlisten = supervisor.listen(say)
    try:
        keepers = supervisor.select(request.get("names", []))
        match request["do"]:
            case "describe":
                return {"done": True, "children": [keeper.describe() for keeper in keepers]}
            case "start":
                await supervisor.start(supervisor.with_needs(keepers))
                if supervisor.stopping.is_set():
                    return {"error": "the stack is being stopped"}
            case "stop":
                await supervisor.stop(keepers)
            case "shutdown":
                supervisor.request_stop()
            case other:
                return {"error": f"the supervisor does not know {other!r}; is it of another version?"}
    except DeployError as error:
        return {"error": str(error)}
    finally:
        unlisten()
    return {"done": True}


def ask(data_dir: Path, do: str, names: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Send a request and yield the lines of the answer; CutOffError when the last of them does not come."""
    told: dict[str, Any] = {}
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _reachable(data_dir) as path:
                connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(f"no stack is running in {data_dir}; start one with `watchtime up`") from None
        with contextlib.suppress(ConnectionError), connection.makefile("rb") as lines:
            connection.sendall(json.dumps({"do": do, "names": names or []}).encode() + b"\n")
            for line in lines:
                told = json.loads(line)
                yield told
    if not {"done", "error"} & told.keys():
        raise CutOffError(f"the supervisor in {data_dir} ended before it had answered; see logs/supervisor.log there")


@contextlib.contextmanager
def _reachable(data_dir: Path) -> Iterator[str]:
    """Yield a short name of the socket: the kernel takes 107 bytes, which a deep folder passes easily."""
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        by_handle = f"/proc/self/fd/{folder}"
        yield f"{by_handle}/{SOCKET}" if Path(by_handle).exists() else str(data_dir / SOCKET)
    finally:
        os.close(folder)
