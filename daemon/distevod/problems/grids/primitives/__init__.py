"""The primitives by theme; importing this package registers them all.

The order of these imports is the order in which the sweep tries primitives, and nothing else depends on it.
"""

from distevod.problems.grids.primitives import (
    colours,
    combining,
    geometry,
    lines,
    masks,
    measures,
    moves,
    objects,
    patterns,
    pieces,
    relations,
    shapes,
)

__all__ = [
    "colours",
    "combining",
    "geometry",
    "lines",
    "masks",
    "measures",
    "moves",
    "objects",
    "patterns",
    "pieces",
    "relations",
    "shapes",
]
