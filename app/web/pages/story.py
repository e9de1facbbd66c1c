"""What a moment of a story says in the reader's language: the states before and after, or the sum that it is about."""

import re

from app.domain.money import Currency, Money
from app.usecases.explaining import Moment
from app.web.pages import formats
from app.web.pages.catalogue import Language

_STEP = re.compile(r"([A-Z_]+) → ([A-Z_]+)")
_SUM = re.compile(rf"\bamount=(\d+) currency=({'|'.join(Currency)})\b")


def said(language: Language, moment: Moment) -> str:
    """Empty where the moment has only words of machines, which are for those who ask for them."""
    about, _, what = moment.what.partition(".")
    if what == "status" and (step := _STEP.match(moment.text)):
        names = [language.texts.get(f"dashboard.lists.{about}.{state}", state) for state in step.groups()]
        return " → ".join(names)
    if found := _SUM.search(moment.text):
        return formats.money(language, Money(int(found[1]), Currency(found[2])))
    return ""
