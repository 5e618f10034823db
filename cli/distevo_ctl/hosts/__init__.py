"""Hosts of their own on one machine: network namespaces joined by a bridge, each with a fixed part of the processors.

Needs root, iproute2 and util-linux. No namespace is joined to the machine's own network. To be read in this order:
`tools` and `owners`, what the rest stands on; `namespaces` and `groups`, the two parts of a host; `bridge`, what joins
them; `host`; `leftovers`, what a killed process leaves behind; `requirements`, what a machine lacks.
"""
