"""The metrics page: one Prometheus scrape for each daemon, with its process's own figures."""

from __future__ import annotations


class MetricsPort(Exception):  # noqa: N818 - says what is wrong
    """The port cannot be listened on."""


class Metrics:
    """Serves `/metrics` from a daemon thread, until the process ends."""

    def __init__(self, port: int) -> None:
        """Listen on `port` of all addresses; 0 picks a free one. Raises MetricsPort."""
        # Imported here: it takes longer than all else of a start, and evolution need not wait for it.
        from prometheus_client import start_http_server

        try:
            server, _ = start_http_server(port)
        except OSError as error:
            raise MetricsPort(f"port {port} cannot be listened on: {error.strerror}") from error
        self.port: int = server.server_port
