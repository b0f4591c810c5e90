"""A receiver of webhooks that records events and sometimes fails."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

#: Every event with a number divisible by this is refused at its first delivery.
REFUSED = 9


class Receiver:
    """Listens on this machine; ``secret`` is set after the endpoint is created.

    ``bodies`` are the bodies by webhook-id, ``times`` the number of deliveries; ``forged`` counts wrong signatures.
    """

    def __init__(self) -> None:
        self.secret = ""
        self.bodies: dict[str, set[bytes]] = {}
        self.times: dict[str, int] = {}
        self.forged = 0
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver._take(dict(self.headers), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            try:
                Webhook(self.secret).verify(body, {name.lower(): value for name, value in headers.items()})
            except WebhookVerificationError:
                self.forged += 1
                return 400
            name = headers["webhook-id"]
            self.bodies.setdefault(name, set()).add(body)
            self.times[name] = self.times.get(name, 0) + 1
            if self.times[name] == 1 and len(self.times) % REFUSED == 0:
                return 503
            return 204
