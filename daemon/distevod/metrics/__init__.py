"""The metrics page: what a daemon tells Prometheus.

Read `families.py` (names and labels), `figures.py` (which figures there are, and where they come from),
`counted_store.py` (the one thing that is counted for this page alone), `loop_collector.py` (how a scrape, which comes
in a thread of its own, gets at what belongs to the event loop), then `page.py` (the HTTP side).

Nothing is imported here: the client library takes longer than all else of a start, and evolution need not wait for it.
"""
