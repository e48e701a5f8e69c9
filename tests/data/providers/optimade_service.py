"""The reference server of OPTIMADE over its in-memory store; run as a script, in a process of its own.

Arguments: file with entries (JSON lines), port, file for the requests it gets, pages it serves before it dies (0: all).
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from optimade.server.config import ServerConfig
from optimade.server.create_app import create_app


def main(entries: Path, port: int, log: Path, pages: int) -> None:
    config = ServerConfig(
        insert_from_jsonl=entries,
        insert_test_data=False,
        database_backend="mongomock",
        log_dir=log.parent / "logs",
        log_level="error",
    )
    app: Any = create_app(config)
    served = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal served
        if scope["type"] == "http" and scope["path"].endswith("/structures"):
            if pages and served == pages:
                os._exit(3)  # the machine is gone
            served += 1
            with log.open("a") as file:
                file.write(scope["query_string"].decode() + "\n")
        await app(scope, receive, send)

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", port))
        uvicorn.Server(uvicorn.Config(counting, log_level="error", lifespan="off")).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
