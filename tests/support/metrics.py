"""The metrics page of a daemon, as a scraper sees it."""

from __future__ import annotations

import re
import urllib.request

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemon import Daemon, wait_for

PREFIX = "distributed_evolution_"


def page_url(daemon: Daemon) -> str:
    """Where the page of this boot is; waits for it."""

    def urls() -> list[str]:
        return re.findall(r"metrics url=(\S+)", daemon.log.read_text().rpartition(" ready ")[2])

    wait_for(urls, "the metrics page")
    return urls()[-1]


def page_text(daemon: Daemon) -> str:
    """The page."""
    with urllib.request.urlopen(page_url(daemon), timeout=10) as answer:
        return str(answer.read().decode())


class Scrape:
    """One scrape. Names are given without `distributed_evolution_`."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}

    def figures(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of a name by the values of these labels, which must be all that they have."""
        name = PREFIX + name
        family = self.families[name.removesuffix("_total")]
        found = {}
        for sample in family.samples:
            assert (sample.name, set(sample.labels)) == (name, {"platform_id", *labels})
            found[sample.labels["platform_id"], *(sample.labels[label] for label in labels)] = sample.value
        return found

    def figure(self, name: str, **labels: str) -> float:
        """The one sample with these labels, whichever platform it is about."""
        found = [value for (_, *values), value in self.figures(name, *labels).items() if values == [*labels.values()]]
        (value,) = found
        return value


def scrape(daemon: Daemon) -> Scrape:
    """Scrape a daemon now."""
    return Scrape(page_text(daemon))
