"""How a webhook is signed: an HMAC over method, address, date, host and the hash of the body."""

import base64
import hashlib
import hmac

import httpx


def content_hash(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def signature(secret: str, url: str, date: str, body_hash: str) -> str:
    """The secret looks like base64 and is used as it is written. The host carries a port that is not the usual one."""
    target = httpx.URL(url)
    signed = f"POST\n{target.raw_path.decode()}\n{date};{target.netloc.decode()};{body_hash}"
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)).decode()


def authorization(signed: str) -> str:
    return f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signed}"
