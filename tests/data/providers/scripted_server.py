"""A small HTTP server in a thread of the test that answers what a function tells it to."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Question:
    path: str
    parameters: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What to send; ``cut`` bytes are left out at the end, announced or not."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    announced: bool = False
    drop: bool = False


class ScriptedServer:
    """Serves as long as it is entered; ``asked`` lists all questions."""

    def __init__(self, reply: Callable[[Question], Answer]) -> None:
        self.reply, self.asked = reply, list[Question]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                parameters = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                question = Question(parts.path, parameters, dict(self.headers.items()))
                outer.asked.append(question)
                answer = outer.reply(question)
                if answer.drop:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                content = answer.content if isinstance(answer.content, bytes) else json.dumps(answer.content).encode()
                sent = content[: len(content) - answer.cut]
                self.send_response(answer.status)
                headers = {"Content-Type": "application/json"} | answer.headers
                headers["Content-Length"] = str(len(content) if answer.announced else len(sent))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
