"""Everything besides orders that can be looked at: the shop, channels, people, products and apps."""

from typing import Any

from app.saleor.simulator import ids, permissions
from app.saleor.simulator.api.fields import Fields, Request, always, moment, plain
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.api.payment_methods import of_user
from app.saleor.simulator.api.problems import problems_of
from app.saleor.simulator.models import App, Webhook

COUNTRIES = {"NO": "Norway", "DK": "Denmark", "FI": "Finland", "SE": "Sweden"}

SHOP: Fields = {
    "id": always(ids.encode("Shop", 1)),
    "name": lambda _, request: request.shop.name,
    "version": lambda _, request: _for_staff_and_apps(request, request.site.full_version),
    "schemaVersion": lambda _, request: request.site.schema_version,
    "domain": lambda _, request: request.site,
    "companyAddress": lambda _, request: request.shop.company_address,
}

DOMAIN: Fields = {"host": plain("domain"), "url": plain("url"), "sslEnabled": plain("uses_ssl")}

CHANNEL: Fields = METADATA | {
    "id": plain("id"),
    "slug": plain("slug"),
    "name": plain("name"),
    "isActive": plain("is_active"),
    "currencyCode": plain("currency"),
    "defaultCountry": plain("country"),
    "paymentSettings": lambda channel, _: {"defaultTransactionFlowStrategy": channel.flow_strategy},
    "taxConfiguration": always({"pricesEnteredWithTax": True}),
}

COUNTRY: Fields = {"code": lambda code, _: code, "country": lambda code, _: COUNTRIES.get(code, code)}

ADDRESS: Fields = METADATA | {
    "id": plain("id"),
    "firstName": plain("first_name"),
    "lastName": plain("last_name"),
    "companyName": plain("company_name"),
    "streetAddress1": plain("street_address_1"),
    "streetAddress2": plain("street_address_2"),
    "city": plain("city"),
    "cityArea": plain("city_area"),
    "postalCode": plain("postal_code"),
    "country": plain("country"),
    "countryArea": plain("country_area"),
    "phone": plain("phone"),
}

USER: Fields = METADATA | {
    "id": plain("id"),
    "email": plain("email"),
    "firstName": plain("first_name"),
    "lastName": plain("last_name"),
    "isStaff": plain("is_staff"),
    "isActive": plain("is_active"),
    "isConfirmed": always(True),  # noqa: FBT003 - the value of a field
    "userPermissions": lambda user, _: sorted(user.permissions),
    "languageCode": plain("language"),
    "defaultBillingAddress": plain("address"),
    "defaultShippingAddress": plain("address"),
    "storedPaymentMethods": of_user,
    "externalReference": plain("external_reference"),
    "dateJoined": moment("joined_at"),
    "updatedAt": moment("joined_at"),
}

PERMISSION: Fields = {"code": lambda code, _: code, "name": lambda code, _: permissions.LABELS[code]}

PRODUCT: Fields = METADATA | {
    "id": plain("id"),
    "name": plain("name"),
    "slug": plain("slug"),
    "productType": plain("product_type"),
    "variants": plain("variants"),
    "externalReference": plain("external_reference"),
    "created": moment("created_at"),
    "updatedAt": moment("created_at"),
}

PRODUCT_TYPE: Fields = METADATA | {
    "id": plain("id"),
    "name": plain("name"),
    "slug": plain("slug"),
    "isShippingRequired": plain("is_shipping_required"),
}

VARIANT: Fields = METADATA | {
    "id": plain("id"),
    "name": plain("name"),
    "sku": plain("sku"),
    "product": plain("product"),
    "externalReference": plain("external_reference"),
    "created": moment("created_at"),
    "updatedAt": moment("created_at"),
}


def _for_staff_and_apps(request: Request, value: Any) -> Any:
    requestor = request.requestor
    if requestor.app or (requestor.user and requestor.user.is_staff):
        return value
    raise permissions.PermissionDenied("AUTHENTICATED_STAFF_USER", "AUTHENTICATED_APP")


def _tokens(app: App, request: Request) -> list[App]:
    _own_or_manage(app, request)
    return [app]


def _webhooks(app: App, request: Request) -> list[Webhook]:
    _own_or_manage(app, request)
    return app.webhooks


def _own_or_manage(app: App, request: Request) -> None:
    if not request.requestor.is_(app):
        request.requestor.require_any("MANAGE_APPS")


def _from_manifest(key: str) -> Any:
    return lambda app, _request: app.manifest.get(key)


APP: Fields = METADATA | {
    "id": plain("id"),
    "identifier": plain("identifier"),
    "name": plain("name"),
    "type": always("THIRDPARTY"),
    "isActive": plain("is_active"),
    "created": moment("created_at"),
    "permissions": lambda app, _: sorted(app.permissions),
    "manifestUrl": plain("manifest_url"),
    "tokens": _tokens,
    "webhooks": _webhooks,
    "problems": problems_of,
    "version": _from_manifest("version"),
    "author": _from_manifest("author"),
    "appUrl": _from_manifest("appUrl"),
    "homepageUrl": _from_manifest("homepageUrl"),
    "supportUrl": _from_manifest("supportUrl"),
    "dataPrivacyUrl": _from_manifest("dataPrivacyUrl"),
}

APP_TOKEN: Fields = {
    "id": lambda app, _: ids.encode("AppToken", app.number),
    "name": always("Default token"),
    "authToken": lambda app, _: app.token[-4:],
}

WEBHOOK: Fields = {
    "id": plain("id"),
    "name": plain("name"),
    "identifier": plain("identifier"),
    "app": plain("app"),
    "targetUrl": plain("target_url"),
    "isActive": plain("is_active"),
    "subscriptionQuery": plain("query"),
    "asyncEvents": lambda webhook, _: sorted(webhook.asynchronous),
    "syncEvents": lambda webhook, _: sorted(webhook.synchronous),
}

WEBHOOK_EVENT: Fields = {
    "eventType": lambda name, _: name,
    "name": lambda name, _: name.replace("_", " ").capitalize(),
}

OBJECTS: dict[str, Fields] = {
    "Shop": SHOP,
    "Domain": DOMAIN,
    "Channel": CHANNEL,
    "CountryDisplay": COUNTRY,
    "Address": ADDRESS,
    "User": USER,
    "UserPermission": PERMISSION,
    "Permission": PERMISSION,
    "Product": PRODUCT,
    "ProductType": PRODUCT_TYPE,
    "ProductVariant": VARIANT,
    "App": APP,
    "AppToken": APP_TOKEN,
    "Webhook": WEBHOOK,
    "WebhookEventAsync": WEBHOOK_EVENT,
    "WebhookEventSync": WEBHOOK_EVENT,
}
