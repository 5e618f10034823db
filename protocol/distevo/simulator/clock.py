"""The clock of one platform: it is not the others', and it runs fast or slow."""

from __future__ import annotations


class Clock:
    """Local time as a line over virtual time, both in seconds. It goes on while the platform is suspended."""

    __slots__ = ("_offset", "_rate")

    def __init__(self, offset: float, rate: float) -> None:
        self._offset, self._rate = offset, rate

    def read(self, moment: float) -> float:
        """What it shows at a moment of virtual time."""
        return self._offset + self._rate * moment

    def moment(self, shown: float) -> float:
        """The moment of virtual time at which it shows this."""
        return (shown - self._offset) / self._rate
