"""Which room may import which: what docs/architecture.md draws, and complaints about imports, one line each."""

import ast
import re
from collections.abc import Iterator, Mapping

from tests.tidy.checks import imported, module_name

_DRAWING = re.compile(r"^## Rooms\n.*?^```\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_ROOM = re.compile(r"\b(?:server|actors)/[a-z/]+")


def drawn(page: str) -> list[list[str]]:
    """The rows of the drawing, the highest first; a room is a folder, with the folders in it, or a file."""
    drawing = _DRAWING.search(page)
    assert drawing is not None, "docs/architecture.md draws the rooms"
    return [rooms for line in drawing[1].splitlines() if (rooms := _ROOM.findall(line))]


def room_of(name: str, rooms: Mapping[str, int]) -> str | None:
    """The smallest room that has the module; ``None`` for the package of all."""
    place = name.replace(".", "/")
    while place and place not in rooms:
        place = place.rpartition("/")[0]
    return place or None


def edges(sources: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Who imports whom, by the modules' names."""
    paths = {module_name(path): path for path in sources}
    for name, path in paths.items():
        yield from ((name, other) for other in sorted(set(imported(ast.parse(sources[path])))) if other in paths)


def homeless(rows: list[list[str]], sources: Mapping[str, str]) -> list[str]:
    """Modules that no room has, and rooms that have no module."""
    rooms = {room: floor for floor, row in enumerate(rows) for room in row}
    names = {module_name(path) for path in sources} - {"actors", "server"}
    lived_in = {room_of(name, rooms) for name in names}
    return [f"{name} is in no room" for name in sorted(names) if room_of(name, rooms) is None] + [
        f"{room} is drawn and not there" for room in rooms if room not in lived_in
    ]


def upward(rows: list[list[str]], sources: Mapping[str, str]) -> list[str]:
    """Imports that do not run down the drawing: from a room to another one of its row, or of a row above."""
    floors = {room: floor for floor, row in enumerate(rows) for room in row}
    complaints = []
    for name, other in edges(sources):
        room, other_room = room_of(name, floors), room_of(other, floors)
        if room is None or other_room is None or room == other_room:
            continue
        if floors[other_room] <= floors[room]:
            complaints.append(f"{name} imports {other}: {other_room} is not below {room}")
    return complaints


def circles(sources: Mapping[str, str]) -> list[str]:
    """Folders that lead back to themselves through others. A file beside the rooms is a folder of its own."""
    paths = {module_name(path): path for path in sources}
    reached: dict[str, set[str]] = {}
    for name, other in edges(sources):
        folder, other_folder = _folder(paths[name]), _folder(paths[other])
        if folder != other_folder:
            reached.setdefault(folder, set()).add(other_folder)
    return [f"{folder} imports what imports it" for folder in sorted(reached) if folder in _all_below(folder, reached)]


def _folder(path: str) -> str:
    return path.rpartition("/")[0] if path.count("/") > 1 else path


def _all_below(folder: str, reached: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [folder]
    while waiting:
        new = reached.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
