"""What the code's own shape must be: pure functions from source text to complaints, one line each."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

FUNCTION_LINES_MAX = 60
METHODS_MAX = 20
ATTRIBUTES_MAX = 12
DOCSTRING_WORDS_MIN = 5

LAYERS = {"actors.rules": {"actors.rules"}, "actors": {"actors"}, "server": {"actors", "server"}}
"""What may import what of ours: ``server -> actors -> actors/rules``."""

OWNERS = {
    "anyio": ("server/db/",),
    "asyncpg": ("server/db/",),
    "asyncio": ("server/db/",),
    "psycopg": ("server/db/driver/commit_statement.py", "server/db/driver/url.py"),
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
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                complaints.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    return complaints


def _methods(node: ast.ClassDef) -> int:
    return sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body)


def _attributes(node: ast.ClassDef) -> set[str]:
    """What each object of the class holds: declared fields, slots, and what ``__init__`` sets on ``self``."""
    found: set[str] = set()
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            if not ast.unparse(each.annotation).startswith(("ClassVar", "Final")):
                found.add(each.target.id)
        elif isinstance(each, ast.Assign) and [ast.unparse(target) for target in each.targets] == ["__slots__"]:
            found |= {slot.value for slot in ast.walk(each.value) if isinstance(slot, ast.Constant)}
        elif isinstance(each, ast.FunctionDef) and each.name == "__init__":
            found |= {
                part.attr
                for part in ast.walk(each)
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and _is_self(part.value)
            }
    return found


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def _is_list(node: ast.ClassDef) -> bool:
    """Whether a class does no more than list columns, settings or parts: what it lists has a length of its own."""
    declares = any(isinstance(each, ast.AnnAssign) for each in node.body)
    return declares and _methods(node) <= 1


def large_classes(path: str, source: str) -> dict[str, tuple[int, int]]:
    """Methods and attributes of each class that has too many of either, by ``path:name``."""
    sizes = {
        f"{path}:{node.name}": (_methods(node), len(_attributes(node)))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and not _is_list(node)
    }
    return {name: size for name, size in sizes.items() if size[0] > METHODS_MAX or size[1] > ATTRIBUTES_MAX}


def not_as_excepted(found: Mapping[str, tuple[int, int]], excepted: Mapping[str, tuple[int, int, str]]) -> list[str]:
    """Classes that are too large and not excepted, or larger than they were, and exceptions that nothing needs."""
    complaints = []
    for name, (methods, attributes) in found.items():
        methods_max, attributes_max, _ = excepted.get(name, (METHODS_MAX, ATTRIBUTES_MAX, ""))
        if methods > max(methods_max, METHODS_MAX) or attributes > max(attributes_max, ATTRIBUTES_MAX):
            complaints.append(f"{name} has {methods} methods and {attributes} attributes")
    return complaints + [f"{name} is no exception any more" for name in excepted if name not in found]


_PUBLIC_NAMES = re.compile(r"_(?:replace|asdict|fields|make|exit)\b")
"""Public names of the standard library that begin with an underscore."""


def _own_names(sources: Iterable[str]) -> set[str]:
    """The names that these files define: their functions, classes, variables, and attributes of ``self``."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and _is_self(node.value):
                found.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and not _PUBLIC_NAMES.fullmatch(name)


def strangers_privates(sources: dict[str, str]) -> list[str]:
    """Names with an underscore that are used in another folder than the one that defines them, a library's included."""
    folders: dict[str, list[str]] = {}
    for path, source in sources.items():
        folders.setdefault(path.rpartition("/")[0], []).append(source)
    own = {folder: _own_names(of_folder) for folder, of_folder in folders.items()}
    complaints = []
    for path, source in sources.items():
        folder = path.rpartition("/")[0]
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and not _is_self(node.value):
                if _is_private(node.attr) and node.attr not in own[folder]:
                    complaints.append(f"{path}:{node.lineno} uses {ast.unparse(node)}")
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                is_neighbour = node.module.replace(".", "/").rpartition("/")[0] == folder
                private = [alias.name for alias in node.names if _is_private(alias.name) and not is_neighbour]
                complaints += [f"{path}:{node.lineno} imports {node.module}.{name}" for name in private]
    return complaints


_SWITCHED_OFF = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma|pylint|pyright|mypy|ruff)\b")
_EXPLAINED = re.compile(
    r"# noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)* - \w.*|# type: ignore\[[a-z, -]+\]  # \w.*|# pragma: no cover - \w.*"
)


def unexplained(path: str, source: str) -> list[str]:
    """Checks that are switched off without saying which one, and why: ``# noqa: S608 - a constant``."""
    comments = [
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    ]
    return [
        f"{path}:{token.start[0]} {token.string} lacks its code or its reason"
        for token in comments
        if _SWITCHED_OFF.match(token.string) and not _EXPLAINED.fullmatch(token.string)
    ]


def unexplained_ignores(project: str) -> list[str]:
    """Folders for which pyproject.toml switches checks off without a comment above."""
    lines = project.splitlines()
    start = lines.index("[tool.ruff.lint.per-file-ignores]") + 1
    end = next((number for number in range(start, len(lines)) if lines[number].startswith("[")), len(lines))
    return [
        f"pyproject.toml: {lines[number]} lacks its reason"
        for number in range(start, end)
        if lines[number].startswith('"') and not lines[number - 1].startswith("#")
    ]


def short_docstrings(path: str, source: str) -> list[str]:
    """Docstrings too short to say more than the name does: such a one is left out."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented):
            text = ast.get_docstring(node)
            if text is not None and len(text.split()) < DOCSTRING_WORDS_MIN:
                name = "the module" if isinstance(node, ast.Module) else node.name
                complaints.append(f"{path} {name}: {text!r} says nothing")
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
