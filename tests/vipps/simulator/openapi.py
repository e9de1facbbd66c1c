"""Vipps' OpenAPI files as judges, amended where Vipps is known to do otherwise than they say."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "vipps"
FILES = {
    "2022": "openapi-recurring-v2-2022-01.yaml",
    "2023": "openapi-recurring-v2-and-v3-2023-12.yaml",
    "webhooks": "openapi-webhooks-2023-12.yaml",
}

needs_files = pytest.mark.skipif(
    not all((DATA / name).exists() for name in FILES.values()),
    reason="Vipps' OpenAPI files are not part of this project and are not beside it",
)

# Where the files and what Vipps really does differ, the simulator follows what it does:
# - values that are not there are null: start, stop, campaign, sub, userinfoUrl, transactionId, chargeId, externalId;
# - the price of a variable agreement is 0 in an answer and may be left out of a draft;
# - a charge id is an order id of up to 50 characters, not 15, and `\d{10+}` of 2023 is a slip for "ten digits or more";
# - the failure reasons and the status PARTIALLY_CAPTURED are the newer ones;
# - a telephone number may have eight digits, as in the 2023 file's own samples;
# - `NO` for Norway, without quotes, is what YAML calls false;
# - the kinds of a campaign and of an error overlap, so that "one of" can only mean "any of", and the names by which
#   they are to be told apart are not those of their schemas;
# - the user's own limit is absent until there is one.
NULLABLE = {
    *("campaign", "start", "stop", "sub", "userinfoUrl", "transactionId", "chargeId"),
    *("externalId", "externalAgreementId", "failureReason"),
}


def _amended(node: Any, name: str = "") -> Any:
    if isinstance(node, list):
        return [_amended(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "discriminator"}
    amended = {"anyOf" if key == "oneOf" else key: _amended(value, key) for key, value in kept.items()}
    if name == "properties":
        amended |= {key: {"anyOf": [amended[key], {"enum": [None]}]} for key in NULLABLE & amended.keys()}
    if name in {"id", "chargeId"} and amended.get("maxLength") == 15:
        amended["maxLength"] = 50
    if amended.get("pattern") == r"^\d{10+}$":
        amended["pattern"] = r"^\d{10,}$"
    if amended.get("enum") == [False]:
        amended["enum"] = ["NO"]
    if "insufficient_funds" in amended.get("enum", ()):
        amended["enum"] = ["user_action_required", "charge_amount_too_high", "non_technical_error", "technical_error"]
    if name == "VariableAmountPricingResponse":
        amended["required"] = [field for field in amended["required"] if field != "maxAmount"]
    return amended


class Contract:
    def __init__(self, era: str) -> None:
        self.document = _amended(yaml.safe_load((DATA / FILES[era]).read_text(encoding="utf-8")))
        if era == "2022":
            self.document["components"]["schemas"]["Agreement"]["properties"]["price"]["minimum"] = 0
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self.registry: Registry[Any] = Registry().with_resource("urn:vipps", resource)

    def errors(self, pointer: str, value: Any) -> list[str]:
        schema = {"$ref": "urn:vipps#" + pointer}
        validator = OAS30Validator(schema, registry=self.registry)
        return [error.message for error in validator.iter_errors(value)]

    def answer_pointer(self, path: str, method: str, status: str, media: str = "application/json") -> str | None:
        """None where the file describes an answer without a body."""
        content = self.document["paths"][path][method]["responses"].get(status, {}).get("content")
        if content is None:
            return None
        steps = ("paths", path, method, "responses", status, "content", media, "schema")
        return "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)

    def refuses(self, schema: str, body: Any) -> bool:
        return bool(self.errors(f"/components/schemas/{schema}", body))

    def operations(self, prefix: str) -> set[tuple[str, str]]:
        methods = {"get", "post", "patch", "put", "delete"}
        return {
            (path, method)
            for path, item in self.document["paths"].items()
            if path.startswith(prefix)
            for method in item
            if method in methods
        }


@cache
def contract_of(era: str) -> Contract:
    return Contract(era)
