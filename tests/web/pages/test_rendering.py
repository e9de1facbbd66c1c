"""What every page promises: escaped values, strict headers, nothing inline, files that may be kept."""

import re
from dataclasses import replace

import httpx
import pytest
from jinja2 import UndefinedError

from app.web.pages.assets import STATIC, assets
from app.web.pages.catalogue import language
from app.web.pages.rendering import TEMPLATES, page, security_headers
from tests.world import World

MOST_BYTES = 60_000


def test_values_are_escaped(one_world: World) -> None:
    answer = page(one_world.context.web, "message.html", language("public", "nb"), heading="<b>", sentence="\"&'<i>")
    text = bytes(answer.body).decode()
    assert "<b>" not in text
    assert "<i>" not in text
    assert '<html lang="nb">' in text


def test_a_forgotten_value_is_an_error_and_no_gap(one_world: World) -> None:
    with pytest.raises(UndefinedError):
        page(one_world.context.web, "message.html", language("public", "en"), heading="Hello")


def test_a_page_trusts_nothing_but_our_own_files(one_world: World) -> None:
    answer = page(
        one_world.context.web, "message.html", language("public", "en"), heading="a", sentence="b", status=404
    )
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 404
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Language"] == "en"


def test_who_may_frame_a_page_and_where_its_forms_may_lead() -> None:
    policy = security_headers(["https://shop.example"], ["https://api.vipps.no"])["Content-Security-Policy"]
    assert "frame-ancestors https://shop.example" in policy
    assert "form-action 'self' https://api.vipps.no;" in policy


def test_addresses_keep_the_path_below_which_a_proxy_serves_us(one_world: World) -> None:
    below = replace(one_world.context.web, app_url="https://app.example/vipps")
    text = bytes(page(below, "message.html", language("public", "en"), heading="a", sentence="b").body).decode()
    assert f'href="/vipps/static/{assets()["style.css"].digest}/style.css"' in text


async def test_files_are_kept_by_their_content(one_world: World) -> None:
    for name, asset in assets().items():
        answer = await one_world.http.get(asset.path)
        assert answer.status_code == 200, name
        assert answer.content == (STATIC / name).read_bytes()
        assert answer.headers["Content-Type"] == asset.content_type
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/0000/style.css", "/static/x/nothing.css", "/static/x/..%2Frendering.py"])
async def test_other_addresses_are_never_kept(one_world: World, path: str) -> None:
    answer: httpx.Response = await one_world.http.get(path)
    assert "immutable" not in answer.headers.get("Cache-Control", "")
    assert answer.status_code == (200 if path.endswith("0000/style.css") else 404)


def test_script_and_style_stay_small() -> None:
    assert sum(len(it.content) for it in assets().values() if it.name.endswith((".css", ".js"))) < MOST_BYTES


def test_templates_hold_nothing_inline_and_nothing_from_elsewhere() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\s(style|on[a-z]+)\s*=", text), path
        assert not re.search(r"<style|<script(?![^>]*\ssrc=)|\|\s*safe\b|https?://", text), path
