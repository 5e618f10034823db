"""The HTTP side of the metrics page."""

from __future__ import annotations

import threading
from contextlib import suppress
from socket import socket
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

MOST_REQUESTS = 16
"""At a time. Whoever comes then is hung up on, so that nobody can use up the daemon's threads and descriptors."""
SILENT_SECONDS = 5.0
"""How long a client may say or take nothing."""


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
            server = make_server("", port, make_wsgi_app(registry), _Server, _Handler)
        except OSError as error:
            raise PortTaken(f"port {port} cannot be listened on: {error.strerror}") from error
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        self.port: int = server.server_port


class _Server(ThreadingWSGIServer):
    """A thread for each request, and not without end."""

    request_queue_size = 128

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._room = threading.BoundedSemaphore(MOST_REQUESTS)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()


class _Handler(WSGIRequestHandler):
    timeout = SILENT_SECONDS

    def handle(self) -> None:
        with suppress(OSError):  # it timed out, or left
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
        """Say nothing: a scrape every few seconds is no news."""
