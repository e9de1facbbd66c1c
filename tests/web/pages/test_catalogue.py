"""Every language says all that English says, with the same placeholders, and the right one is chosen."""

import re
import string
import tomllib

import pytest

from app.domain.errors import ErrorCode
from app.web.pages.catalogue import FALLBACK, LOCALES, flat, language, languages, offered, preferred
from app.web.pages.rendering import TEMPLATES

FILES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in LOCALES.glob("*.toml")}


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", sorted(FILES))
def test_a_language_has_all_of_an_area_or_none_of_it(code: str) -> None:
    english = FILES[FALLBACK]
    for area, table in FILES[code].items():
        complete = {key: _placeholders(text) for key, text in flat(english[area])}
        assert {key: _placeholders(text) for key, text in flat(table)} == complete, area


@pytest.mark.parametrize("code", sorted(FILES))
def test_every_language_can_write_sums_and_days(code: str) -> None:
    assert {"format", "public"} <= set(FILES[code])


def test_no_text_is_empty_or_padded() -> None:
    for code, it in languages().items():
        words = {key: text for key, text in it.texts.items() if not key.startswith("format.")}
        assert [(code, key) for key, text in words.items() if not text or text != text.strip()] == []


def test_templates_name_only_keys_that_exist() -> None:
    known = set(languages()[FALLBACK].texts)
    used = {
        key for path in TEMPLATES.rglob("*.html") for key in re.findall(r"\bt\(\s*[\"']([\w.]+)[\"']", path.read_text())
    }
    beginnings = {key for key in used if key.endswith(".")}  # the rest is a name from the code
    assert {it for it in beginnings if not any(key.startswith(it) for key in known)} == set()
    assert {key for key in used - beginnings if key not in known and f"{key}.other" not in known} == set()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "en"),
        ("", "en"),
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("no", "nb"),
        ("nn-NO, en;q=0.5", "nb"),
        ("de-DE, da;q=0.7, sv;q=0.9", "sv"),
        ("fi;q=0, sv;q=0.1", "sv"),
        ("*;q=0.5", "en"),
        ("de", "en"),
        ("sv;q=0.8,da;q=0.8", "sv"),
        ("x" * 5000, "en"),
        ("nb;q=nan, \x00", "en"),
    ],
)
def test_a_browser_is_answered_in_its_language(header: str | None, code: str) -> None:
    assert preferred("public", header).code == code


def test_an_area_is_offered_only_where_it_is_translated() -> None:
    assert set(offered("public")) == {"en", "nb", "da", "fi", "sv"}
    assert set(offered("dashboard")) == {"en", "nb"}
    assert preferred("dashboard", "fi").code == "en"


@pytest.mark.parametrize(
    ("code", "chosen"), [("nb-NO", "nb"), ("NO", "nb"), ("nb_NO", "nb"), (None, "en"), ("xx", "en")]
)
def test_a_code_chooses_a_language(code: str | None, chosen: str) -> None:
    assert language("public", code).code == chosen


def test_a_count_chooses_between_one_and_many() -> None:
    english = language("public", "en")
    assert english.text("format.every.month", count=1) == "every month"
    assert english.text("format.every.month", count=3) == "every 3 months"


@pytest.mark.parametrize("code", ["en", "nb"])
def test_every_refusal_is_said_in_the_readers_language(code: str) -> None:
    texts = language("dashboard", code).texts
    assert all(texts[f"dashboard.lists.refusal.{it}"] for it in ErrorCode)
