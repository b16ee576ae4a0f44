"""The programs of others that interop tests drive: named when absent, demanded in the gate."""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(name: str) -> str:
    """Return the path of a program; without it skip the test by name, or fail it with CI=true."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/bin")
    if path is not None:
        return path
    message = f"{name} is not installed (make peers installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
