"""The files of the player's page, read once at the start: what is not in memory can't be asked for."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from quart import Blueprint, Response, request
from werkzeug.http import parse_accept_header

from server.http.errors import NO_PAGE_POLICY, not_found

FILES_BYTES_MAX = 67_108_864

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

COMPRESSED = frozenset({".css", ".html", ".js", ".json", ".map", ".mjs", ".svg", ".txt", ".webmanifest"})
"""What is text; everything else is compressed already."""

_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class StaticFilesError(Exception):
    """The folder of static files can't be served."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file's bytes as sent."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as served; ``gzipped`` is there if it is shorter."""

    plain: Encoded
    gzipped: Encoded | None
    content_type: str


class StaticFiles:
    """Files by their path relative to the folder."""

    def __init__(self, files: dict[str, StaticFile]) -> None:
        self._files = files

    @property
    def player_page(self) -> bytes:
        """The page that plays a session."""
        return self._files["index.html"].plain.content

    def answer(self, name: str, policy: str) -> Response:
        """The file of this name under a Content-Security-Policy, or 304 for who has it already.

        Raises the refusal 404.
        """
        file = self._files.get(name)
        if file is None:
            raise not_found()
        headers = {
            "content-type": file.content_type,
            "cache-control": "no-cache",
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
        }
        chosen = file.plain
        if file.gzipped is not None:
            headers["vary"] = "accept-encoding"
            if parse_accept_header(",".join(request.headers.getlist("accept-encoding")))["gzip"] > 0:
                chosen = file.gzipped
        if chosen is not file.plain:
            headers["content-encoding"] = "gzip"
        response = Response(chosen.content, headers=headers)
        response.set_etag(chosen.etag)
        if request.if_none_match.contains_weak(chosen.etag):
            response.status_code = 304
            response.set_data(b"")
            del response.content_length, response.content_encoding
        return response


def static_files(files: StaticFiles) -> Blueprint:
    """``/static/<path>``: the files, each by its name."""
    blueprint = Blueprint("static_files", __name__)

    @blueprint.get("/static/<path:path>")
    async def serve(path: str) -> Response:
        return files.answer(path, _POLICY if path.endswith(".html") else NO_PAGE_POLICY)

    return blueprint


def load_static_files(folder: Path) -> StaticFiles:
    """Read every file of a known type below ``folder``; hidden ones and links that lead outside are left out.

    Raises ``StaticFilesError`` if the folder has no ``index.html`` or far too much in it.
    """
    root = folder.resolve()
    files: dict[str, StaticFile] = {}
    length = 0
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if is_hidden or path.suffix not in CONTENT_TYPES or not path.is_file() or not _is_inside(path, root):
            continue
        content = path.read_bytes()
        length += len(content)
        if length > FILES_BYTES_MAX:
            raise StaticFilesError(f"the static files in {folder} exceed {FILES_BYTES_MAX} bytes")
        files[name.as_posix()] = _static_file(path.suffix, content)
    if "index.html" not in files:
        raise StaticFilesError(f"there is no index.html in {folder}")
    return StaticFiles(files)


def _static_file(suffix: str, content: bytes) -> StaticFile:
    digest = hashlib.sha256(content).hexdigest()[:32]
    plain = Encoded(content, digest)
    gzipped = None
    if suffix in COMPRESSED:
        # Without the time of day in it, so that every node sends the same bytes.
        short = gzip.compress(content, mtime=0)
        if len(short) < len(content):
            gzipped = Encoded(short, f"{digest}-gzip")
    return StaticFile(plain, gzipped, CONTENT_TYPES[suffix])


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)
