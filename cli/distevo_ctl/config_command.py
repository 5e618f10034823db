"""`distevod config`: the settings that would be in force, where each comes from, and with --explain why."""

from typing import Any

import click

from distevo_ctl.setting_options import setting_options, settings_of
from distevod.settings import explain, explain_data


@click.command("config")
@click.option("--explain", "explained", is_flag=True, help="Say what each setting is for and how it is
chosen.") @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
        for row in rows:
            click.echo(f"{row['name']:<28}{row['value']!s:<24}{row['source']}")
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
