"""The YAML settings file: our own names at the top level and for one platform, and the tuning guide's sections as the
guide has them.

    id: kaggle-1                     platforms:                   distributed_evolution:
    workers: 2                         - id: kaggle-1               heartbeat_timeout: 30
                                         memory_limit_mb: 4096      heartbeat_interval: 10
                                         worker_count: 2
                                         session_limit: 9h

YAML is only composed into nodes, never constructed into objects, so no tag can do anything; anchors and
aliases are refused, and size and depth bounded, so no file can cost more than it weighs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distevod.settings.error import SettingsError, unknown
from distevod.settings.table import SETTINGS
from distevod.settings.value import Endpoints, Given

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8

PLATFORMS = "platforms[]"
LISTS = frozenset(setting.name for setting in SETTINGS if isinstance(setting.value, Endpoints))
"""Settings that may be a list of values."""


class PlatformEntry(NamedTuple):
    """One entry of `platforms:`; it concerns the platform of its id alone."""

    id: Given
    values: list[tuple[str, Given]]


class SettingsFile(NamedTuple):
    """What a settings file says: pairs of setting name and value (a name may come twice), and its
    platforms."""

    values: list[tuple[str, Given]]
    platforms: list[PlatformEntry]


def read_file(path: Path) -> SettingsFile:
    """Read and check a settings file. Raises SettingsError with file and line for whatever is wrong in it."""
    return _Reader(path).read()


def _sections() -> dict[str, dict[str, str]]:
    """Section ("" is the top level) to YAML key to setting name, as the table of settings has them."""
    sections: dict[str, dict[str, str]] = {"": {}}
    for setting in SETTINGS:
        for key in setting.keys:
            section, _, last = key.rpartition(".")
            sections.setdefault(section, {})[last] = setting.name
    return sections


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections = _sections()

    def read(self) -> SettingsFile:
        file = SettingsFile([], [])
        root = self._compose()
        if root is None:
            return file
        top = self.sections[""]
        other = [section.removesuffix("[]") for section in self.sections if section]
        for key, node in self._pairs(root, "", [*top, *other]):
            if key in top:
                file.values.append(self._value(key, node, "", top))
            elif key + "[]" == PLATFORMS:
                file.platforms.extend(self._entry(item, place) for place, item in self._items(node, key))
            else:
                keys = self.sections[key]
                file.values.extend(self._value(*pair, key, keys) for pair in self._pairs(node, key, keys))
        return file

    def _compose(self) -> "yaml.Node | None":
        """The file as nodes; None when it is empty."""
        import yaml  # 14 ms that only whoever has a file has to pay

        try:
            with self.path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise SettingsError(f"cannot read the settings file {self.path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise self._error(f"not UTF-8 text at byte {error.start}") from error
        if len(data) > MAX_BYTES:
            raise self._error(f"larger than {MAX_BYTES} bytes")
        try:
            self._check_events(text)
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(filter(None, (error.context, error.problem)))
            raise self._error(f"broken YAML: {what}", mark) from error
        except yaml.YAMLError as error:  # characters that YAML does not allow; has no mark
            raise self._error(f"broken YAML: {' '.join(str(error).split())}") from error

    def _check_events(self, text: str) -> None:
        """Refuse what a settings file has no need of, before anything recursive looks at it."""
        import yaml

        depth = documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            if depth > MAX_DEPTH:
                raise self._error(f"nested deeper than {MAX_DEPTH}", event.start_mark)
            if documents > 1:
                raise self._error("a second document; a settings file has one", event.start_mark)
            if isinstance(event, yaml.NodeEvent) and event.anchor:
                raise self._error("anchors and aliases are not allowed here", event.start_mark)
            if tag := getattr(event, "tag", None):
                raise self._error(f"the tag {tag} is not allowed here", event.start_mark)

    def _pairs(self, node: "yaml.Node", place: str, valid: Iterable[str]) -> "list[tuple[str, yaml.Node]]":
        """The keys and values of a mapping, its keys checked; [] for one left empty."""
        import yaml

        if isinstance(node, yaml.ScalarNode) and not node.value:
            return []
        if not isinstance(node, yaml.MappingNode):
            raise self._error(f"{place or 'the file'} must be a mapping of names to values", node.start_mark)
        pairs: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(f"a key in {place or 'the file'} is not a name", key.start_mark)
            if key.value not in valid:
                what = f"key in {place}" if place else "key"
                raise self._error(unknown(what, key.value, valid), key.start_mark)
            if key.value in pairs:
                raise self._error(f"{self._join(place, key.value)} is given twice", key.start_mark)
            pairs[key.value] = value
        return list(pairs.items())

    def _items(self, node: "yaml.Node", place: str) -> "list[tuple[str, yaml.Node]]":
        """The items of a list, each with its place; [] for one left empty."""
        import yaml

        if isinstance(node, yaml.ScalarNode) and not node.value:
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(f"{place} must be a list, each item beginning with `- id: …`", node.start_mark)
        return [(f"{place}[{index}]", item) for index, item in enumerate(node.value)]

    def _entry(self, node: "yaml.Node", place: str) -> PlatformEntry:
        keys = {"id": "id", **self.sections[PLATFORMS]}
        values = [self._value(*pair, place, keys) for pair in self._pairs(node, place, keys)]
        ids = [given for name, given in values if name == "id"]
        if not ids:
            raise self._error(f"{place} has no id: say whose entry it is", node.start_mark)
        return PlatformEntry(ids[0], [pair for pair in values if pair[0] != "id"])

    def _value(self, key: str, node: "yaml.Node", place: str, keys: dict[str, str]) -> tuple[str, Given]:
        import yaml

        name = self._join(place, key)
        is_list = isinstance(node, yaml.SequenceNode) and keys[key] in LISTS
        items = node.value if is_list else [node]
        if not all(isinstance(item, yaml.ScalarNode) for item in items):
            raise self._error(f"{name} must be one value", node.start_mark)
        raw = ",".join(item.value for item in items)
        return keys[key], Given(raw, f"{self.path} line {node.start_mark.line + 1}: {name}")

    @staticmethod
    def _join(place: str, key: str) -> str:
        return f"{place}.{key}" if place else key

    def _error(self, what: str, mark: Any = None) -> SettingsError:
        line = f" line {mark.line + 1}" if mark else ""
        return SettingsError(f"{self.path}{line}: {what}")
