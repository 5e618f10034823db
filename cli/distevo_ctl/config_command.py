"""`distevod config`: the settings that would be in force, where each comes from, and with --explain why."""

from typing import Any

import click

from distevo_ctl.setting_options import setting_options, settings_of
from distevod.settings import explain, explain_data
from distevod.settings.manual import shown


@click.command("config")
@click.option("--explain", "explained", is_flag=True, help="Say what each setting is for, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting_options
def config_command(explained: bool, as_json: bool, **values: Any) -> None:
    """Show the settings in force with these options, this environment and this file, and their sources."""
    settings = settings_of(values)
    rows = explain_data(settings)
    if as_json:
        import json

        brief = [{key: row[key] for key in ("name", "value", "unit", "source")} for row in rows]
        body = {"settings": rows if explained else brief, "warnings": list(settings.warnings)}
        click.echo(json.dumps(body, indent=2))
        return
    text = explain(settings) if explained else _listed(rows)
    click.echo(text.encode(errors="backslashreplace"))  # the name of a folder may be no text at all
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)


def _listed(rows: list[dict[str, Any]]) -> str:
    """One line for each setting: name, value, source."""
    names = max(len(row["name"]) for row in rows)
    values = max(len(shown(row["value"])) for row in rows)
    lines = (f"{row['name']:{names}}  {shown(row['value']):{values}}  {row['source']}" for row in rows)
    return "\n".join(lines)
