"""Families of metrics: names begin with `distributed_evolution_`, and each sample names the platform it is about."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "distributed_evolution_"


def gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    """A family without samples yet; the first label of each is `platform_id`, then come these."""
    return GaugeMetricFamily(PREFIX + name, documentation, labels=("platform_id", *labels))


def counter(name: str, documentation: str, *labels: str) -> CounterMetricFamily:
    """The same, of what only rises while the daemon lives; the name ends in `_total`."""
    return CounterMetricFamily(PREFIX + name, documentation, labels=("platform_id", *labels))
