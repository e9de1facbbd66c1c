"""Secrets at rest: Fernet with rotating keys, the newest writes and every known one reads."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.domain.errors import Misconfigured


class SecretBox:
    """`keys` are SECRET_KEY's parts, newest first; each may be any text of at least 32 characters."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Misconfigured(
                "a stored secret cannot be read with SECRET_KEY; add the key it was written with"
            ) from None

    def reseal(self, sealed: str) -> str:
        """Encrypt with the newest key what an older one wrote."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise Misconfigured(
                "a stored secret cannot be read with SECRET_KEY; add the key it was written with"
            ) from None


def _derive(key: str) -> bytes:
    """Fernet wants 32 bytes in URL-safe base64; the keys are long random text, so one hash is enough."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"vipps-recurring/fernet/" + key.encode()).digest())
