"""Evolution: what happens inside a worker process, and the pool of those processes.

Reading order: `archive` (what an island keeps), `genetic` (how it makes new programs), `island` (its generation
loop), `wire` (what worker and daemon say to each other), `page` (the shared page that names the program under
evaluation), `worker` (the process), `launcher` (how it starts), `pool` (all of them, as the daemon sees them).
"""
