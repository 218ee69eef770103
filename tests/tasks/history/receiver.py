"""A service that takes apprise's JSON over real HTTP; what it answers is a test's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

TOKEN: Final = "tokenOfTheChat"


@dataclass(slots=True)
class Receiver:
    """What it heard so far."""

    port: int
    heard: list[dict[str, str]] = field(default_factory=list)
    answers: Callable[[], int] = lambda: 200  # 0: it says nothing

    @property
    def url(self) -> str:
        return f"json://hacc:{TOKEN}@127.0.0.1:{self.port}/hook"


@contextmanager
def listening() -> Iterator[Receiver]:
    """On a port of this machine's choice."""

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            held.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            code = held.answers()
            if code:
                self.send_response(code)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Take) as server:
        held = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()
