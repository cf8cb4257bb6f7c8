"""Asserts outside the test modules explain themselves too."""

import pytest

pytest.register_assert_rewrite("tests.e2e.casino", "tests.e2e.house", "tests.e2e.player", "tests.e2e.wallet")
