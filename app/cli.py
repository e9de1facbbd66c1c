"""The command line: serve, migrate, accounts, API clients, simulators, the demo."""

import asyncio
import csv
import gc
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_renewals import renewals
from app.cli_shared import AsJson, Shop, print_rows, with_context
from app.domain.account import Account, ApiVersion, Environment, Scope
from app.domain.charge import DEFAULT_LEAD_DAYS, DEFAULT_RETRY_DAYS
from app.domain.dunning import DunningPolicy, GiveUp
from app.domain.errors import RecurringError

if TYPE_CHECKING:
    from app.domain.records import Finding
    from app.main import Context

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Vipps Recurring for Saleor.")
accounts = typer.Typer(no_args_is_help=True, help="Merchant accounts at Vipps.")
clients = typer.Typer(no_args_is_help=True, help="API clients, for Basic auth.")
shops = typer.Typer(no_args_is_help=True, help="Shops that installed the app.")
failures = typer.Typer(no_args_is_help=True, help="Work that was given up and waits for a person.")
app.add_typer(failures, name="failures")
app.add_typer(renewals, name="renewals")
app.add_typer(shops, name="shop")
app.add_typer(accounts, name="account")
app.add_typer(clients, name="client")


def main() -> None:
    app()


@app.command()
def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    worker: Annotated[
        bool | None, typer.Option(help="Carry jobs in this process too; if left out: on SQLite, not on PostgreSQL.")
    ] = None,
) -> None:
    """Serve the app. On SQLite the worker runs inside; on PostgreSQL start at least one `vipps-recurring worker`."""
    gc.disable()  # nothing that is imported becomes garbage: looking for some makes the start a good deal slower
    import uvicorn

    from app.config import load
    from app.main import require_database
    from app.observability import configure_logging
    from app.serving import serving_app

    settings = load()
    configure_logging(settings.log_level, settings.log_format)
    inside = settings.database.startswith("sqlite")
    if worker is False and inside:
        typer.echo("SQLite belongs to one process: its worker runs inside serve", err=True)
        raise typer.Exit(1)
    try:
        asyncio.run(require_database(settings))
    except RecurringError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
    # uvicorn ends in order and then raises the signal again: being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    served = serving_app(settings, worker=inside if worker is None else worker)
    gc.enable()
    gc.freeze()
    uvicorn.run(served, host=host, port=port, log_config=None, access_log=False, server_header=False)


@app.command("worker")
def run_worker() -> None:
    """Carry jobs, on PostgreSQL only; start as many as you like."""
    from app.config import load
    from app.main import require_database
    from app.observability import configure_logging
    from app.serving import work_alone

    settings = load()
    configure_logging(settings.log_level, settings.log_format)
    if settings.database.startswith("sqlite"):
        typer.echo("SQLite belongs to one process: its worker runs inside serve", err=True)
        raise typer.Exit(1)

    async def run() -> None:
        await require_database(settings)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work_alone(settings, stop)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run())
    except RecurringError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """As uvicorn chooses for `serve`: uvloop where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:  # it is not made for Windows
        return None
    return uvloop.new_event_loop


@app.command()
def migrate() -> None:
    """Bring the database up to date, and write stored secrets anew with the newest SECRET_KEY."""

    async def work(context: "Context") -> int:
        from app.jobs.engine import Engine

        await context.store.migrate()
        await Engine(context.metrics.bug, context.settings.database).install()
        return await context.store.reseal_secrets()

    typer.echo(f"the database is up to date; {with_context(work)} secrets are sealed with the newest key")


@app.command("schema")
def print_schema() -> None:
    """Print the GraphQL schema that is served."""
    from app.gql.schema import export

    typer.echo(export(), nl=False)


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="End after the story: exit code 0, or 1 where it went wrong.")] = False,
) -> None:
    """Tell the whole story on this machine: two simulators, the app, and every step explained."""
    from app.demo.run import run

    raise typer.Exit(run(once=once))


@app.command()
def simulate(
    which: Annotated[str, typer.Argument(help="vipps or saleor")],
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="8100 for vipps and 8200 for saleor, if left out.")] = 0,
    small: Annotated[
        bool, typer.Option(help="Saleor with the needed part of its schema only: starts quicker.")
    ] = False,
) -> None:
    """Serve a simulator: a stateful Vipps, or a Saleor shop."""
    from app.demo import serve_simulator

    if which not in {"vipps", "saleor"}:
        raise typer.BadParameter("say vipps or saleor")
    serve_simulator(which, host, port or (8100 if which == "vipps" else 8200), small=small)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at settings, database, jobs and accounts, and say what is wrong and how to mend it; exit code 1 if so."""
    from app.config import load
    from app.doctor import examine
    from app.observability import configure_logging

    settings = load()
    configure_logging("error", settings.log_format)
    found = asyncio.run(examine(settings))
    print_rows([{"check": it.name, "result": it.result, "remedy": it.remedy} for it in found], as_json=as_json)
    if any(it.remedy for it in found):
        raise typer.Exit(1)


@app.command()
def reconcile(
    shop: Annotated[str | None, typer.Option(help="One shop's accounts only.")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write every difference to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare our books with Vipps', repair forward what can be, and tell the rest.

    Exit code 1 where a difference is left or an account could not be compared.
    """
    from app.usecases.nightly import reconcile_all

    books = with_context(lambda context: reconcile_all(context.deps, lambda _: None, shop))
    rows = [
        {
            "shop": it.account.shop,
            "channel": it.account.channel,
            "agreements": str(it.agreements),
            "charges": str(it.charges),
            "orders": str(it.orders),
            "repaired": str(len(it.findings) - len(it.open_findings)),
            "left": str(len(it.open_findings)),
            "trouble": it.trouble,
        }
        for it in books
    ]
    if csv_file is not None:
        _write_findings(csv_file, [finding for it in books for finding in it.findings])
    print_rows(rows, as_json=as_json)
    if any(it.open_findings or it.trouble for it in books):
        raise typer.Exit(1)


def _write_findings(path: Path, findings: list["Finding"]) -> None:
    names = ("shop", "account_id", "kind", "agreement_id", "charge_id", "ours", "theirs", "repaired", "found_at")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_cell(getattr(it, name)) for name in names] for it in findings)


def _cell(value: object) -> str:
    """A spreadsheet takes what begins with one of these for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


@app.command()
def explain(
    shop: Shop,
    charge: Annotated[str, typer.Argument(help="A charge id, an order id, or Saleor's id of the order.")],
    as_json: AsJson = False,
) -> None:
    """Tell the whole story of a charge: who asked for it, every call, every answer, every change."""
    from app.domain.account import system
    from app.usecases.explaining import explain_charge

    found = with_context(lambda context: explain_charge(context.deps, system(shop), charge))
    rows = [
        {"at": f"{it.at:%Y-%m-%d %H:%M:%S}", "what": it.what, "who": it.who, "text": it.text, "id": it.context_id or ""}
        for it in found.moments
    ]
    it = found.charge
    if not as_json:
        typer.echo(f"{it.charge_id or it.order_id}: {it.amount} on {it.agreement_id}, due {it.due}, {it.status}")
    print_rows(rows, as_json=as_json)


@failures.command("list")
def failures_list(as_json: AsJson = False) -> None:
    """What was given up, with the reason."""
    from app.usecases.failures import all_failures

    rows = [
        {
            "id": it.id,
            "shop": it.shop,
            "kind": it.kind.value,
            "what": it.what,
            "about": it.object_id,
            "attempts": str(it.attempts),
            "reason": it.reason,
        }
        for it in with_context(lambda context: all_failures(context.deps))
    ]
    print_rows(rows, as_json=as_json)


@failures.command("retry")
def failures_retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from the list.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Try again, with the keys it had; a worker does it within a minute."""
    from app.domain.account import system
    from app.usecases.failures import all_failures, retry_failures

    async def work(context: "Context") -> tuple[int, list[str]]:
        letters = [it for it in await all_failures(context.deps) if every or it.id in (ids or [])]
        for shop in {it.shop for it in letters}:
            mine = [it.id for it in letters if it.shop == shop]
            for start in range(0, len(mine), context.deps.limits.max_sync_batch):
                some = mine[start : start + context.deps.limits.max_sync_batch]
                await retry_failures(context.deps, system(shop), some)
        return len(letters), sorted(set(ids or []) - {it.id for it in letters})

    count, unknown = with_context(work)
    typer.echo(f"{count} are tried again")
    for letter_id in unknown:
        typer.echo(f"no failure {letter_id}", err=True)
    if unknown:
        raise typer.Exit(1)


@shops.command("forget")
def shop_forget(shop: Shop) -> None:
    """Erase a shop's token, keys and merchant secrets and revoke its API clients, where it cannot tell us itself."""
    from app.usecases.installations import forget_shop

    typer.echo(with_context(lambda context: forget_shop(context.deps, shop)))


def _secret(name: str, variable: str, file: Path | None) -> str:
    """From a file, the environment or a prompt: never from the command line, where other users can read it."""
    if file is not None:
        return file.read_text().strip()
    return os.environ.get(variable) or str(typer.prompt(name, hide_input=True))


class CompleteOrders(StrEnum):
    WHEN_PAID = "when-paid"
    AT_ONCE = "at-once"


class FirstPayment(StrEnum):
    COLLECT = "collect"
    RESERVE = "reserve"


@accounts.command("set")
def account_set(
    shop: Shop,
    environment: Annotated[Environment, typer.Option()],
    msn: Annotated[str, typer.Option(help="Merchant serial number.")],
    client_id: Annotated[str, typer.Option()],
    channel: Annotated[str, typer.Option(help="A channel's slug, or default for all others.")] = "default",
    api_version: Annotated[ApiVersion | None, typer.Option(help="v2 if left out the first time.")] = None,
    retry_days: Annotated[
        int | None,
        typer.Option(
            help=f"Days on which Vipps tries again, 0 to 14; {DEFAULT_RETRY_DAYS} if left out the first time."
        ),
    ] = None,
    lead_days: Annotated[
        int | None,
        typer.Option(help=f"Days from now to a charge's due date; {DEFAULT_LEAD_DAYS} if left out the first time."),
    ] = None,
    agreement_url: Annotated[
        str | None,
        typer.Option(help="Your own page where customers manage their agreements; ours, where you have none."),
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Whose days count for renewals, like Europe/Oslo.")] = None,
    dunning_retry: Annotated[
        list[int] | None,
        typer.Option(help="Days after a failed charge on which a new one is due; once for each try, 0 for no try."),
    ] = None,
    dunning_then: Annotated[
        GiveUp | None, typer.Option(help="What becomes of a subscription whose period stays unpaid.")
    ] = None,
    dunning_cancel_after: Annotated[
        int | None, typer.Option(help="End what was on hold for so many days; 0 for never.")
    ] = None,
    first_payment: Annotated[
        FirstPayment | None,
        typer.Option(help="Of a subscription whose product does not say; what is reserved is captured when you ship."),
    ] = None,
    complete_orders: Annotated[
        CompleteOrders | None, typer.Option(help="When a renewal's draft becomes an order.")
    ] = None,
    price_notice_days: Annotated[
        int | None, typer.Option(help="Days before a new price counts, from when the customer is told.")
    ] = None,
    notify_url: Annotated[
        str | None, typer.Option(help="Your endpoint for signed notices about subscriptions; empty for none.")
    ] = None,
    notify_secret_file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    client_secret_file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    subscription_key_file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    apart: Annotated[
        bool,
        typer.Option(help="Another number or environment: the present account goes on with the agreements it has."),
    ] = False,
) -> None:
    """Set a channel's merchant account. What is left out stays as it was.

    Secrets come from VIPPS_CLIENT_SECRET, VIPPS_SUBSCRIPTION_KEY and NOTIFY_SECRET, from files, or from a prompt.
    """
    from app.usecases.accounts import find_account, set_account

    client_secret = _secret("client secret", "VIPPS_CLIENT_SECRET", client_secret_file)
    subscription_key = _secret("subscription key", "VIPPS_SUBSCRIPTION_KEY", subscription_key_file)
    given = {
        "api_version": api_version,
        "retry_days": retry_days,
        "lead_days": lead_days,
        "agreement_url": agreement_url,
        "time_zone": time_zone,
        "reserve_initial": None if first_payment is None else first_payment is FirstPayment.RESERVE,
        "complete_when_paid": None if complete_orders is None else complete_orders is CompleteOrders.WHEN_PAID,
        "price_notice_days": price_notice_days,
    }
    if notify_url:
        given |= {"notify_url": notify_url}
        given |= {"notify_secret": _secret("secret for notices", "NOTIFY_SECRET", notify_secret_file)}

    async def work(context: "Context") -> None:
        before = await find_account(context.deps, shop, channel)
        account = before or Account(str(uuid.uuid4()), shop, channel, environment, msn, client_id, None, None)
        named = {
            "environment": environment,
            "msn": msn,
            "client_id": client_id,
            "client_secret": client_secret,
            "subscription_key": subscription_key,
        }
        said = {name: value for name, value in given.items() if value is not None}
        changed = replace(account, **named, **said)  # type: ignore[arg-type]
        if notify_url == "":
            changed = replace(changed, notify_url=None, notify_secret=None)
        policy = _dunning(account.dunning, dunning_retry, dunning_then, dunning_cancel_after)
        await set_account(context.deps, replace(changed, dunning=policy), apart=apart)

    with_context(work)
    typer.echo(f"set the {environment} account {msn} for channel {channel}; try it with: vipps-recurring account check")


def _dunning(
    before: DunningPolicy, retry: list[int] | None, then: GiveUp | None, cancel_after: int | None
) -> DunningPolicy:
    """The policy with what was said; 0 says that there is none."""
    return replace(
        before,
        retry_after=before.retry_after if retry is None else tuple(days for days in retry if days),
        then=then or before.then,
        cancel_after=before.cancel_after if cancel_after is None else cancel_after or None,
    )


@accounts.command("list")
def account_list(as_json: AsJson = False) -> None:
    """List all merchant accounts, without their secrets."""
    from app.usecases.accounts import all_accounts

    found = with_context(lambda context: all_accounts(context.deps))
    rows = [
        {
            "shop": it.shop,
            "channel": it.channel,
            "environment": it.environment.value,
            "msn": it.msn,
            "api": it.api_version.value,
        }
        for it in found
    ]
    print_rows(rows, as_json=as_json)


@accounts.command("check")
def account_check(
    as_json: AsJson = False,
    renew_webhooks: Annotated[
        bool, typer.Option(help="Give each webhook a new secret; the old one stays good for a day.")
    ] = False,
) -> None:
    """Sign in at Vipps with every account, ask both API versions, and see that webhooks are registered.

    Exit code 1 where an account cannot sign in or its version does not answer.
    """
    from app.usecases.accounts import AccountCheck, all_accounts, check_account
    from app.usecases.nightly import webhook_url

    async def work(context: "Context") -> list[AccountCheck]:
        url = context.settings.app_url
        return [
            await check_account(context.deps, it, webhook_url(url, it), renew_webhook=renew_webhooks)
            for it in await all_accounts(context.deps)
        ]

    checks = with_context(work)
    rows = [
        {
            "shop": it.account.shop,
            "channel": it.account.channel,
            "msn": it.account.msn,
            "sign in": it.sign_in,
            "uses": it.account.api_version.value,
            **{version.value: it.versions.get(version, "not tried") for version in ApiVersion},
            "webhooks": it.webhooks,
        }
        for it in checks
    ]
    print_rows(rows, as_json=as_json)
    if not all(it.good for it in checks):
        raise typer.Exit(1)


@clients.command("create")
def client_create(
    shop: Shop,
    scope: Annotated[list[Scope], typer.Option(help="May be given several times.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "API client",
    as_json: AsJson = False,
) -> None:
    """Make an API client; its secret is shown now and never again."""
    from app.usecases.clients import create_client

    made = with_context(lambda context: create_client(context.deps, shop, name, scope))
    if as_json:
        typer.echo(json.dumps({"id": made.client.id, "secret": made.secret, "scopes": sorted(made.client.scopes)}))
    else:
        typer.echo(f"id      {made.client.id}\nsecret  {made.secret}\nKeep the secret now: it is not shown again.")


@clients.command("list")
def client_list(shop: Shop, as_json: AsJson = False) -> None:
    """List a shop's API clients."""

    async def work(context: "Context") -> list[dict[str, str]]:
        async with context.deps.store.begin() as unit:
            found = await unit.clients.of_shop(shop)
        return [
            {
                "id": it.id,
                "name": it.name,
                "scopes": " ".join(sorted(it.scopes)),
                "state": "revoked" if it.revoked_at else "active",
                "used": it.used_at.isoformat(timespec="minutes") if it.used_at else "",
            }
            for it in found
        ]

    print_rows(with_context(work), as_json=as_json)


@clients.command("revoke")
def client_revoke(client: Annotated[str, typer.Argument(help="The client's id.")]) -> None:
    """Revoke an API client: it is refused from now on."""
    from app.usecases.clients import revoke_client

    with_context(lambda context: revoke_client(context.deps, client))
    typer.echo(f"revoked {client}")
