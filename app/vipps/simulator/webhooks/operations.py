"""The operations of the Webhooks API: register, list, delete."""

import uuid

from pydantic import ConfigDict

from app.vipps.simulator.answers import Answer, json_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.operation import Operation
from app.vipps.simulator.payloads import Payload, read_payload
from app.vipps.simulator.refusals import refuse
from app.vipps.simulator.webhooks.registrations import Registrations

_WEBHOOKS = "/webhooks/v1/webhooks"


class RegisterRequest(Payload):
    model_config = ConfigDict(extra="forbid")

    url: str
    events: list[str]


def webhook_operations(registrations: Registrations) -> tuple[Operation, ...]:
    def show(_: Book, caller: Caller, __: Call) -> Answer:
        """Without the secret, which is shown once."""
        found = registrations.of(caller.msn)
        return json_answer(200, {"webhooks": [{"id": it.id, "url": it.url, "events": it.events} for it in found]})

    def register(_: Book, caller: Caller, call: Call) -> Answer:
        request = read_payload(RegisterRequest, call.body)
        made = registrations.add(caller.msn, request.url, request.events)
        return json_answer(201, {"id": made.id, "secret": made.secret})

    def delete(_: Book, caller: Caller, call: Call) -> Answer:
        registrations.remove(caller.msn, _read_id(call.path_parameters["webhook_id"]))
        return Answer(204)

    return (
        Operation("listWebhooks", ("GET",), _WEBHOOKS, show),
        Operation("registerWebhook", ("POST",), _WEBHOOKS, register, takes_body=True),
        Operation("deleteWebhook", ("DELETE",), _WEBHOOKS + "/{webhook_id}", delete),
    )


def _read_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise refuse(400, "This is no id.", field="id") from None
