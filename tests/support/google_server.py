"""A server on this machine that answers as Google's do: tokens for keys, a bucket's settings, refusals.

It does none of what a store does; that is the emulator's part. Answers are set by the test, by path.
"""

from __future__ import annotations

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class GoogleServer:
    """Serves from a thread of its own; `requests` are (method, path) of all that came."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        """JSON by the end of the path, without the query."""
        self.clock_ahead = 0.0
        """Seconds that the `Date` in its answers is ahead of this machine's clock."""
        self.tells_time = True
        """Whether there is a `Date` in them at all."""
        self.requests: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def gives_tokens(self) -> None:
        """From now on whoever asks gets one."""
        self.answers["/token"] = 200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}

    def refuses_tokens(self, error: str, description: str) -> None:
        """As Google says it."""
        self.answers["/token"] = 400, {"error": error, "error_description": description}

    def refuses(self, path: str, status: int, message: str, reason: str = "forbidden") -> None:
        """An error of the storage's JSON interface."""
        errors = [{"message": message, "domain": "global", "reason": reason}]
        self.answers[path] = status, {"error": {"code": status, "message": message, "errors": errors}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate((time.time() if timestamp is None else timestamp) + served.clock_ahead, usegmt=True)

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                served.requests.append((self.command, path))
                found = (answer for end, answer in served.answers.items() if path.endswith(end))
                status, content = next(found, (404, {"error": {"code": 404, "message": "Not Found"}}))
                body = json.dumps(content).encode()
                if served.tells_time:
                    self.send_response(status)
                else:
                    self.send_response_only(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - as http.server has it

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def service_account_key(server: str, email: str = "runner@project.iam.gserviceaccount.com") -> dict[str, str]:
    """The JSON key of a service account whose tokens come from `server`; a new RSA key each time."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1234567890abcdef",
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": "123",
        "token_uri": f"{server}/token",
    }
