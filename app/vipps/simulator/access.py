"""The access token endpoint, whose errors are those of another product and look like it."""

import uuid

from app.vipps.simulator.answers import Answer, json_answer, refusal_answer
from app.vipps.simulator.config import MerchantCredentials
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.refusals import RefusedError
from app.vipps.simulator.state import Simulator

PATHS = ("/accesstoken/get", "/accessToken/get")
OPERATION = "getAccessToken"


def answer_token(simulator: Simulator, call: Call) -> Answer:
    try:
        subscriber = simulator.gateway.subscriber(call)
    except RefusedError as refusal:
        return refusal_answer(refusal, call.path, simulator.config.error_style)
    client_id, client_secret = call.headers.get("client_id"), call.headers.get("client_secret")
    if not client_id or not client_secret:
        return _directory_error(
            simulator, 400, "invalid_request", 900144, "The request lacks client_id or client_secret."
        )
    merchant = simulator.tokens.merchant(client_id, client_secret)
    if merchant != subscriber:
        # Right keys of two different sales units do not fit together either.
        return _directory_error(simulator, 401, "unauthorized_client", 700016, "The application was not found.")
    return _token_answer(simulator, subscriber)


def _token_answer(simulator: Simulator, merchant: MerchantCredentials) -> Answer:
    token = simulator.tokens.issue(merchant)
    # Every value is text, numbers included: so it is documented, and clients must cope.
    content = {
        "token_type": "Bearer",
        "expires_in": str(simulator.config.token_seconds),
        "ext_expires_in": "0",
        "expires_on": str(int(token.expires.timestamp())),
        "not_before": str(int(token.not_before.timestamp())),
        "resource": "00000002-0000-0000-c000-000000000000",
        "access_token": token.text,
    }
    return json_answer(200, content)


def _directory_error(simulator: Simulator, status: int, error: str, number: int, text: str) -> Answer:
    content = {
        "error": error,
        "error_description": f"AADSTS{number}: {text}",
        "error_codes": [number],
        "timestamp": simulator.clock.now().strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": str(uuid.uuid4()),
        "correlation_id": str(uuid.uuid4()),
        "error_uri": f"https://login.windows.net/error?code={number}",
    }
    return json_answer(status, content)
