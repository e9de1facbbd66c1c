"""Idempotency keys: the first answer to a key is the answer to every repetition of the same request."""

import hashlib
import re
from collections.abc import Callable

from app.vipps.simulator.answers import Answer
from app.vipps.simulator.refusals import refuse

# 1 to 40 visible ASCII characters; the four of the documentation are out, and so is the colon that Vipps refuses.
_FORMAT = re.compile(r"[!-~]{1,40}")
_FORBIDDEN = frozenset("#?/\\:")
_FIRST_SERVER_ERROR = 500


def check_key(key: str | None, *, required: bool) -> None:
    if key is None:
        if required:
            message = "The header Idempotency-Key is missing."
            raise refuse(400, message, code="idempotency-key-header", field="Idempotency-Key")
    elif not _FORMAT.fullmatch(key) or _FORBIDDEN & set(key):
        message = "Invalid value for Idempotency-Key"
        raise refuse(400, message, code="idempotency-key-header", field="Idempotency-Key")


class IdempotencyStore:
    """Keys are told apart by merchant, method and path; answers are kept for as long as the simulator lives."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, ...], tuple[bytes, Answer]] = {}

    def once(self, scope: tuple[str, ...], body: bytes, act: Callable[[], Answer]) -> Answer:
        fingerprint = hashlib.sha256(body).digest()
        if (known := self._answers.get(scope)) is not None:
            if known[0] != fingerprint:
                message = "This key was used for another request."
                raise refuse(409, message, code="idempotentkey.hash.mismatch", field="Idempotency-Key")
            return known[1]
        answer = act()
        if answer.status < _FIRST_SERVER_ERROR:
            self._answers[scope] = (fingerprint, answer)
        return answer
