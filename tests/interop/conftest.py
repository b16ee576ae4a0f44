"""What the tests with real processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.processes import Forker


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Give what forks ACM entities for all tests."""
    forker = Forker("tests.harness.entity")
    yield forker
    forker.close()
