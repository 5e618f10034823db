"""distevo beside DEAP, pygmo, Ray and Dask, on the same work.

    make peers                       # a virtual environment for the peers, then all of it: about an hour
    make peers PEERS_ARGS=--quick

Reading order: `work` (what is evolved, with which numbers; the operators are in `tests/support`), `hand_loop` (an
island as somebody would write it), `driver` (what a peer's script prints), the peers (`deap_islands`,
`pygmo_archipelago`, `ray_actors`, `dask_actors`); then what watches them from outside: `session` (a peer's processes),
`distevo_session` (the same for distevo, through its commands), `contenders`, `measures`, `pairs`, `losses`, `table`,
`__main__`.

The peers' scripts run in `build/peers-venv`, and import nothing of distevo's.
"""
