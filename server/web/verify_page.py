"""``GET /verify``: the page on which anybody recomputes a round. It knows no session."""

from server.http.exchange import Request, Response
from server.web.static_files import StaticFiles

_FILE = "verify.html"
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class VerifyPage:
    """Answers ``/verify``."""

    def __init__(self, files: StaticFiles) -> None:
        self._files = files

    async def verify(self, request: Request) -> Response:
        """The page; 404 where it is not among the files."""
        return self._files.answer(request, _FILE, _POLICY)
