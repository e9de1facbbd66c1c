"""A failed period that its customer pays after all: by a new agreement whose first charge is the period's."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.agreement import DRAFT_LIFE
from app.domain.money import Money

_ROWS = uuid.UUID("7d0c1f6e-52ab-5e0f-8c3d-91b4a6e2f705")
_SLACK = timedelta(minutes=2)  # clocks differ, and Vipps says last that a draft is over


class RecoveryStatus(StrEnum):
    """OPEN while the customer may still approve, and until what came of it is settled; PAID and OVER are final."""

    OPEN = "OPEN"
    PAID = "PAID"
    OVER = "OVER"


@dataclass(frozen=True, slots=True)
class Recovery:
    """One draft that was made for one period. `id` is the new agreement's row id, `number` counts a period's drafts.

    `resume_at` is when the dunning policy goes on if nothing comes of it; None where the period was given up already.
    """

    id: str
    shop: str
    account_id: str
    subscription_id: str
    renewal_id: str
    number: int
    amount: Money
    status: RecoveryStatus
    created_at: datetime
    resume_at: datetime | None = None

    @property
    def order_id(self) -> str:
        return order_id_of(self.id)

    @property
    def until(self) -> datetime:
        """By when the draft has been approved, or is over."""
        return self.created_at + DRAFT_LIFE + _SLACK


def recovery_id(renewal_id: str, number: int) -> str:
    """Always the same for a period's draft of that number, so that two who ask at once make one."""
    return str(uuid.uuid5(_ROWS, f"{renewal_id} {number}"))


def order_id_of(recovery_id: str) -> str:
    """The order id at Vipps of the draft's first charge, which finds the draft whatever became of it."""
    return f"vr-{recovery_id}"
