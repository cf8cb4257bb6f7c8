"""What the code's own shape must be: pure functions from source text to complaints, one line each."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60

LAYERS = {"actors.rules": {"actors.rules"}, "actors": {"actors"}, "server": {"actors", "server"}}
"""What may import what of ours: ``server -> actors -> actors/rules``."""

OWNERS = {
    "anyio": ("server/db/",),
    "asyncpg": ("server/db/",),
    "asyncio": ("server/db/",),
    "psycopg": ("server/db/driver/direct.py", "server/db/driver/url.py"),
    "msgspec": (
        "actors/facts/frames_out.py",
        "actors/rules/compact_json.py",
        "server/config/",
        "server/db/stores/reports.py",
        "server/http/",
        "server/loadtest/run/",
        "server/process/high_water.py",
        "server/web/",
        "server/workers/brief.py",
    ),
    "uvloop": ("server/db/",),
    "httpx": ("server/loadtest/play/operator_api.py", "server/wallet/"),
    "h11": ("server/edge/", "server/loadtest/wallet/stand_in.py"),
    "httptools": ("server/wallet/answer.py",),
    "hypercorn": ("server/edge/", "server/http/", "server/web/"),
    "quart": ("server/web/",),
    "quart_schema": ("server/web/",),
    "quart_trio": ("server/web/",),
    "werkzeug": ("server/web/",),
    "rich": ("server/loadtest/report/progress.py",),
    "trio_websocket": ("server/edge/", "server/loadtest/"),
    "wsproto": ("server/edge/",),
    "cryptography": ("server/secrets/row_macs.py", "server/secrets/vault.py", "server/web/tokens.py"),
    "prometheus_client": ("server/metrics/", "server/web/metrics_app.py"),
    "random": ("server/secrets/entropy.py", "server/loadtest/"),
}
"""The only places that know a library."""

CLOCKS = {f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime")}
CLOCKS |= {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
CLOCK_OWNERS = (
    "server/cli/wallet.py",
    "server/node.py",
    "server/cli/operators.py",
    "server/cli/reconcile.py",
    "server/cli/restored.py",
    "server/loadtest/play/operator_api.py",
    "server/loadtest/wallet/stand_in.py",
    "server/loadtest/run/worker.py",
    "server/sandbox/getaway_client.py",
    "server/sandbox/site.py",
)
"""Where the real time may be read; everywhere else it is handed in."""

DICE = {"os.urandom", "uuid.uuid1", "uuid.uuid4"}
DICE |= {f"secrets.{name}" for name in ("choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe")}
DICE_OWNERS = (
    "server/cli/loadtest.py",
    "server/cli/operators.py",
    "server/db/embedded/cluster.py",
    "server/db/stores/operators.py",
    "server/edge/http/refusals.py",
    "server/secrets/entropy.py",
    "server/sandbox/",
    "server/secrets/vault.py",
    "server/web/authentication.py",
    "server/web/tokens.py",
    "server/web/request_facts.py",
)
"""Where something unpredictable may be made; a round's randomness comes from ``server/secrets/entropy.py`` alone."""

PRINT_OWNERS = ("server/cli/", "server/sandbox/")
PURE_LIBRARIES = {"collections", "dataclasses", "decimal", "enum", "fractions", "functools", "hashlib", "hmac", "json"}
PURE_LIBRARIES |= {"math", "msgspec", "operator", "re", "typing", "uuid"}
ACTOR_LIBRARIES = PURE_LIBRARIES | {"abc", "contextlib", "heapq", "itertools", "logging", "outcome", "trio"}


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
    """Actors know trio and what is pure; whatever touches the outside is a port."""
    if not path.startswith("actors/"):
        return []
    roots = {name.partition(".")[0] for name in imported(ast.parse(source))}
    return [f"{path} imports {root}" for root in sorted(roots - ACTOR_LIBRARIES - {"actors"})]


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


def mentioned(source: str) -> Iterator[tuple[int, str]]:
    """Line and ``owner.name`` of every attribute (``datetime.datetime.now`` is ``datetime.now``) and imported name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            yield node.lineno, f"{node.value.attr}.{node.attr}"


def clocks_read(path: str, source: str) -> list[str]:
    if path.startswith(CLOCK_OWNERS):
        return []
    return [f"{path}:{line} reads the real time: {name}" for line, name in mentioned(source) if name in CLOCKS]


def dice_thrown(path: str, source: str) -> list[str]:
    if path.startswith(DICE_OWNERS):
        return []
    return [f"{path}:{line} is unpredictable: {name}" for line, name in mentioned(source) if name in DICE]


def printed(path: str, source: str) -> list[str]:
    if path.startswith(PRINT_OWNERS):
        return []
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"{path}:{call.lineno} prints" for call in calls if isinstance(call, ast.Name) and call.id == "print"]


_READS = re.compile(r"_?(?:is|has|was|can|may|wants|needs|permits)(?:_|$)")
_CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove", "update"}


def _of_self(node: ast.AST) -> bool:
    """Whether it is an attribute of ``self``, or a part of one."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return True
        node = node.value
    return False


def _written(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
            return _of_self(node)
        case ast.Call(func=ast.Attribute(value=changed, attr=name)):
            return name in _CHANGES and _of_self(changed)
    return False


def writing_reads(path: str, source: str) -> list[str]:
    """Properties, and methods named like questions, that change what they are asked of."""
    return [
        f"{path}:{node.lineno} {node.name} reads by its name, and writes"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (_READS.match(node.name) or any(getattr(each, "id", "") == "property" for each in node.decorator_list))
        and any(map(_written, ast.walk(node)))
    ]


# The last one, outside a comment, is ISO 4217's code for no currency.
_LEFTOVER = re.compile(r"""\b(?:TO[D]O|FI[X]ME|HA[C]K)\b|(?:#|//|/\*|<!--|--\s)[^"']*\bXXX\b""")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users|opt|tmp)/\w")


def leftovers(path: str, text: str) -> list[str]:
    return [f"{path}: {match[0]}" for pattern in (_LEFTOVER, _MACHINE_PATH) for match in pattern.finditer(text)]


_ELSEWHERE = re.compile(
    r"""\b(?:https?|wss?)://(?!www\.w3\.org/)[^\s"'`>]+|(?:["'`(]|(?:src|href)\s*=\s*)//[\w.-]+|@import[^;]*"""
)


def loaded_from_elsewhere(path: str, text: str) -> list[str]:
    """Addresses of other hosts, whatever they are for: a page has none but the names of XML's own vocabularies."""
    return [f"{path} names {match[0]!r}" for match in _ELSEWHERE.finditer(text)]


def unnumbered(names: Iterable[str]) -> list[str]:
    """Migrations that are not 0001_x.sql, 0002_y.sql, ... without a gap."""
    ordered = sorted(names)
    return [
        f"{name} should begin with {number:04}_"
        for number, name in enumerate(ordered, start=1)
        if not re.fullmatch(rf"{number:04}_[a-z_]+\.sql", name)
    ]


def unused_modules(sources: dict[str, str], entry_points: set[str]) -> list[str]:
    """Modules that no entry point leads to, given the sources by path."""
    paths = {module_name(path): path for path in sources}
    reached: set[str] = set()
    waiting = set(entry_points)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= (set(imported(ast.parse(sources[paths[name]]))) & paths.keys()) - reached
    unused = [path for name, path in paths.items() if name not in reached and not path.endswith("__init__.py")]
    return [f"{path} is reached from no entry point" for path in unused]
