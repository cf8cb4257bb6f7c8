"""The OpenAPI 3.1 document of the operator API, made from the types that its requests and answers have."""

from collections.abc import Iterable
from typing import Any

from msgspec.json import schema_components
from quart_schema import Info, OpenAPIProvider, QuartSchema
from quart_schema.conversion import MSGSPEC_REF_TEMPLATE
from quart_schema.typing import Model
from werkzeug.routing import Rule

from server.web.application import WebApp

VERSION = "2026-12-01"


class OperatorDocument(OpenAPIProvider):
    """Quart-Schema's, for the operator API alone. Of msgspec's types it leaves out those inside others, and which
    parameters are required."""

    def generate_rules(self) -> Iterable[Rule]:
        return (rule for rule in super().generate_rules() if rule.endpoint.startswith("operator_api."))

    def build_response_object(
        self, model: type[Model], headers_model: type[Model] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        described, definitions = super().build_response_object(model, headers_model)
        _, inside = schema_components([model], ref_template=MSGSPEC_REF_TEMPLATE)
        described["content"]["application/json"]["schema"] = inside[model.__name__]
        return described, definitions | inside

    def build_querystring_parameters(self, model: type[Model]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        parameters, definitions = super().build_querystring_parameters(model)
        (schema,) = schema_components([model])[1].values()
        for parameter in parameters:
            parameter["required"] = parameter["name"] in schema.get("required", ())
        return parameters, definitions


def describe(app: WebApp) -> None:
    """Let an application know how it is described."""
    extension = QuartSchema(info=Info(title="Getaway operator API", version=VERSION))
    # In place of init_app, which would put a conversion of Quart-Schema's around each answer.
    app.config.update(QUART_SCHEMA_CONVERSION_PREFERENCE="msgspec", QUART_SCHEMA_CONVERT_CASING=False)
    app.extensions["QUART_SCHEMA"] = OperatorDocument(app, extension)


def openapi_document(app: WebApp) -> dict[str, Any]:
    """The document of an application that ``describe`` was called with."""
    provider: OperatorDocument = app.extensions["QUART_SCHEMA"]
    return provider.schema()
