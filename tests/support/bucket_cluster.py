"""A cluster whose store is a bucket, on a host of its own behind a proxy that makes things go wrong."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from distevod.store import open_store
from tests.support.cluster import Cluster
from tests.support.daemon import Daemon
from tests.support.gcs import Emulator, Proxy
from tests.support.hosts import Host, Network

EMULATOR = "STORAGE_EMULATOR_HOST"


class BucketDaemon(Daemon):
    """A daemon that finds the bucket, and makes checkpoints as often as in a folder."""

    proxy: Proxy

    @property
    def environ(self) -> dict[str, str]:
        return super().environ | {EMULATOR: self.proxy.url}

    @property
    def command(self) -> list[str]:
        return ["tests.support.bucket_daemon" if word == "distevo_ctl.daemon" else word for word in super().command]


class BucketCluster(Cluster):
    """As a cluster with a folder. What the tests look at they read past the proxy."""

    def __init__(self, folder: Path, network: Network, emulator: Emulator, *options: str) -> None:
        super().__init__(folder, *options)
        self._network, self._bucket_host = network, network.host(f"bucket-{folder.name}"[-20:])
        bucket = emulator.bucket()
        self.url = f"gs://{bucket}/cluster"
        before = os.environ.get(EMULATOR)
        os.environ[EMULATOR] = emulator.url
        try:
            self.store = open_store(self.url)
        finally:
            os.environ.pop(EMULATOR)
            if before is not None:
                os.environ[EMULATOR] = before
        with self._bucket_host.entered():
            listener = socket.create_server((self._bucket_host.address, 0), backlog=512)
        self.proxy = Proxy(emulator.port, listener)
        self.proxy.latency = 0.05

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, value, trace)
        finally:
            self.proxy.__exit__(kind, value, trace)

    def make_daemon(self, host: Host, *options: str) -> Daemon:
        daemon = BucketDaemon(
            self.folder / host.name, "--store", self.url, *self.options, *options, id=host.name, prefix=host.prefix
        )
        daemon.proxy = self.proxy
        return daemon

    def cut_store(self, member: str) -> None:
        self._network.cut(self._bucket_host, self.hosts[member])

    def mend_store(self, member: str) -> None:
        self._network.lose(0, self._bucket_host, self.hosts[member])
