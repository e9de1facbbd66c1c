"""The JSON bodies that the control endpoints take."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Texts = dict[str, str]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Install(Body):
    manifest_url: str
    permissions: list[str] | None = None
    activate: bool = True


class AppChoice(Body):
    app: str | None = None  # the newest when absent


class NewCustomer(Body):
    email: str = "ola.nordmann@example.com"
    first_name: str = "Ola"
    last_name: str = "Nordmann"
    metadata: Texts = {}


class NewStaff(Body):
    email: str = "admin@example.com"
    permissions: list[str] | None = None


class NewProduct(Body):
    name: str
    price: Decimal
    sku: str | None = None
    variant_name: str = "Standard"
    metadata: Texts = {}
    variant_metadata: Texts = {}
    is_shipping_required: bool = True
    stock: Annotated[int, Field(ge=0)] | None = None  # not tracked when absent


class Line(Body):
    variant: str
    quantity: Annotated[int, Field(ge=1)] = 1


class NewOrder(Body):
    customer: str | None = None
    email: str | None = None
    lines: list[Line] | None = None
    amount: Decimal | None = None
    channel: str = "norway"
    metadata: Texts = {}
    private_metadata: Texts = {}
    external_reference: str | None = None
    paid: bool = False
    confirm: bool = True


class NewMetadata(Body):
    metadata: Texts


class Charge(Body):
    amount: Decimal | None = None


class Replay(Body):
    delivery: int


class Faults(Body):
    duplicate: bool = False
    drop: bool = False
    reorder: bool = False
    events: list[str] | None = None
    subjects: list[str] | None = None
    lose_answers: bool = False
    bad_gateway: bool = False


class Absence(Body):
    seconds: Annotated[float, Field(gt=0)] | None = None  # until it is called back when absent
    status: Annotated[int, Field(ge=500, le=599)] = 503


class Move(Body):
    advance: float


class TokenWish(Body):
    kind: str
    user: str | None = None
    app: str | None = None
    extension: str | None = None
    audience: str | None = None
