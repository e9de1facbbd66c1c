"""The commands about renewals: plan them, carry them out, fill gaps, list them."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_shared import AsJson, Shop, print_rows, with_context
from app.domain.renewal import RenewalReason, RenewalStatus

if TYPE_CHECKING:
    from app.main import Context

renewals = typer.Typer(no_args_is_help=True, help="Renewals of subscriptions.")
Day = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only what is due by this day.")]


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


def _summary(counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(counts))
        return
    print_rows([{"what": name, "count": str(count)} for name, count in sorted(counts.items())], as_json=False)


@renewals.command("plan")
def renewals_plan(
    day: Day = None,
    dry_run: Annotated[bool, typer.Option(help="Write nothing; the day may then lie in the future.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give each period that has come due its renewal, or the reason why it has none. A worker does it by itself."""
    from app.usecases.planning import plan

    done = with_context(lambda context: plan(context.deps, _day(day), dry_run=dry_run))
    _summary(done.counts, as_json=as_json)


@renewals.command("run")
def renewals_run(day: Day = None, dry_run: bool = False, as_json: AsJson = False) -> None:
    """Plan, and make the orders and charges of what is planned now, in this process."""
    from app.usecases.planning import plan
    from app.usecases.running import run_renewals

    async def work(context: "Context") -> Mapping[str, int]:
        if dry_run:
            return (await plan(context.deps, _day(day), dry_run=True)).counts
        if as_json:
            return await run_renewals(context.deps, _day(day), lambda _done, _of: None)
        from rich.progress import Progress

        with Progress() as bar:
            task = bar.add_task("renewals", total=None)
            return await run_renewals(
                context.deps, _day(day), lambda done, of: bar.update(task, completed=done, total=of)
            )

    _summary(with_context(work), as_json=as_json)


@renewals.command("backfill")
def renewals_backfill(
    shop: Shop,
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Periods due on this day or later.")],
) -> None:
    """Plan periods that nobody planned in time. Each of them is charged, within the limit of its agreement."""
    from app.domain.account import system
    from app.usecases.backfilling import backfill

    count = with_context(lambda context: backfill(context.deps, system(shop), since.date()))
    typer.echo(f"{count} periods are planned; a worker renews them, or: vipps-recurring renewals run")


@renewals.command("list")
def renewals_list(
    shop: Shop,
    status: Annotated[RenewalStatus, typer.Option()] = RenewalStatus.WAITING,
    reason: Annotated[RenewalReason | None, typer.Option()] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, oldest due first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List a shop's renewals of one status, with their reasons."""

    async def work(context: "Context") -> list[dict[str, str]]:
        async with context.deps.store.begin() as unit:
            found = await unit.renewals.of_status(shop, status, reason, most)
        return [
            {
                "agreement": it.agreement_id,
                "period": str(it.period),
                "due": it.due.isoformat(),
                "status": it.status.value,
                "reason": it.reason.value if it.reason else "",
                "text": it.reason_text or "",
                "order": it.order_number or it.order or "",
                "amount": str(it.amount) if it.amount else "",
            }
            for it in found
        ]

    print_rows(with_context(work), as_json=as_json)
