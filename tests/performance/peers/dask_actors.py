"""Dask: each island an actor on a worker of `distributed`, with nannies that start a worker again that dies."""

from __future__ import annotations

import asyncio

from distributed import Client, LocalCluster

from tests.performance.peers import driver
from tests.performance.peers.driver import IslandActor
from tests.performance.peers.work import ISLANDS, WORKERS


async def main() -> None:
    """Run the islands."""
    options = driver.options()
    if options.address:
        await evolve(options, options.address)
        return
    async with LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, asynchronous=True
    ) as cluster:
        await evolve(options, cluster)


async def evolve(options: driver.Options, cluster: LocalCluster | str) -> None:
    """The same on a cluster."""
    async with Client(cluster, asynchronous=True) as client:
        await client.wait_for_workers(WORKERS)
        workers = list((await client.scheduler.identity())["workers"])
        actors = await asyncio.gather(
            *(
                client.submit(
                    IslandActor, options.work, seed, options.notes, actor=True, workers=workers[seed % len(workers)]
                )
                for seed in range(ISLANDS)
            )
        )
        driver.tell_workers(sorted({await each.where() for each in actors}))
        await driver.ring([each.evolve for each in actors])


if __name__ == "__main__":
    asyncio.run(main())
