"""The manual of the settings, made from their table: what `distevod config --explain` prints."""

from typing import Any

from distevod.presets import PLATFORM_PRESETS
from distevod.settings.load import Settings
from distevod.settings.table import SETTINGS, Setting

WIDTH = 100


def explain(settings: Settings | None = None) -> str:
    """The manual as text of at most 100 columns; with `settings`, each value that is in force and its
    source."""
    import textwrap

    first = "Settings, highest first: flag, environment variable, YAML platforms[], YAML, preset, default."
    lines = [first, ""]
    for row in explain_data(settings):
        rows = [
            ("now", f"{shown(row['value'])}  ({row['source']})" if settings else ""),
            ("given by", f"{row['flag']}, {row['variable']}, YAML {' or '.join(row['yaml'])}"),
            ("allowed", row["allowed"]),
            ("default", " ".join(filter(None, (shown(row["default"]), row["unit"])))),
            ("presets", ", ".join(f"{kind} {value}" for kind, value in row["presets"].items())),
            ("formula", row["formula"]),
            ("trade-off", row["tradeoff"]),
        ]
        lines += [
            row["name"],
            *textwrap.wrap(row["meaning"], WIDTH, initial_indent="  ", subsequent_indent="  "),
        ]
        for title, text in rows:
            if text:
                indent = " " * 14
                lines += textwrap.wrap(
                    text,
                    WIDTH,
                    initial_indent=f"  {title:<12}",
                    subsequent_indent=indent,
                    break_on_hyphens=False,
                )
        lines.append("")
    return "\n".join(lines)


def explain_data(settings: Settings | None = None) -> list[dict[str, Any]]:
    """The manual as JSON values, one object for each setting: name, flag, variable, yaml (list), unit,
    allowed,
    default (null: see formula), presets (kind to value), meaning, formula, tradeoff; with `settings` also
    value and source."""
    return [_row(setting, settings) for setting in SETTINGS]


def _row(setting: Setting, settings: Settings | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": setting.name,
        "flag": setting.flag,
        "variable": setting.variable,
        "yaml": list(setting.keys),
        "unit": setting.unit,
        "allowed": setting.value.allowed,
        "default": setting.default,
        "presets": {kind: preset[setting.name] for kind, preset in PLATFORM_PRESETS.items() if setting.name in preset},
        "meaning": setting.meaning,
        "formula": setting.formula,
        "tradeoff": setting.tradeoff,
    }
    if settings:
        value = getattr(settings, setting.name)
        row["value"] = value if isinstance(value, int | float | str | tuple | None) else str(value)
        row["source"] = settings.sources[setting.name]
    return row


def shown(value: object) -> str:
    """A value as one would type it."""
    if value is None:
        return "computed"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if value == "":
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
