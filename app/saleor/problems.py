"""App problems: what staff see in Saleor's Dashboard when something waits for them (facts: SALEOR 10)."""

from app.domain.account import Installation
from app.saleor.calls import SaleorCalls
from app.saleor.versions import PROBLEMS_SINCE, version_of

_LONGEST_MESSAGE = 2048
_TOLD_AGAIN_AFTER = 24 * 60  # minutes: within them the same problem is counted instead of listed again
_GONE = frozenset({"NOT_FOUND"})


class ProblemCalls(SaleorCalls):
    """The part of the Shop port that is about app problems; shops that know none are told of none."""

    async def raise_problem(self, installation: Installation, key: str, message: str) -> None:
        if _knows_problems(installation):
            variables = {"key": key, "message": message[:_LONGEST_MESSAGE], "minutes": _TOLD_AGAIN_AFTER}
            await self._change(installation, "mutations/raise-problem", "appProblemCreate", variables)

    async def dismiss_problem(self, installation: Installation, key: str) -> None:
        if _knows_problems(installation):
            name = "mutations/dismiss-problem"
            await self._change(installation, name, "appProblemDismiss", {"keys": [key]}, done=_GONE)


def _knows_problems(installation: Installation) -> bool:
    return version_of(installation.saleor_version) >= PROBLEMS_SINCE
