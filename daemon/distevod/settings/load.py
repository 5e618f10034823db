"""The settings of one daemon, gathered: flags > environment > YAML file (its entry > for all) > preset > default."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distevo.sharding import ISLANDS_PER_4_GB, island_room
from distevod import hardware, paths
from distevod.presets import NETWORK_PRESETS, PLATFORM_PRESETS, detect_kind
from distevod.settings.error import SettingsError, unknown
from distevod.settings.table import OTHER_VARIABLES, SETTINGS, WORKER_MEMORY_MB, Setting
from distevod.settings.value import Function, Given, Location

if TYPE_CHECKING:
    from distevod.settings.file import SettingsFile

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_PREFIX = "DISTEVO_"


class Settings(NamedTuple):
    """Every setting with its value; meanings and units are in the table (`distevod config --explain`)."""

    id: str
    kind: str
    network: str
    store: str
    state_dir: Path
    workers: int
    memory_mb: int
    islands_per_platform: int
    sharding: str
    avg_generation_time_threshold: float | None
    """Times the cluster's median; None: off."""
    batch_size: int
    generation_seconds: float
    evaluation_timeout_seconds: float
    checkpoint_generations: int
    checkpoint_seconds: float
    merge_interval: float
    preserve_top_n: int | float
    """A count, or a share up to 1.0."""
    session_limit: float | None
    """Seconds from the start; None: no end is expected."""
    max_concurrent_uploads: int
    upload_timeout: float
    enable_compression: bool
    compression_level: int
    heartbeat_interval: float
    heartbeat_timeout: float
    listen: tuple[str, ...]
    """One address, or none."""
    advertise: tuple[str, ...]
    peer: tuple[str, ...]
    socks_proxy: str
    mail_interval: float | None
    """None: as often as is right for the store."""
    coordinator_priority: int
    lease_ttl: float
    metrics_port: int
    allow_problems: str
    log_format: str
    log_level: str

    sources: dict[str, str]
    """Setting name to where its value came from, in words."""

    warnings: tuple[str, ...]
    """What is allowed but hardly meant; for the log."""

    @property
    def worker_memory_mb(self) -> int:
        """Of each worker."""
        return max(self.memory_mb // self.workers, 1)


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str], config: Path | None = None) -> Settings:
    """Gather the settings.

    `flags` holds setting names with text or typed values; None means not given. `environ` is the environment;
    an empty DISTEVO_ variable counts as not given. `config` is the YAML file that `--config` names; without
    it DISTEVO_CONFIG, and else the user's own config.yaml if there is one.

    Relative folders are taken from the working directory or, in a file, from the file's folder.
    Raises SettingsError for what is unknown, out of range or contradictory, PathError when no folder can be
    named, or the working directory is gone.
    """
    return _Loader(environ).load(flags, config)


class _Loader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.warnings: list[str] = []

    def load(self, flags: Mapping[str, object], config: Path | None) -> Settings:
        here = paths.working_folder()
        self._take(self._flags(flags), here)
        self._take(self._variables(), here)
        path = self._config_file(config, here)
        if path:
            from distevod.settings.file import read_file  # only whoever has a file has to pay for it

            self._take_file(read_file(path), path.parent)
        self._take_presets()
        self._take_defaults()
        self._refuse_undecodable()
        self._refuse_contradictions()
        self._warn()
        return Settings(**self.values, sources=self.sources, warnings=tuple(self.warnings))

    # where values come from, highest first

    def _flags(self, flags: Mapping[str, object]) -> list[tuple[str, Given]]:
        for name in flags:
            if name not in _BY_NAME:
                raise SettingsError(unknown("setting", name, _BY_NAME))
        return [(name, Given(raw, f"flag {_BY_NAME[name].flag}")) for name, raw in flags.items() if raw is not None]

    def _variables(self) -> list[tuple[str, Given]]:
        names = {setting.variable: setting.name for setting in SETTINGS}
        given = []
        for variable, raw in self.environ.items():
            if variable in names:
                if raw:
                    given.append((names[variable], Given(raw, f"environment {variable}")))
            elif variable.startswith(_PREFIX) and variable not in OTHER_VARIABLES:
                valid = [name.removeprefix(_PREFIX) for name in (*names, *OTHER_VARIABLES)]
                word = variable.removeprefix(_PREFIX)
                raise SettingsError(unknown("environment variable", word, valid, _PREFIX))
        return given

    def _config_file(self, config: Path | None, here: Path) -> Path | None:
        named = config or self.environ.get("DISTEVO_CONFIG")
        if named:
            return paths.absolute(named, here, self.environ)
        try:
            path = paths.config_file(self.environ)
            return path if path.exists() else None
        except paths.PathError:  # no home, so nothing can be in it
            return None
        except PermissionError:  # the home is another's, as after `runuser`: nothing in it is meant for this user
            return None

    def _take_file(self, file: "SettingsFile", folder: Path) -> None:
        own = self._agreed(file.values, folder)
        if "id" in own:
            self._take([("id", own.pop("id"))], folder)
        self._take_defaults("id")
        entries: dict[str, dict[str, Given]] = {}
        for entry in file.platforms:
            name = self._parse(_BY_NAME["id"], entry.id, folder)
            if name in entries:
                raise SettingsError(f"{entry.id.source}: a second entry for {name!r}")
            entries[name] = self._agreed(entry.values, folder)
        ours = entries.get(self.values["id"], {})
        self._take((own | ours).items(), folder)
        if entries and self.values["id"] not in entries:
            some = ", ".join([*list(entries)[:8], *(["..."] if len(entries) > 8 else [])])
            self.warnings.append(
                f"no entry under platforms: is for the id {self.values['id']!r}, only for {some}; give --id"
            )

    def _take_presets(self) -> None:
        if "kind" not in self.values:
            kind, variable = detect_kind(self.environ)
            self._set("kind", kind, f"recognised by {variable}" if variable else "default")
        self._take_defaults("network")
        kind, network = self.values["kind"], self.values["network"]
        for name, value in PLATFORM_PRESETS[kind].items():
            self._set(name, _BY_NAME[name].value.parse(value), f"preset {kind}")
        for name, seconds in NETWORK_PRESETS[network].items():
            self._set(name, seconds, f"preset of network {network}")

    def _take_defaults(self, *only: str) -> None:
        for name in only or _BY_NAME:
            if name not in self.values:
                default = _BY_NAME[name].default
                self._set(name, getattr(self, f"_default_{name}")() if default is None else default, "default")

    def _default_id(self) -> str:
        host = re.sub(r"[^A-Za-z0-9._-]+", "-", os.uname().nodename.split(".")[0])
        return host[:64] or "platform"

    def _default_state_dir(self) -> Path:
        return paths.state_folder(self.environ)

    def _default_store(self) -> str:
        self._take_defaults("state_dir")
        return str(self.values["state_dir"] / "store")

    def _default_workers(self) -> int:
        self._take_defaults("memory_mb")
        memory_mb: int = self.values["memory_mb"]
        return max(1, min(hardware.usable_cores(), memory_mb // WORKER_MEMORY_MB))

    def _default_memory_mb(self) -> int:
        return max(WORKER_MEMORY_MB, hardware.usable_memory_mb() // 2)

    def _default_islands_per_platform(self) -> int:
        self._take_defaults("memory_mb")
        return island_room(self.values["memory_mb"])

    def _default_listen(self) -> tuple[str, ...]:
        return ("tcp://*:0",)

    def _default_mail_interval(self) -> None:
        """None: only the store itself knows."""

    def _default_session_limit(self) -> None:
        """None: nobody takes the machine away."""

    # checks

    def _take(self, pairs: Iterable[tuple[str, Given]], base: Path) -> None:
        """Check every value, and set those that nothing above has set."""
        for name, given in pairs:
            self._set(name, self._parse(_BY_NAME[name], given, base), given.source)

    def _set(self, name: str, value: object, source: str) -> None:
        if name not in self.values:
            self.values[name] = value
            self.sources[name] = source

    def _agreed(self, pairs: Iterable[tuple[str, Given]], base: Path) -> dict[str, Given]:
        """The values by name that a file has for all platforms, or for one; refuses what is there twice and differs."""
        agreed: dict[str, Given] = {}
        for name, given in pairs:
            first = agreed.setdefault(name, given)
            one, two = (self._parse(_BY_NAME[name], each, base) for each in (first, given))
            if one != two:
                raise SettingsError(f"{name} is given twice: {one} ({first.source}) and {two} ({given.source})")
        return agreed

    def _parse(self, setting: Setting, given: Given, base: Path) -> Any:
        try:
            value = setting.value.parse(given.raw)
        except (ValueError, OverflowError) as error:
            hint = f"; {error}" if str(error).startswith("did you mean") else ""
            raw = _shortened(given.raw)
            raise SettingsError(
                f"{setting.name} must be {setting.value.allowed}, not {raw} ({given.source}){hint}"
            ) from None
        if isinstance(setting.value, Function) and ".py:" in value:
            file, _, name = value.rpartition(":")
            return f"{paths.absolute(file, base, self.environ)}:{name}"
        if not isinstance(setting.value, Location) or "://" in value:
            return value
        path = paths.absolute(value, base, self.environ)
        return str(path) if setting.value.url else path

    def _refuse_undecodable(self) -> None:
        """A path is shown, logged and sent as text, and a socket is bound to it in UTF-8."""
        for name in ("state_dir", "store"):
            path = str(self.values[name])
            try:
                path.encode()
            except UnicodeEncodeError:
                raise SettingsError(
                    f"{name} {path!r} ({self.sources[name]}) is no text in UTF-8: name a folder that is, or set a "
                    "locale of UTF-8 (LC_ALL=C.UTF-8)"
                ) from None

    def _refuse_contradictions(self) -> None:
        if self.values["heartbeat_timeout"] <= self.values["heartbeat_interval"]:
            raise SettingsError(
                f"heartbeat_timeout must be above heartbeat_interval: {self._told('heartbeat_timeout')}, "
                f"{self._told('heartbeat_interval')}; three intervals are usual"
            )
        if self.values["memory_mb"] < WORKER_MEMORY_MB * self.values["workers"]:
            raise SettingsError(
                f"each worker needs {WORKER_MEMORY_MB} MiB: {self._told('memory_mb')} is too little for "
                f"{self._told('workers')}"
            )

    def _told(self, name: str) -> str:
        return f"{name} {self.values[name]:g} ({self.sources[name]})"

    def _warn(self) -> None:
        values, sources = self.values, self.sources
        if not values["enable_compression"] and sources["compression_level"] != "default":
            self.warnings.append(f"{self._told('compression_level')} has no effect: enable_compression is false")
        for name, usable in (
            ("workers", hardware.usable_cores()),
            ("memory_mb", hardware.usable_memory_mb()),
        ):
            if values[name] > usable:
                self.warnings.append(f"{self._told(name)} is more than the {usable} that this machine has")
        if values["advertise"] and not values["listen"]:
            self.warnings.append(f"advertise ({sources['advertise']}) has no effect: this platform listens nowhere")
        limit = max(island_room(values["memory_mb"]), values["workers"])
        # Nobody asked for what a preset says.
        is_asked = not sources["islands_per_platform"].startswith("preset ")
        if is_asked and values["islands_per_platform"] > limit:
            self.warnings.append(
                f"{self._told('islands_per_platform')} is more than {self._told('memory_mb')} has room for, "
                f"{ISLANDS_PER_4_GB} for each 4096 MiB: {limit} it is"
            )


def _shortened(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "..."
