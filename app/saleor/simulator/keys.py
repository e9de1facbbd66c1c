"""The shop's RSA key: JWKS, detached webhook signatures (RFC 7797) and JSON Web Tokens."""

import base64
import binascii
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class SigningKey:
    """One RSA-2048 key. Its id is the thumbprint of RFC 7638."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._private.public_key().public_numbers()
        self.n = _base64url(_big_endian(numbers.n))
        self.e = _base64url(_big_endian(numbers.e))
        self.kid = _thumbprint(self.n, self.e)

    def jwk(self, *, with_algorithm: bool = True) -> dict[str, Any]:
        jwk = {"kty": "RSA", "key_ops": ["verify"], "n": self.n, "e": self.e, "use": "sig", "kid": self.kid}
        return jwk | ({"alg": "RS256"} if with_algorithm else {})

    def sign_detached(self, body: bytes) -> str:
        """The signature covers the raw body, which itself is left out of the token."""
        header = _json_part({"alg": "RS256", "b64": False, "crit": ["b64"], "kid": self.kid, "typ": "JWT"})
        return f"{header}..{_base64url(self._sign(header.encode() + b'.' + body))}"

    def sign_token(self, claims: dict[str, Any]) -> str:
        header = _json_part({"alg": "RS256", "kid": self.kid, "typ": "JWT"})
        signed = f"{header}.{_json_part(claims)}"
        return f"{signed}.{_base64url(self._sign(signed.encode()))}"

    def read_token(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this key has signed; None for any other text. Expiry is the caller's question."""
        signed, _, signature = token.rpartition(".")
        try:
            self._private.public_key().verify(
                _from_base64url(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims = json.loads(_from_base64url(signed.partition(".")[2]))
        except (InvalidSignature, binascii.Error, ValueError):
            return None
        return claims if isinstance(claims, dict) else None

    def _sign(self, data: bytes) -> bytes:
        return self._private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _thumbprint(n: str, e: str) -> str:
    required_members = json.dumps({"e": e, "kty": "RSA", "n": n}, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(required_members.encode()).digest())


def _json_part(members: dict[str, Any]) -> str:
    return _base64url(json.dumps(members, separators=(",", ":")).encode())


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
