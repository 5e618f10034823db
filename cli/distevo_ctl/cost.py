"""`distevo-ctl cost`: what a cluster would cost as a bucket, before it is rented."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from distevo_ctl.number import Number
from distevo_ctl.target import JSON_HELP

if TYPE_CHECKING:
    from distevo.cost import Estimate, Shape
    from distevod.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

BUCKET_CHECKPOINT_SECONDS = 30.0
"""Where nobody asks for more, checkpoints go to a bucket no more often."""
BUCKET_MAIL_SECONDS = 15.0
ISLAND_KB = 20.0
"""A population of a thousand programs, compressed; 18 bytes for a program were measured on grids."""

HELP = """Estimate what a cluster costs in Google Cloud Storage: requests, bytes and dollars a day.

What is not given comes from the settings of this platform, as a daemon with the same variables and --config would have
them. Writing is dear, reading cheap; deleting, and looking for what is not there, free. What is read from outside
Google Cloud is charged by volume. Prices are those of one region; the simulator's counts agree with the estimate
within a tenth, and within a quarter where tasks end fast.

Beyond 32 platforms not everybody is linked with everybody: count notebooks as --mail, unless a platform that can be
dialled is among the first three of coordinator_priority.

\b
  distevo-ctl cost --platforms 10                           ten platforms that are linked
  distevo-ctl cost --platforms 10 --mail 10                 ten notebooks, none of which can be dialled
  distevo-ctl cost --platforms 10 --checkpoint-seconds 300"""


def _amount(flag: str, help_text: str, **more: Any) -> Callable[[F], F]:
    """An option that is a number."""
    return click.option(flag, type=Number(min=0), help=help_text, metavar="N", **more)


@click.command("cost", help=HELP, short_help="Estimate the cost of a bucket.")
@click.option("--platforms", type=click.IntRange(1, 100_000), default=4, metavar="N", help="Platforms; else 4.")
@click.option(
    "--mail", type=click.IntRange(min=0), default=0, metavar="N",
    help="How many of them no link reaches, also through another; else 0.",
)  # fmt: skip
@click.option(
    "--islands", type=click.IntRange(min=1), metavar="N", help="Islands in all; else as many as there is room."
)
@click.option("--tasks", type=click.IntRange(min=0), default=400, metavar="N", help="Tasks in the plan; else 400.")
@_amount("--tasks-per-hour", "How many of them end in an hour; else 20.", default=20.0)
@click.option(
    "--budgets", type=click.IntRange(1, 32), default=1, metavar="N",
    help="How many rising budgets each of them goes through; else 1.",
)  # fmt: skip
@_amount("--starts-per-day", "How often each platform starts; else 2, as a notebook's session.", default=2.0)
@_amount("--checkpoint-seconds", "Seconds between two checkpoints of a platform.")
@_amount("--checkpoint-mb", f"MiB of one checkpoint, compressed; else {ISLAND_KB:g} KiB for each island.")
@_amount("--mail-interval", "Seconds between two boxes of mail of one member.")
@_amount("--mail-kb", "KiB of a box of mail; else 2.", default=2.0)
@_amount("--lease-ttl", "Seconds for which the coordinator's lease stands.")
@click.option(
    "--outside", type=Number(0, 1), default=1.0, metavar="SHARE",
    help="Share of the platforms outside the bucket's region in Google Cloud: 1, all, unless said otherwise.",
)  # fmt: skip
@click.option("--config", metavar="FILE", help="YAML file of settings.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
def cost(as_json: bool, config: str | None, **given: Any) -> None:
    from distevo.cost import PRICES, estimate
    from distevod.settings import load_settings

    as_json = as_json or bool(click.get_current_context().find_root().params.get("as_json"))
    if given["mail"] > given["platforms"]:
        raise click.UsageError(f"--mail {given['mail']} is more than the {given['platforms']} platforms")
    flags = {name: given[name] for name in ("checkpoint_seconds", "mail_interval", "lease_ttl")}
    settings = load_settings(flags, os.environ, Path(config) if config else None)
    shape = shape_of(settings, given)
    made = estimate(shape)
    if as_json:
        import msgspec

        from distevo_ctl.screen import print_json

        body = {"shape": msgspec.to_builtins(shape), "prices": PRICES._asdict()} | msgspec.to_builtins(made)
        print_json(body | {"total": msgspec.to_builtins(made.total()), "dollars_per_day": made.dollars})
    else:
        _print(shape, made)


def shape_of(settings: Settings, given: dict[str, Any]) -> Shape:
    """The cluster that is meant: what is given, else what the settings of this platform say."""
    from distevo.cost import Shape

    platforms = given["platforms"]
    checkpoint_mb = given["checkpoint_mb"]
    if checkpoint_mb is None:
        islands = given["islands"] or platforms * settings.islands_per_platform
        checkpoint_mb = islands / platforms * ISLAND_KB / 1024
    checkpoint_seconds = settings.checkpoint_seconds
    if settings.sources["checkpoint_seconds"] == "default":
        checkpoint_seconds = max(checkpoint_seconds, BUCKET_CHECKPOINT_SECONDS)
    return Shape(
        platforms=platforms,
        mail=given["mail"],
        tasks=given["tasks"],
        tasks_per_hour=given["tasks_per_hour"],
        budgets=given["budgets"],
        starts_per_day=given["starts_per_day"],
        checkpoint_seconds=checkpoint_seconds,
        checkpoint_mb=checkpoint_mb,
        mail_interval=settings.mail_interval or BUCKET_MAIL_SECONDS,
        mail_kb=given["mail_kb"],
        lease_ttl=settings.lease_ttl,
        outside=given["outside"],
    )


# --- what is printed -----------------------------------------------------------------------------


def _print(shape: Shape, made: Estimate) -> None:
    from distevo.cost import MONTH_DAYS, PRICES
    from distevo_ctl.screen import console, table

    screen = console()
    rows = []
    for item in [*made.items, made.total()]:
        figures = (item.inserts, item.lists, item.reads, item.misses + item.deletes)
        volumes = (item.bytes_written, item.bytes_read)
        dollars = f"{item.dollars(PRICES, shape.outside):.2f}"
        rows.append([item.what, *map(_count, figures), *map(_bytes, volumes), dollars])
    heads = ["A DAY", "INSERTS>", "LISTS>", "READS>", "FREE>", "WRITTEN>", "READ>", "$>"]
    screen.print(table(heads, rows, screen.width))
    by_mail = f", {shape.mail} of them by mail" if shape.mail else ""
    screen.print(
        f"\n{shape.platforms} platforms{by_mail}; each a checkpoint of "
        f"{_bytes(shape.checkpoint_mb * 2**20)} every {shape.checkpoint_seconds:g} s; mail every "
        f"{shape.mail_interval:g} s; a lease of {shape.lease_ttl:g} s"
    )
    screen.print(
        f"${made.dollars:.2f} a day, ${made.dollars * MONTH_DAYS:.2f} a month: requests ${made.dollars_requests:.2f}, "
        f"{_bytes(shape.outside * made.total().bytes_read)} out of Google Cloud ${made.dollars_read_out:.2f}, "
        f"{_bytes(made.bytes_stored)} stored ${made.dollars_stored:.2f}"
    )
    screen.print(
        f"Prices of {PRICES.seen_on}, Standard class, one region: ${1000 * PRICES.write:g} for 1,000 inserts or lists, "
        f"${1000 * PRICES.read:g} for 1,000 reads, ${PRICES.read_out:g} for a GiB read from outside, "
        f"${PRICES.stored * MONTH_DAYS:.3f} for a GiB stored a month",
        style="dim",
    )


def _count(figure: float) -> str:
    return f"{figure:,.0f}" if figure else "-"


def _bytes(figure: float) -> str:
    if not figure:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if figure < 1000 or unit == "GiB":
            return f"{figure:.3g} {unit}" if figure < 1000 else f"{figure:,.0f} {unit}"
        figure /= 1024
    raise AssertionError
