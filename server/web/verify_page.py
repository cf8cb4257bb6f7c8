"""``GET /verify``: the page on which anybody recomputes a round. It knows no session."""

from quart import Blueprint, Response

from server.web.static_files import StaticFiles

_FILE = "verify.html"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def verify_page(files: StaticFiles) -> Blueprint:
    """The page; 404 where it is not among the files."""
    blueprint = Blueprint("verify_page", __name__)

    @blueprint.get("/verify")
    async def verify() -> Response:
        return files.answer(_FILE, _POLICY)

    return blueprint
