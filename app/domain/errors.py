"""Every way of saying no, with a stable code and one cause each.

RecurringError
├── InvalidInput          a field is wrong; the message names the remedy
├── NotFound              unknown, or not the caller's: the two are not told apart
├── Unauthenticated       no or unusable credentials
│   └── UnknownKey        signed with a key we have not seen
├── Forbidden             known caller, missing right
├── Duplicate             the same thing was asked for before
├── BatchTooLarge
├── IllegalState          the agreement's or charge's state does not allow it
│   └── Overtaken         it is not what whoever asks had before them
├── LimitExceeded         above what the agreement allows to charge
└── ProviderError         what came of a call to Vipps or Saleor; callers branch on the four kinds and on nothing else
    ├── Rejected          they said no: store and show why, never retry unchanged
    ├── Unavailable       nothing happened, or it is safe to repeat with the same key
    ├── OutcomeUnknown    sent, but no usable answer: keep the key, repeat with it or read back
    └── Misconfigured     credentials, rights or merchant serial number: the merchant has to act
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    DUPLICATE = "DUPLICATE"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    ILLEGAL_STATE = "ILLEGAL_STATE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    REJECTED = "REJECTED"
    UNAVAILABLE = "UNAVAILABLE"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    MISCONFIGURED = "MISCONFIGURED"
    INTERNAL = "INTERNAL"


class RecurringError(Exception):
    """A refusal that somebody may read: never holds a secret, a phone number, a name or an e-mail address."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(RecurringError):
    code = ErrorCode.INVALID


class NotFound(RecurringError):
    code = ErrorCode.NOT_FOUND


class Unauthenticated(RecurringError):
    code = ErrorCode.UNAUTHENTICATED


class UnknownKey(Unauthenticated):
    """Signed with a key that the known set does not have: perhaps the signer has a new one."""


class Forbidden(RecurringError):
    code = ErrorCode.PERMISSION_DENIED


class Duplicate(RecurringError):
    code = ErrorCode.DUPLICATE


class BatchTooLarge(RecurringError):
    code = ErrorCode.BATCH_TOO_LARGE


class IllegalState(RecurringError):
    code = ErrorCode.ILLEGAL_STATE


class Overtaken(IllegalState):
    """Somebody else was quicker; nothing was done."""


class LimitExceeded(RecurringError):
    code = ErrorCode.LIMIT_EXCEEDED


class ProviderError(RecurringError):
    """What came of an outgoing call. `context_id` is the other side's id of the call, to quote to their support."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        status: int | None = None,
        provider_code: str | None = None,
        context_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.status = status
        self.provider_code = provider_code
        self.context_id = context_id
        self.retry_after = retry_after


# v2's word and v3's for the same (facts: VIPPS 8.1, 8.2).
_UNKNOWN = frozenset({"invalid.agreementId", "invalid-agreement-id"})
_OTHER_BODY = frozenset({"idempotentkey.hash.mismatch", "idempotency-conflict"})


class Rejected(ProviderError):
    code = ErrorCode.REJECTED

    @property
    def unknown_object(self) -> bool:
        """True where the answer means that the agreement or charge does not exist for this merchant."""
        return self.status == 404 or self.provider_code in _UNKNOWN  # noqa: PLR2004

    @property
    def in_conflict(self) -> bool:
        """True where the same key may be at work right now; a conflict over another body is a plain refusal."""
        return self.status == 409 and self.provider_code not in _OTHER_BODY  # noqa: PLR2004


class Unavailable(ProviderError):
    code = ErrorCode.UNAVAILABLE


class OutcomeUnknown(ProviderError):
    code = ErrorCode.OUTCOME_UNKNOWN


class Misconfigured(ProviderError):
    code = ErrorCode.MISCONFIGURED
