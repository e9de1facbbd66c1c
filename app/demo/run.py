"""The demo as a command: the past is told, then everything is served, to look around."""

import asyncio
import gc
import secrets
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime

import httpx

from app.config import Settings
from app.demo.clock import OSLO
from app.demo.errors import StoryError
from app.demo.months import Months, first_of_month
from app.demo.office import Office
from app.demo.processes import Place, free_port
from app.demo.serving import serve
from app.demo.story import Story
from app.demo.subscription import Subscription
from app.demo.world import World
from app.observability import configure_logging


def run(*, once: bool) -> int:
    """Tell the story; exit code 0 where everything went as told, else 1."""
    configure_logging("error", "json")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and leaves nothing behind
    try:
        with tempfile.TemporaryDirectory(prefix="vipps-recurring-demo-") as folder, asyncio.Runner() as runner:
            gc.disable()  # what is told is kept: looking for garbage only takes time
            world = make_world(runner, folder)
            tell(world)
            gc.enable()
            runner.run(serve(world, once=once))
    except StoryError as error:
        print(f"\nThe story went wrong: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def make_world(runner: asyncio.Runner, folder: str) -> World:
    """Nothing listens yet, but the addresses are those of later; the clock stands at the first day of the story."""
    app, vipps, shop, new_shop = (f"http://127.0.0.1:{free_port()}" for _ in range(4))
    place, second = Place(app, vipps, shop, {}), Place(app, vipps, new_shop, {})
    settings = Settings(
        app_url=app,
        secret_key=(secrets.token_hex(32),),
        data_dir=folder,
        database_url="",
        allowed_saleor_urls=(place.shop, second.shop),
        private_networks="allow",
        vipps_test_url=vipps,
    )
    present = datetime.now(UTC).astimezone(OSLO).date()
    return World(runner, settings, place, second, (present - first_of_month(present, 2)).days)


def tell(world: World) -> Months:
    """From two months ago to today."""
    started = time.monotonic()
    with httpx.Client(transport=world, timeout=30) as http:
        story = Story(http, world.place, Office(world.with_context, world.place.shop), world)
        months = Months(story, world, datetime.now(UTC).astimezone(OSLO).date())
        story.tell()
        months.plan()
        Subscription(story).tell()
        story.step("And so on, until today")
        world.until(months.present)
        world.catch_up()
        open_new_shop(story, world.new_shop)
        world.finish()
        for error in world.told.unforeseen:
            raise StoryError("something happened that no rule foresees") from error
        story.console.print(f"\n[green]Everything went as told[/green], in {time.monotonic() - started:.0f} seconds.")
    return months


def open_new_shop(story: Story, place: Place) -> None:
    """A shop that has the app and nothing else: to be set up by whoever tries it."""
    story.step("A second shop has just installed the app", "Nothing is set up there: that is left to you.")
    control = f"{place.saleor}/simulator"
    installed = story.post(f"{control}/install", {"manifest_url": f"{place.app}/api/manifest"})
    story.post(f"{control}/products", {"name": "Coffee box", "price": 199, "stock": 100})
    story.post(f"{control}/shipping-methods", {"name": "Posten", "price": 49})
    story.check("its product is bought once, until it is marked as a subscription", holds=installed["active"])
