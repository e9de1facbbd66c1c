"""The knobs that can be turned while the simulator runs; the configuration says how they stand at first."""

from dataclasses import dataclass, fields
from datetime import timedelta

from app.vipps.simulator.config import SimulatorConfig


@dataclass(slots=True)
class Knobs:
    rate_limits_on: bool
    strict_fields: bool  # v3 refuses fields that it does not know
    forced_202: bool  # v3 answers changes, cancellations, captures and refunds with 202
    accepted_delay: timedelta  # how long until what was answered with 202 is done
    batch_delay: timedelta  # how long until the charges of a batch come into being
    repeated_stop_ok: bool  # v3 answers 204 to stopping what is stopped, as from September 2026; before, 400
    v2_draft_keys: bool  # v2 drafts honour the idempotency key that is none of theirs
    require_https: bool  # webhooks can be registered for https only


def knobs_of(config: SimulatorConfig) -> Knobs:
    return Knobs(**{knob.name: getattr(config, knob.name) for knob in fields(Knobs)})
