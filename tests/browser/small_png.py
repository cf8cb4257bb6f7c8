"""PNGs with a palette of 256 colours. The browser chooses them (``palette.js``); this writes the file."""

import struct
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

from playwright.sync_api import Page

PALETTE = Path(__file__).with_name("palette.js").read_text(encoding="utf-8")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE_COLOURS = 3


def small_png(png: bytes, page: Page) -> bytes:
    """The same picture in 256 colours. ``page`` is a blank one, without a policy."""
    drawn = page.evaluate(PALETTE, f"data:image/png;base64,{b64encode(png).decode()}")
    width, height, indices = drawn["width"], drawn["height"], b64decode(drawn["indices"])
    rows = b"".join(b"\0" + indices[start : start + width] for start in range(0, width * height, width))
    head = struct.pack(">IIBBBBB", width, height, 8, PALETTE_COLOURS, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", bytes(drawn["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
