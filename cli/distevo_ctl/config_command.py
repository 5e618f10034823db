"""`distevod config`: the settings that would be in force, where each comes from, and with --explain why."""

from typing import Any

import click
from distevod.settings import explain, explain_data
from distevod.settings.manual import shown

from distevo_ctl.setting_options import setting_options, settings_of


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
    if explained:
        click.echo(explain(settings))
    else:
        width = max(len(shown(row["value"])) for row in rows)
        for row in rows:
            click.echo(f"{row['name']:<27} {shown(row['value']):<{width}}  {row['source']}")
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
