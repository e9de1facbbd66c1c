"""Orders, apps and deliveries as plain JSON values, for the control endpoints and the page."""

from typing import Any

from app.saleor.simulator.catalog_models import Product, ShippingMethodType
from app.saleor.simulator.checkout_models import Checkout, CheckoutLine
from app.saleor.simulator.deliveries import Delivery
from app.saleor.simulator.models import App, Order, OrderEvent, OrderLine, User

View = dict[str, Any]


def user_view(user: User) -> View:
    return {"id": user.id, "email": user.email, "is_staff": user.is_staff, "permissions": sorted(user.permissions)}


def product_view(product: Product) -> View:
    variants = [
        {
            "id": v.id,
            "name": v.name,
            "sku": v.sku,
            "price": float(v.price),
            "available": v.available,
            "metadata": v.metadata,
        }
        for v in product.variants
    ]
    return {
        "id": product.id,
        "name": product.name,
        "unpublishedIn": sorted(product.unpublished_in),
        "metadata": product.metadata,
        "variants": variants,
    }


def shipping_method_view(method: ShippingMethodType) -> View:
    return {"id": method.id, "shownId": method.shown_id, "name": method.name, "price": float(method.price)}


def checkout_view(checkout: Checkout) -> View:
    return {
        "id": checkout.id,
        "channel": checkout.channel.slug,
        "user": checkout.user.id if checkout.user else None,
        "email": checkout.email,
        "shippingMethod": checkout.shipping_method.name if checkout.shipping_method else None,
        "voucherCode": checkout.voucher_code,
        "total": {"amount": float(checkout.total), "currency": checkout.channel.currency},
        "chargeStatus": checkout.charge_status,
        "authorizeStatus": checkout.authorize_status,
        "lines": [_line(line) for line in checkout.lines],
        "metadata": checkout.metadata,
    }


def _line(line: OrderLine | CheckoutLine) -> View:
    name = line.product_name if isinstance(line, OrderLine) else line.variant.product.name
    return {
        "name": name,
        "variant": line.variant.id if line.variant else None,
        "quantity": line.quantity,
        "total": float(line.total),
    }


def order_view(order: Order) -> View:
    return {
        "id": order.id,
        "number": str(order.number),
        "created": order.created_at.isoformat(),
        "status": order.status,
        "origin": order.origin,
        "checkout": order.checkout_id,
        "chargeStatus": order.charge_status,
        "isPaid": order.is_paid,
        "channel": order.channel.slug,
        "total": {"amount": float(order.total), "currency": order.channel.currency},
        "charged": float(order.total_charged),
        "user": order.user.id if order.user else None,
        "userEmail": order.email,
        "externalReference": order.external_reference,
        "shippingMethod": order.shipping_method.name if order.shipping_method else None,
        "voucherCode": order.voucher_code,
        "lines": [_line(line) for line in order.lines],
        "metadata": order.metadata,
        "privateMetadata": order.private_metadata,
        "notes": [_note(note) for note in order.notes],
        "events": [{"type": event.type} | _note(event) for event in order.events],
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
