"""Everything that has to pass, in one command: `make test`.

    python tools/gate.py [STEP ...]

Runs the steps named, or all of them, in the order below; stops at the first that fails. Ends with
one line per step and its seconds. Other Python versions are used where they are installed, and
named where they are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
OTHER_VERSIONS: Final = ("3.12", "3.13")
COVERAGE_FLOOR_PERCENT: Final = 88  # ours: lines and branches together; two below what was measured

# What the unit tests on the other versions leave out: what drives programs, and what builds.
NOT_ON_OTHER_VERSIONS: Final = (
    "tests/cli",
    "tests/interop",
    "tests/stores/test_power_failure.py",
    "tests/test_packaging.py",
    "tests/test_readme.py",
)


class StepError(Exception):
    """A step did not pass; the text says why in one line."""


class StepSkippedError(Exception):
    """A step could not be run here; the text says what is missing."""


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a command, its output shown."""
    print("$", *command, flush=True)
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean_environment() | environment, check=False
    )
    if result.returncode:
        raise StepError(f"{Path(command[0]).name} exited {result.returncode}")


def clean_environment() -> dict[str, str]:
    """Return the environment without what would let another installation in."""
    kept = dict(os.environ)
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"):
        kept.pop(name, None)
    return kept


def program(name: str) -> Path:
    """Return a program of the environment that runs this file."""
    return Path(sys.executable).with_name(name)


def check_format() -> None:
    """Compare with ruff's format."""
    run(program("ruff"), "format", "--check")


def check_lint() -> None:
    """Apply ruff's rules."""
    run(program("ruff"), "check")


def check_types() -> None:
    """Check the types of the package and the tools."""
    run(program("mypy"))


def check_layers() -> None:
    """Check the direction of imports."""
    run(program("lint-imports"))


def check_tests() -> None:
    """Run every test, on asyncio and on uvloop, with branch coverage."""
    python = sys.executable
    run(python, "-m", "coverage", "erase")
    run(python, "-m", "coverage", "run", "-m", "pytest")
    run(python, "-m", "coverage", "combine", "--quiet")
    run(python, "-m", "coverage", "report", f"--fail-under={COVERAGE_FLOOR_PERCENT}")


def check_wheel() -> None:
    """Try the wheel, installed with the locked dependencies where there is nothing else."""
    with tempfile.TemporaryDirectory(prefix="acm-sip-wheel-") as name:
        place = Path(name)
        run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", place)
        (wheel,) = place.glob("acm_sip-*.whl")
        venv.create(place / "environment", with_pip=True)
        python = place / "environment" / "bin" / "python"
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*install, "--require-hashes", "--requirement", ROOT / "requirements" / "runtime.txt")
        run(*install, "--no-deps", wheel)
        empty = place / "empty"
        empty.mkdir()
        run(python.with_name("acm-sip"), "--version", cwd=empty)
        run(python.with_name("acm-sip"), "demo", cwd=empty)


def check_version(version: str) -> None:
    """Run the unit tests on another Python version, on both cores of a small machine."""
    interpreter = find_python(version)
    if interpreter is None:
        raise StepSkippedError(f"Python {version} is not installed")
    directory = f".venv-{version}"
    run(ROOT / "tools" / "environment.sh", "test", directory, PYTHON=str(interpreter))
    left_out = [f"--ignore={path}" for path in NOT_ON_OTHER_VERSIONS]
    python = ROOT / directory / "bin" / "python"
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", *left_out)


def find_python(version: str) -> Path | None:
    """Return an interpreter of that version that starts, None when there is none."""
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in ([Path(found)] if found else []) + installed:
        command = [str(candidate), "-c", "import ensurepip, sys; print(sys.version_info[:2])"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.stdout.strip() == str(tuple(map(int, version.split(".")))):
            return candidate
    return None


def steps() -> dict[str, Callable[[], None]]:
    """Return the steps by name, in their order."""
    named: dict[str, Callable[[], None]] = {
        "format": check_format,
        "lint": check_lint,
        "types": check_types,
        "layers": check_layers,
        "tests": check_tests,
        "wheel": check_wheel,
    }
    running = ".".join(map(str, sys.version_info[:2]))
    others = [version for version in OTHER_VERSIONS if version != running]
    return named | {f"python{version}": partial(check_version, version) for version in others}


def main(arguments: Sequence[str]) -> int:
    """Run the steps; return the exit status."""
    available = steps()
    unknown = [name for name in arguments if name not in available]
    if unknown:
        print(f"no such step: {unknown[0]} (there are {', '.join(available)})", file=sys.stderr)
        return 2
    lines: list[str] = []
    failure = None
    for name in arguments or available:
        started_at = time.monotonic()
        print(f"\n== {name}", flush=True)
        verdict = "ok"
        try:
            available[name]()
        except StepSkippedError as reason:
            verdict = f"skipped: {reason}"
        except StepError as reason:
            failure = verdict = f"FAILED: {reason}"
        lines.append(f"{name:<12} {time.monotonic() - started_at:7.1f} s  {verdict}")
        print(f"== {lines[-1]}", flush=True)
        if failure:
            break
    print("\n== gate", *lines, sep="\n")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
