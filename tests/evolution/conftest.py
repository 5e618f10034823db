"""What the tests of evolution share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distevod.evolution.page import Page


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.create()
    yield page
    page.close()
