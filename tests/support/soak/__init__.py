"""A cluster that faults strike one after the other, and what has to be true of it all the while.

In the reading order: `platforms` (six of them, of three kinds), `faults` (what strikes them, drawn from a seed),
`stream` (the runs), `judge` (what must never be), `orphans` (how long islands are without an owner), `gauges` (memory,
messages, requests), `timeline` (what happened when).
"""
