"""Lets the assertions of the shared modules explain themselves."""

import pytest

pytest.register_assert_rewrite("contract", "race")
