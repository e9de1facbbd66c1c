"""What a shopper's cart says about the subscription in it: the plan, its price, and what is paid at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.agreement import TransactionType
from app.domain.errors import InvalidInput
from app.domain.money import Money
from app.domain.plan import Plan
from app.domain.transaction import ActionType, EventType

INTERVAL_KEY = "vipps-recurring.interval"
INITIAL_KEY = "vipps-recurring.initial"
TRIAL_KEY = "vipps-recurring.trial"
VOUCHER_KEY = "vipps-recurring.voucher"


@dataclass(frozen=True, slots=True)
class CartLine:
    """`metadata` is the variant's over the product's, both written by the merchant only.

    `total` is gross and after discounts, `undiscounted` gross and before them, both for the whole quantity.
    """

    variant: str
    name: str
    quantity: int
    total: Money
    undiscounted: Money
    metadata: Mapping[str, str] = field(repr=False)

    @property
    def plan(self) -> Plan | None:
        """None for what is bought once. Raises InvalidInput for an interval that cannot be read."""
        text = self.metadata.get(INTERVAL_KEY, "").strip()
        return Plan.parse(text) if text else None


@dataclass(frozen=True, slots=True)
class Cart:
    """The checkout or order that is being paid, as Saleor's webhook shows it."""

    id: str
    channel: str
    customer: str | None
    lines: tuple[CartLine, ...]
    shipping: Money | None
    voucher: str | None


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What Saleor asks when a shopper begins to pay, or goes on: then the `idempotency_key` is empty.

    `data` is what the storefront says, and nobody has checked it.
    """

    transaction: str
    action: ActionType
    amount: Money
    idempotency_key: str
    cart: Cart
    data: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """`message` is for the shopper, `data` for the storefront; `psp_reference` belongs to a request or a success."""

    result: EventType
    amount: Money
    message: str = ""
    psp_reference: str | None = None
    actions: tuple[ActionType, ...] = ()
    data: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """What staff ask for on a transaction. A repeat of the request has the same `key`, another one never."""

    transaction: str
    action: ActionType
    amount: Money
    key: str


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """Without a `result` the news will come as a report under `psp_reference`."""

    result: EventType | None
    psp_reference: str | None = None
    amount: Money | None = None
    message: str = ""
    actions: tuple[ActionType, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the agreement says: `price` is what a renewal costs as far as we can tell now, shipping included.

    `transaction_type` is None where neither Saleor nor the product says whether the first payment is collected.
    """

    plan: Plan
    price: Money
    product_name: str
    transaction_type: TransactionType | None
    trial: Plan | None
    voucher_every: bool


def terms_of(cart: Cart, action: ActionType) -> Terms:
    """Raises InvalidInput, in words for the shopper, where the cart cannot be paid by one agreement."""
    recurring = [line for line in cart.lines if line.plan is not None]
    if not recurring:
        raise InvalidInput("There is no subscription in this cart; please choose another way to pay.", field="lines")
    plans = {line.plan for line in recurring}
    if len(plans) > 1:
        raise InvalidInput(
            "These subscriptions are renewed at different times and cannot be paid together; "
            "please buy them one after the other.",
            field="lines",
        )
    every = any(line.metadata.get(VOUCHER_KEY, "").strip().lower() == "every" for line in recurring)
    price = _sum([line.total if every else line.undiscounted for line in recurring])
    if cart.shipping is not None:
        price = price + cart.shipping
    said = {line.metadata.get(INITIAL_KEY, "").strip().lower() for line in recurring}
    reserve = action is ActionType.AUTHORIZATION or "reserve" in said
    collect = TransactionType.DIRECT_CAPTURE if "capture" in said else None
    name = recurring[0].name if len(recurring) == 1 else f"{recurring[0].name} + {len(recurring) - 1}"
    plan = recurring[0].plan
    if plan is None:  # never: they are chosen by it
        raise InvalidInput("There is no subscription in this cart.", field="lines")
    return Terms(
        plan=plan,
        price=price,
        product_name=name,
        transaction_type=TransactionType.RESERVE_CAPTURE if reserve else collect,
        trial=_trial(recurring),
        voucher_every=every,
    )


def _trial(recurring: list[CartLine]) -> Plan | None:
    texts = {line.metadata.get(TRIAL_KEY, "").strip() for line in recurring} - {""}
    if len(texts) > 1:
        raise InvalidInput(
            "These subscriptions have different trial periods; please buy them one after the other.", field="lines"
        )
    return Plan.parse(texts.pop()) if texts else None


def _sum(amounts: list[Money]) -> Money:
    total = amounts[0]
    for amount in amounts[1:]:
        total = total + amount
    return total
