"""Every kind of body in which Vipps says no, and none at all: sorted, readable, and without a person's data."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from app.vipps.errors import from_answer, from_transport, read_complaint, retry_after

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CONTEXT = "f70b8bf7-c843-4bea-95d9-94725b19895f"
PROBLEMS = "https://developer.vippsmobilepay.com/docs/APIs/recurring-api/recurring-api-problems#"
ARRAY = [
    {
        "field": "agreement.status",
        "message": "Cannot create a charge for an agreement which is not active.",
        "code": "recurring.core.charges.create.invalid_agreement",
        "contextId": CONTEXT,
    },
    {"message": "second", "contextId": CONTEXT},
]
AZURE = {
    "responseInfo": {"responseCode": 401, "responseMessage": "Unauthorized"},
    "result": {"message": "(An error from Azure API Management) Access denied"},
}
PROBLEM = {
    "type": PROBLEMS + "validation-error",
    "title": "Bad Request",
    "status": 400,
    "detail": "Input validation failed",
    "instance": "/vipps-recurring-merchant-api/v3/agreements",
    "contextId": CONTEXT,
}
AAD = {
    "error": "unauthorized_client",
    "error_description": "AADSTS700016: Application was not found",
    "error_codes": [700016],
    "timestamp": "2026-03-02 09:00:00Z",
    "trace_id": CONTEXT,
    "correlation_id": CONTEXT,
}


def answer(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers=headers)


def sorted_as(status: int, body: Any = b"", *, write: bool = True) -> ProviderError:
    return from_answer(answer(status, body), write=write, now=NOW)


def test_the_array_of_v2_is_read() -> None:
    error = sorted_as(400, ARRAY)
    assert type(error) is Rejected
    assert "Cannot create a charge for an agreement which is not active." in error.message
    assert (error.status, error.field, error.context_id) == (400, "agreement.status", CONTEXT)
    assert error.provider_code == "recurring.core.charges.create.invalid_agreement"


def test_the_platforms_object_is_read() -> None:
    error = sorted_as(401, AZURE)
    assert type(error) is Misconfigured
    assert "Access denied" in error.message


@pytest.mark.parametrize(
    "extra",
    [
        [{"field": "productName", "text": "must not be empty"}],
        [{"name": "productName", "reason": "must not be empty"}],
        [{"productName": "must not be empty"}],
        {"productName": "must not be empty"},
        [{"status": None}, "text", {"productName": "must not be empty"}],
    ],
)
def test_a_problem_is_read_with_every_shape_that_details_had(extra: Any) -> None:
    error = sorted_as(400, PROBLEM | {"extraDetails": extra})
    assert type(error) is Rejected
    assert "Input validation failed" in error.message
    assert "productName: must not be empty" in error.message
    assert (error.provider_code, error.field, error.context_id) == ("validation-error", "productName", CONTEXT)


def test_the_field_that_v2_names_comes_before_any_details() -> None:
    body = {"field": "price", "message": "No", "extraDetails": [{"name": "productName", "reason": "No"}]}
    assert sorted_as(400, body).field == "price"


def test_a_problem_without_a_kind_of_its_own_is_read() -> None:
    body = {"type": "about:blank", "title": "Not Found", "status": "404", "detail": "Agreement not found."}
    error = sorted_as(404, body | {"traceId": CONTEXT})
    assert isinstance(error, Rejected)
    assert error.unknown_object
    assert "Agreement not found." in error.message
    assert (error.provider_code, error.context_id) == (None, CONTEXT)


def test_a_problem_with_a_title_only_is_read() -> None:
    assert "Conflict" in sorted_as(409, {"title": "Conflict"}).message


def test_the_directorys_answer_is_read() -> None:
    error = sorted_as(401, AAD)
    assert type(error) is Misconfigured
    assert "AADSTS700016" in error.message
    assert (error.provider_code, error.context_id) == ("unauthorized_client", CONTEXT)


ODD_BODIES: list[Any] = [
    b"",
    b"Access denied due to invalid subscription key.",
    b"<html><body>502 Bad Gateway</body></html>",
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"42",
    b'"text"',
    b"[]",
    b"{}",
    [None],
    [[]],
    ["text"],
    {"message": None},
    {"message": 42, "code": 7, "field": [], "contextId": {}},
    {"result": "text"},
    {"result": {"message": ["x"]}},
    {"type": 3, "detail": {}, "extraDetails": "text"},
    {"extraDetails": [None, "text", {}, {"status": "Cannot modify an agreement which is not active."}, {"name": 1}]},
    {"error": {"nested": True}, "error_description": False},
    {"message": "x y" * 30_000, "code": "c" * 10_000, "contextId": "i" * 10_000},
    {"type": "https://example.com/#" + "p" * 10_000, "detail": "d" * 10_000, "field": "f" * 10_000},
    {"extraDetails": [{"name": "n" * 10_000, "reason": "r" * 10_000}] * 100},
    b'{"code": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_odd_bodies_are_read_without_a_crash_and_told_briefly(status: int, body: Any) -> None:
    started = time.monotonic()
    error = sorted_as(status, body)
    expected = {400: Rejected, 401: Misconfigured, 404: Rejected, 500: Unavailable}[status]
    assert type(error) is expected
    assert str(status) in error.message
    assert len(error.message) < 700
    assert len(error.provider_code or "") <= 120
    assert time.monotonic() - started < 5


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_any_json_at_all_is_read(data: Any) -> None:
    assert isinstance(read_complaint(json.dumps(data).encode()).message, str)


FIELDS = st.sampled_from(
    ["message", "code", "field", "contextId", "type", "title", "detail", "extraDetails", "name", "reason", "result"]
)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
        max_leaves=15,
    )
)
def test_any_json_with_the_known_names_is_read(data: Any) -> None:
    complaint = read_complaint(json.dumps(data).encode())
    assert complaint.code is None or isinstance(complaint.code, str)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(body: bytes) -> None:
    assert isinstance(read_complaint(body).message, str)


def test_deeply_nested_json_is_read_without_a_crash() -> None:
    assert read_complaint(b"[" * 100_000).message == ""


def test_a_huge_text_does_not_cost_a_second_to_clean() -> None:
    body = json.dumps({"message": "a" * 20_000}).encode()
    started = time.process_time()
    read_complaint(body)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("text", ["before\x00after", "before\ud800after"])
def test_an_error_text_can_be_stored_and_sent(text: str) -> None:
    """It goes into a PostgreSQL column and into UTF-8 answers: one takes no NUL, the other no lone surrogate."""
    error = sorted_as(400, [{"message": text, "code": text, "field": text, "contextId": text}])
    for part in (error.message, error.provider_code, error.field, error.context_id):
        assert "\x00" not in (part or "")
        assert (part or "").encode().decode() == (part or "")


PERSONAL = ["4791234567", "+4791234567", "91234567", "+47 91234567", "ola.nordmann@example.no", "Ola <ola@example.no>"]
PLACES: list[Any] = [
    lambda text: [{"message": text}],
    lambda text: {"result": {"message": text}},
    lambda text: {"detail": text},
    lambda text: {"detail": "no", "extraDetails": [{"name": "phoneNumber", "reason": text}]},
    lambda text: {"extraDetails": [{"field": "customerPhoneNumber", "text": text}]},
    lambda text: {"error_description": text},
    lambda text: {"title": text},
]


@pytest.mark.parametrize("personal", PERSONAL)
@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_no_phone_number_and_no_address_rides_along(personal: str, place: Any) -> None:
    error = sorted_as(400, place(f"The user {personal} cannot pay"))
    assert "91234567" not in error.message
    assert "@example.no" not in error.message
    assert "cannot pay" in error.message


@pytest.mark.parametrize("phone", ["+47 912 34 567", "912 34 567", "91 23 45 67"])
def test_no_phone_number_written_with_gaps_rides_along(phone: str) -> None:
    error = sorted_as(400, [{"message": f"The user {phone} cannot pay"}])
    assert phone not in error.message


def test_dates_and_amounts_stay_readable() -> None:
    text = "due 2026-03-04 is too early, 2500000 is above 125000"
    assert text in sorted_as(400, [{"message": text}]).message


def test_a_phone_number_where_the_text_is_cut_does_not_ride_along() -> None:
    for length in range(280, 305):
        error = sorted_as(400, [{"message": "x" * length + " 4791234567"}])
        assert "47912" not in error.message


@pytest.mark.parametrize(
    ("status", "write", "kind"),
    [
        *((status, write, Rejected) for status in (400, 404, 405, 409, 413, 415, 422) for write in (True, False)),
        *((status, write, Misconfigured) for status in (401, 403) for write in (True, False)),
        *((status, write, Unavailable) for status in (429, 500, 502, 503, 504, 599) for write in (True, False)),
        *((status, True, OutcomeUnknown) for status in (408, 301, 302, 307)),
        *((status, False, Unavailable) for status in (408, 301, 302, 307)),
    ],
)
def test_each_status_is_one_kind_of_failure(status: int, kind: type[ProviderError], *, write: bool) -> None:
    error = sorted_as(status, write=write)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(
    "body",
    [
        [{"message": "No", "code": "merchant.not.allowed.for.recurring.operation"}],
        [{"message": "Invalid MSN: 654321. Check your API keys."}],
        [{"message": "This is not valid for the provided supermerchant ID."}],
        {"type": PROBLEMS + "invalid-sale-unit", "title": "Forbidden"},
    ],
)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_what_only_the_merchant_can_mend_is_the_merchants_whatever_the_status(status: int, body: Any) -> None:
    assert type(sorted_as(status, body)) is Misconfigured


def test_an_unknown_agreement_is_told_from_other_refusals() -> None:
    malformed = sorted_as(400, [{"message": "Missing message", "code": "invalid.agreementId"}])
    assert isinstance(malformed, Rejected)
    assert malformed.unknown_object
    other = sorted_as(400, ARRAY)
    assert isinstance(other, Rejected)
    assert not other.unknown_object


def wait_of(value: str | bytes) -> float | None:
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    return retry_after(httpx.Headers([(b"Retry-After", raw)]), NOW)


def test_the_time_to_wait_is_read_as_seconds_or_as_a_date() -> None:
    assert wait_of("0") == 0
    assert wait_of(" 120 ") == 120
    assert wait_of(format_datetime(NOW + timedelta(seconds=90), usegmt=True)) == 90
    assert wait_of("Mon, 02 Mar 2026 10:00:30 +0100") == 30
    assert wait_of("Mon, 02 Mar 2026 09:00:30 -0000") == 30


def test_a_date_gone_by_means_no_waiting() -> None:
    assert wait_of("Mon, 02 Mar 2020 09:00:00 GMT") == 0


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-5", "1.5", "1, 2", b"\xb2"),
        *("Mon, 99 Xyz 2026", "Mon, 02 Mar 2026 09:00:30 +9999", "Mon, 02 Mar 99999999999999999999 09:00:00 GMT"),
    ],
)
def test_a_senseless_time_to_wait_is_no_time_at_all(value: str | bytes) -> None:
    assert wait_of(value) is None


def test_without_a_header_there_is_no_time_to_wait() -> None:
    assert retry_after(httpx.Headers(), NOW) is None


def test_a_time_to_wait_without_end_stays_a_number_of_seconds_that_can_be_waited() -> None:
    seconds = wait_of("9" * 400)
    assert seconds is None or timedelta(seconds=seconds) < timedelta(days=366)


def test_the_time_to_wait_comes_with_the_failure() -> None:
    response = answer(429, headers={"Retry-After": "17"})
    assert from_answer(response, write=True, now=NOW).retry_after == 17


@pytest.mark.parametrize(
    "error",
    [
        *(httpx.ReadTimeout("x"), httpx.WriteTimeout("x"), TimeoutError()),
        *(httpx.ReadError("x"), httpx.WriteError("x"), httpx.RemoteProtocolError("x"), httpx.CloseError("x")),
    ],
)
def test_a_break_after_sending_leaves_a_write_open_and_a_read_undone(error: Exception) -> None:
    assert type(from_transport(error, write=True)) is OutcomeUnknown
    assert type(from_transport(error, write=False)) is Unavailable


def test_without_a_connection_nothing_was_sent() -> None:
    assert type(from_transport(httpx.ConnectError("refused"), write=True)) is Unavailable
