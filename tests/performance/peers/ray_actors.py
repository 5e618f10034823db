"""Ray: each island an actor; an actor that dies is started again, as Ray's manual has it for fault tolerance.

Actors are spread over the nodes, and small enough for one node to take all of them.
"""

from __future__ import annotations

import asyncio

import ray

from tests.performance.peers import driver
from tests.performance.peers.driver import IslandActor
from tests.performance.peers.work import ISLANDS, WORKERS


async def main() -> None:
    """Run the islands."""
    options = driver.options()
    if options.address:
        ray.init(address=options.address, log_to_driver=False, logging_level="error")
    else:
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    actor = ray.remote(num_cpus=0.25, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD")(IslandActor)
    actors = [actor.remote(options.work, seed, options.notes) for seed in range(ISLANDS)]
    driver.tell_workers(await asyncio.gather(*(each.where.remote() for each in actors)))
    await driver.ring([each.evolve.remote for each in actors])


if __name__ == "__main__":
    asyncio.run(main())
