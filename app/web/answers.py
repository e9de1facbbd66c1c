"""Which HTTP status each refusal is, for all handlers that are not GraphQL."""

from app.domain.errors import (
    BatchTooLarge,
    Duplicate,
    Forbidden,
    IllegalState,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    RecurringError,
    Unauthenticated,
    Unavailable,
)


class WrongType(InvalidInput):
    """The body is not sent in the format that is read here."""


# Looked through from the top: a subclass stands before what it is made from.
_STATUS: tuple[tuple[type[RecurringError], int], ...] = (
    (WrongType, 415),
    (BatchTooLarge, 400),
    (InvalidInput, 400),
    (LimitExceeded, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Duplicate, 409),
    (IllegalState, 409),
    (Unavailable, 503),
    (OutcomeUnknown, 503),
)
_UPSTREAM = 502  # the other side said no, or the merchant's settings are wrong


def http_status(error: RecurringError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), _UPSTREAM)
