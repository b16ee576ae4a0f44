"""A missing program skips by name, and fails in the gate."""

from __future__ import annotations

import pytest
from _pytest.outcomes import Failed, Skipped

from tests.harness.peers import require_program


def test_a_present_program_is_found():
    assert require_program("sh").endswith("/sh")


@pytest.mark.parametrize(("ci", "outcome"), [("", Skipped), ("true", Failed)])
def test_a_missing_program_is_named(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-program is not installed"):
        require_program("no-such-program")
