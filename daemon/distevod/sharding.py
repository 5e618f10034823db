"""From the setting `sharding` to the function that it names, tried once before anything depends on it."""

from __future__ import annotations

import importlib
import runpy
from typing import Any

from distevo.errors import said_by
from distevo.sharding import SHARDINGS, Shard, shares_of
from distevo.weighing import POPULATION
from distevod.problems.loader import described
from distevod.settings.error import SettingsError, nearest
from distevod.settings.load import Settings

ENTRY_POINT_GROUP = "distevo.sharding"


def load_sharding(settings: Settings) -> Shard:
    """The sharding function. Runs the user's code, if it is the user's.

    Raises `SettingsError` where it is not there, or does not answer as a sharding function has to.
    """
    reference = settings.sharding
    if reference in SHARDINGS:
        return SHARDINGS[reference]
    where = f"sharding {reference} ({settings.sources['sharding']})"
    try:
        found = _found(reference)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, SettingsError):
            raise SettingsError(f"{where}: {error}") from error
        raise SettingsError(f"{where} cannot be loaded: {described(error)}") from error
    if not callable(found):
        raise SettingsError(f"{where}: that is no function but {type(found).__name__}")
    shard: Shard = found
    _try(shard, where, settings)
    return shard


def _found(reference: str) -> Any:
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        known = runpy.run_path(place)
        if name not in known:
            raise SettingsError(f"there is no {name!r} in the file")
        return known[name]
    if place:
        module = importlib.import_module(place)
        if not hasattr(module, name):
            raise SettingsError(f"there is no {name!r} in the module")
        return getattr(module, name)
    from importlib.metadata import entry_points  # Costs more than all else here, and is seldom needed.

    offered = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in offered:
        return offered[name].load()
    names = sorted({*SHARDINGS, *offered})
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}; your own is given as module:function"
    raise SettingsError(f"nothing is called so; {hint}")


def _try(shard: Shard, where: str, settings: Settings) -> None:
    """Ask it of this platform and two more."""
    mine: dict[str, Any] = {
        "id": settings.id, "kind": settings.kind, "workers": settings.workers, "memory_mb": settings.memory_mb,
        "batch_size": settings.batch_size, "speed": 1.0, "is_slow": False,
    }  # fmt: skip
    others = [mine | {"id": f"{settings.id}-{n}", "workers": n, "speed": 1 / n, "is_slow": n > 1} for n in (1, 3)]
    platforms = [mine, *others]
    try:
        shares_of(shard([dict(platform) for platform in platforms], POPULATION), [one["id"] for one in platforms])
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = said_by(error) if type(error) is ValueError else described(error)
        raise SettingsError(
            f"{where}: it has to take (platforms, total_population), as distevo.sharding.Shard says, and return a "
            f"share for each platform's id; tried with three platforms: {what}"
        ) from error
