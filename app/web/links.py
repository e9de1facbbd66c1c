"""Links that let whoever has them do one thing, without an account: an id and a signature over it, nothing of a person.

A signature says what the link is for, so that one for a payment opens nothing else. Its key is made of SECRET_KEY; all
of that setting's parts verify, the newest signs.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Sequence

from app.domain.errors import NotFound

_ID, _NUMBER, _SIGNATURE = 16, 4, 16  # bytes: 128 bits that nobody guesses
_PAY, _MY, _BACK = "pay", "my", "return"


class Links:
    """`keys` are SECRET_KEY's parts, newest first."""

    def __init__(self, keys: Sequence[str], app_url: str) -> None:
        self._keys = [hashlib.sha256(b"vipps-recurring/links/" + key.encode()).digest() for key in keys]
        self._app_url = app_url

    def pay(self, renewal_id: str) -> str:
        """The address of the page on which a period is paid whose charge failed."""
        return f"{self._app_url}/pay/{self._token(_PAY, renewal_id)}"

    def renewal_of(self, token: str) -> str:
        """The renewal's id. Raises NotFound for what was not signed here."""
        return self._read(_PAY, token)

    def my(self, row_id: str, number: int) -> str:
        """The address of the page on which a customer manages an agreement, until its links' number is another one.

        The id stands in it as it is, so that Vipps' lists show which draft is ours (`page_of` in the use cases).
        """
        name = uuid.UUID(row_id).bytes
        return f"{self._app_url}/my/{row_id}.{self._sealed(_MY, number.to_bytes(_NUMBER), name)}"

    def agreement_of(self, token: str) -> tuple[str, int]:
        """The agreement's row id, and the number of its links when this one was made. Raises NotFound."""
        row_id, _, sealed = token.partition(".")
        try:
            name = uuid.UUID(row_id)
        except ValueError:
            raise _invalid() from None
        number = int.from_bytes(self._opened(_MY, sealed, _NUMBER, name.bytes))
        if str(name) != row_id:  # there is one way to write it
            raise _invalid()
        return row_id, number

    def back(self, row_id: str) -> str:
        """The address to which Vipps sends a customer who has decided about an agreement."""
        return f"{self._app_url}/return/{self._token(_BACK, row_id)}"

    def draft_of(self, token: str) -> str:
        """The agreement's row id. Raises NotFound for what was not signed here."""
        return self._read(_BACK, token)

    def _token(self, purpose: str, row_id: str) -> str:
        return self._sealed(purpose, uuid.UUID(row_id).bytes)

    def _read(self, purpose: str, token: str) -> str:
        return str(uuid.UUID(bytes=self._opened(purpose, token, _ID)))

    def _sealed(self, purpose: str, shown: bytes, about: bytes = b"") -> str:
        """What is shown and a signature over it, and over what it is about, which whoever reads it has to know."""
        signature = _sign(self._keys[0], purpose, about + shown)
        return base64.urlsafe_b64encode(shown + signature).decode().rstrip("=")

    def _opened(self, purpose: str, sealed: str, size: int, about: bytes = b"") -> bytes:
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        shown, signature = raw[:size], raw[size:]
        genuine = [hmac.compare_digest(_sign(key, purpose, about + shown), signature) for key in self._keys]
        if len(raw) != size + _SIGNATURE or not any(genuine):
            raise _invalid()
        return shown


def _invalid() -> NotFound:
    return NotFound("this link is not valid")


def _sign(key: bytes, purpose: str, name: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"/" + name, "sha256")[:_SIGNATURE]
