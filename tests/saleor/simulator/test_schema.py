"""The small schema is a part of Saleor's, in every version that is at hand, and every field of it is served."""

import graphql
import pytest

from app.saleor.simulator.api.execution import _TABLES
from app.saleor.simulator.schema import COMPLETE, SERVED_PART, schema_of

VERSIONS = ["3.21", "3.22", "3.23", "3.24"]
LAXER = {"CheckoutCreateInput.lines"}  # from 3.24 on a checkout may begin without lines
# What the small schema serves to 3.21 too, although Saleor does so from 3.22 on.
SINCE_322 = ("AppProblem", "Minute", "Mutation.appProblem", "OtherPayment", "PaymentMethodDetailsInput", "PositiveInt")
DETAILS = "Mutation.transactionEventReport(paymentMethodDetails)"


def fields(kind: graphql.GraphQLNamedType) -> dict[str, graphql.GraphQLField | graphql.GraphQLInputField]:
    return getattr(kind, "fields", {})


def differences(part: graphql.GraphQLSchema, whole: graphql.GraphQLSchema) -> list[str]:
    found = []
    for name, kind in part.type_map.items():
        other = whole.type_map.get(name)
        if other is None or type(other) is not type(kind):
            found.append(name)
            continue
        if isinstance(kind, graphql.GraphQLEnumType) and isinstance(other, graphql.GraphQLEnumType):
            found += [f"{name}.{value}" for value in kind.values if value not in other.values]
        for field_name, field in fields(kind).items():
            found += _field_differences(f"{name}.{field_name}", field, fields(other).get(field_name))
    return found


def _field_differences(place: str, mine: object, theirs: object) -> list[str]:
    if theirs is None or str(getattr(mine, "type", "")) != str(getattr(theirs, "type", "")):
        return [place]
    their_arguments = getattr(theirs, "args", {})
    return [
        f"{place}({name})"
        for name, argument in getattr(mine, "args", {}).items()
        if name not in their_arguments or str(their_arguments[name].type) != str(argument.type)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_field_and_argument_of_the_small_schema_is_saleors(version: str) -> None:
    if not (COMPLETE / f"schema-{version}.graphql").is_file():
        pytest.skip(f"Saleor's schema {version} is not at hand")
    found = set(differences(schema_of("any", None), schema_of(version))) - LAXER
    if version == "3.21":
        found = {name for name in found if not name.startswith(SINCE_322)} - {DETAILS}
    assert found == set()


def test_small_schema_is_valid() -> None:
    graphql.assert_valid_schema(graphql.build_schema(SERVED_PART.read_text(encoding="utf-8")))


def test_small_schema_serves_unknown_versions_and_is_built_once() -> None:
    assert schema_of("3.20") is schema_of("any", None)


def test_every_field_of_the_small_schema_has_a_resolver() -> None:
    """Payloads, connections and events are dictionaries or share one table."""
    elsewhere = {"MetadataItem", "PageInfo", "Subscription"}
    missing = [
        f"{name}.{field}"
        for name, kind in schema_of("any", None).type_map.items()
        if isinstance(kind, graphql.GraphQLObjectType) and name in _TABLES and name not in elsewhere
        for field in kind.fields
        if field not in _TABLES[name]
    ]
    assert missing == []
