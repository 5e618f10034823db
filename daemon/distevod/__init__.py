"""What a platform runs.

Reading order: `daemon` (from start to end), `boot` (what is in between), `runtime` (the shell around the node), `store`
(where all is kept), `checkpoints`, `evolution` (workers and what is in them), `problems` (that ship), `service` and
`control` (what others ask for), `submission` and `inbox` (how a run comes into the store, and what is asked for to the
coordinator), `settings`, `presets`, `paths`, `state_lock`, `logs`, `metrics`, `sdnotify`.
"""
