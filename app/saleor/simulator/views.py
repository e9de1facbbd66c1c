"""Orders, apps and deliveries as plain JSON values, for the control endpoints and the page."""

from typing import Any

from app.saleor.simulator.deliveries import Delivery
from app.saleor.simulator.models import App, Order, OrderEvent, Product, User

View = dict[str, Any]


def user_view(user: User) -> View:
    return {"id": user.id, "email": user.email, "is_staff": user.is_staff, "permissions": sorted(user.permissions)}


def product_view(product: Product) -> View:
    variants = [
        {"id": v.id, "name": v.name, "sku": v.sku, "price": float(v.price), "metadata": v.metadata}
        for v in product.variants
    ]
    return {"id": product.id, "name": product.name, "metadata": product.metadata, "variants": variants}


def order_view(order: Order) -> View:
    return {
        "id": order.id,
        "number": str(order.number),
        "created": order.created_at.isoformat(),
        "status": order.status,
        "chargeStatus": order.charge_status,
        "isPaid": order.is_paid,
        "channel": order.channel.slug,
        "total": {"amount": float(order.total), "currency": order.channel.currency},
        "charged": float(order.charged),
        "user": order.user.id if order.user else None,
        "userEmail": order.email,
        "externalReference": order.external_reference,
        "lines": [{"name": line.product_name, "quantity": line.quantity} for line in order.lines],
        "metadata": order.metadata,
        "privateMetadata": order.private_metadata,
        "notes": [_note(note) for note in order.notes],
    }


def _note(note: OrderEvent) -> View:
    by = note.by.name if isinstance(note.by, App) else note.by and note.by.email
    return {"at": note.at.isoformat(), "by": by, "message": note.message}


def app_view(app: App) -> View:
    return {
        "id": app.id,
        "identifier": app.identifier,
        "name": app.name,
        "active": app.is_active,
        "permissions": sorted(app.permissions),
        "webhooks": [
            {"name": w.name, "targetUrl": w.target_url, "events": sorted(w.asynchronous)} for w in app.webhooks
        ],
        "extensions": [{"id": e.id, "label": e.label, "mount": e.mount, "target": e.target} for e in app.extensions],
    }


def delivery_view(delivery: Delivery) -> View:
    return {
        "delivery": delivery.number,
        "event": delivery.event.name,
        "app": delivery.app.id,
        "subject": delivery.event.subject.id,
        "targetUrl": delivery.webhook.target_url,
        "status": delivery.status.value,
        "replayOf": delivery.replay_of,
        "bodySha256": delivery.body_sha256,
        "attempts": [
            {"at": a.at.isoformat(), "status": a.status_code, "response": a.response} for a in delivery.attempts
        ],
    }
