"""The HTTP side of the metrics page."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder
from prometheus_client.registry import Collector

MOST_REQUESTS = 16
"""At a time. Whoever comes then is hung up on, so that nobody can use up the daemon's threads and descriptors."""
REQUEST_SECONDS = 10.0
"""How long one may take in all, which is as long as Prometheus waits: whoever says a byte now and then is as bad as
who says nothing."""


class PortTaken(Exception):  # noqa: N818 - says what is wrong
    """The port cannot be listened on."""


class MetricsPage:
    """Serves `/metrics` from threads of its own, until the process ends."""

    def __init__(self, port: int, collector: Collector) -> None:
        """Listen on `port` of all addresses; 0 picks a free one. Raises PortTaken."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(collector)
        try:
            server = make_server("", port, _for_anybody(make_wsgi_app(registry)), _Server, _Handler)
        except OSError as error:
            raise PortTaken(f"port {port} cannot be listened on: {error.strerror}") from error
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        self.port: int = server.server_port


def _for_anybody(app: Callable[..., Any]) -> Callable[..., Any]:
    """The same page, in its plain form for who accepts a version that is no number: of these the client library raises,
    and each such request of a stranger would put a traceback into the log."""

    def page(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            choose_encoder(environ.get("HTTP_ACCEPT", ""))
        except (TypeError, ValueError):
            del environ["HTTP_ACCEPT"]
        return app(environ, start_response)

    return page


class _Server(ThreadingWSGIServer):
    """A thread for each request, and neither requests nor their time without end."""

    request_queue_size = 128
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._room = threading.BoundedSemaphore(MOST_REQUESTS)
        self._ends: dict[socket.socket, float] = {}
        """When each request has taken long enough."""

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not by its bases, which ask for this machine's name: that may fail, or take as long as a name server likes.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            self._ends[request] = time.monotonic() + REQUEST_SECONDS
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no thread is left for it
                self._leave(request)
                self.shutdown_request(request)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: Any) -> None:
        del self._ends[request]
        self._room.release()

    def service_actions(self) -> None:
        """Hang up on whoever is not done by now; called twice a second."""
        now = time.monotonic()
        for request, end in self._ends.copy().items():
            if end < now:
                with suppress(OSError):  # it ended this moment
                    request.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):  # it was hung up on, or left
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
        """Say nothing: a scrape every few seconds is no news."""
