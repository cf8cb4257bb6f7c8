"""The files of the player's page, read once at the start: what is not in memory can't be asked for."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from server.http.errors import not_found
from server.http.exchange import NO_PAGE_POLICY, Request, Response
from server.web.content_coding import accepts_gzip

STATIC_PREFIX = "/static/"
FILES_BYTES_MAX = 67_108_864

CONTENT_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".gif": b"image/gif",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".jpg": b"image/jpeg",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".map": b"application/json",
    ".mjs": b"text/javascript; charset=utf-8",
    ".mp3": b"audio/mpeg",
    ".ogg": b"audio/ogg",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".wav": b"audio/wav",
    ".webmanifest": b"application/manifest+json",
    ".webp": b"image/webp",
    ".woff2": b"font/woff2",
}

COMPRESSED = frozenset({".css", ".html", ".js", ".json", ".map", ".mjs", ".svg", ".txt", ".webmanifest"})
"""What is text; everything else is compressed already."""

_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class StaticFilesError(Exception):
    """The folder of static files can't be served."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file's bytes as sent; ``etag`` is quoted."""

    content: bytes
    etag: bytes


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as served; ``gzipped`` is there if it is shorter."""

    plain: Encoded
    gzipped: Encoded | None
    content_type: bytes


class StaticFiles:
    """Files by their path relative to the folder."""

    def __init__(self, files: dict[str, StaticFile]) -> None:
        self._files = files

    @property
    def player_page(self) -> bytes:
        """The page that plays a session."""
        return self._files["index.html"].plain.content

    async def serve(self, request: Request) -> Response:
        """A file, or 304 for who has it already."""
        name = request.path.removeprefix(STATIC_PREFIX)
        return self.answer(request, name, _POLICY if name.endswith(".html") else NO_PAGE_POLICY)

    def answer(self, request: Request, name: str, policy: bytes) -> Response:
        """The file of this name under a Content-Security-Policy. Raises the refusal 404."""
        file = self._files.get(name)
        if file is None:
            raise not_found()
        headers = [
            (b"content-type", file.content_type),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", policy),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        chosen = file.plain
        if file.gzipped is not None:
            headers.append((b"vary", b"accept-encoding"))
            if accepts_gzip(request.headers.get(b"accept-encoding", [])):
                chosen = file.gzipped
        headers.append((b"etag", chosen.etag))
        if _matches(request.headers.get(b"if-none-match", []), chosen.etag):
            return Response(304, b"", tuple(headers))
        if chosen is not file.plain:
            headers.append((b"content-encoding", b"gzip"))
        return Response(200, chosen.content, tuple(headers))


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
    plain = Encoded(content, f'"{digest}"'.encode("ascii"))
    gzipped = None
    if suffix in COMPRESSED:
        # Without the time of day in it, so that every node sends the same bytes.
        short = gzip.compress(content, mtime=0)
        if len(short) < len(content):
            gzipped = Encoded(short, f'"{digest}-gzip"'.encode("ascii"))
    return StaticFile(plain, gzipped, CONTENT_TYPES[suffix])


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)


def _matches(if_none_match: list[bytes], etag: bytes) -> bool:
    given = [tag.strip().removeprefix(b"W/") for value in if_none_match for tag in value.split(b",")]
    return etag in given or b"*" in given
