"""Asserts outside the test modules explain themselves too."""

import pytest

HELPERS = ("books", "disasters", "gamblers", "kills", "world")
pytest.register_assert_rewrite(*(f"tests.chaos.{name}" for name in HELPERS), "tests.e2e.house")
