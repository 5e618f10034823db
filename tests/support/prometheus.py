"""A real Prometheus that scrapes real daemons."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pytest

from tests.support.daemon import wait_for

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus here: apt-get install --no-install-recommends prometheus",
)

CONFIG = """
global: {{evaluation_interval: 1s}}
rule_files: {rules}
scrape_configs:
  - job_name: 'distributed_evolution'
    scrape_interval: 1s
    static_configs:
      - targets: {targets}
"""


class Prometheus:
    """The server, in a folder of its own. Targets are `host:port`."""

    def __init__(self, folder: Path, targets: list[str], rules: list[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yml"
        names = orjson.dumps([str(path) for path in rules]).decode()
        config.write_text(CONFIG.format(rules=names, targets=orjson.dumps(targets).decode()))
        self._url = ""
        self.log = folder / "prometheus.log"
        self._command = [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._is_ready, "Prometheus to be ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def query(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """What an expression is now, by the values of these labels."""
        found = self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return {tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1]) for one in found}

    def alerts(self) -> set[tuple[str, str]]:
        """(alert, platform) of those that are pending or fire."""
        labels = [alert["labels"] for alert in self._get("alerts")["alerts"]]
        return {(found["alertname"], found.get("platform_id", "")) for found in labels}

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"Prometheus ended with {self._process.returncode}:\n{self.log.read_text()}")
        found = re.search(r'"Listening on" address=(\S+)', self.log.read_text())
        if found is None:
            return False
        self._url = f"http://{found[1]}"
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
            return orjson.loads(answer.read())["data"]
