"""Programs that some tests need. Where one is missing its tests are skipped, but not in CI."""

import os
import shutil

import pytest


def needed(*names: str) -> str:
    """The path of the first of these that is installed. Otherwise the test is skipped, or fails where all must run."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    message = f"needs {names[0]}"
    if os.environ.get("GETAWAY_REQUIRE_PROGRAMS") == "1":
        pytest.fail(message)
    pytest.skip(message)
