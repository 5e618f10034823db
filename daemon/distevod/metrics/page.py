"""The HTTP side of the metrics page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.registry import Collector


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
            server, _ = start_http_server(port, registry=registry)
        except OSError as error:
            raise PortTaken(f"port {port} cannot be listened on: {error.strerror}") from error
        self.port: int = server.server_port
