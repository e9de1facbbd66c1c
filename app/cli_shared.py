"""What all commands share: a context to work in, options of the same meaning, and how rows are printed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.domain.errors import RecurringError

if TYPE_CHECKING:
    from app.main import Context

T = TypeVar("T")
Shop = Annotated[str, typer.Option(help="The shop's API URL, for example https://shop.example/graphql/.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def with_context(work: Callable[["Context"], Awaitable[T]]) -> T:
    """Run one command against the configured database; a refusal is one line and exit code 1."""
    from app.config import load
    from app.main import build
    from app.observability import configure_logging

    settings = load()
    configure_logging("warning", settings.log_format)

    async def run() -> T:
        context = build(settings)
        try:
            await context.store.require_answer()
            if context.store.sqlite:
                await context.store.migrate()
            return await work(context)
        finally:
            await context.close()

    try:
        return asyncio.run(run())
    except RecurringError as error:
        field = f"{error.field}: " if error.field else ""
        typer.echo(f"{field}{error.message}", err=True)
        raise typer.Exit(1) from None


def print_rows(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo("none")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)
