"""What is shipped: the version, the contents of the wheel, and the public names."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import acm_sip
from acm_sip.stores.migrating import HEAD

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> set[str]:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("acm_sip-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_version_is_one():
    assert acm_sip.__version__ == version("acm-sip") == PROJECT["version"]
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_wheel_holds_every_file_of_the_package(wheel_names):
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "acm_sip"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert {name for name in tracked.stdout.split("\0") if name} <= wheel_names
    assert "acm_sip/py.typed" in wheel_names


def test_the_wheel_holds_the_schemas_beside_the_modules(wheel_names):
    schemas = {f"acm_sip/schemas/{path.name}" for path in (ROOT / "schemas").glob("*.xsd")}
    assert schemas
    assert schemas <= wheel_names


def test_the_wheel_holds_the_migrations_up_to_the_newest(wheel_names):
    prefix = f"acm_sip/stores/migrations/versions/{HEAD}_"
    assert any(name.startswith(prefix) for name in wheel_names)


def test_the_wheel_holds_nothing_else(wheel_names):
    outside = {
        name
        for name in wheel_names
        if not name.startswith(("acm_sip/", "acm_sip-")) or "test" in name
    }
    assert not outside


def test_every_locked_dependency_has_hashes_and_no_address():
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        assert "://" not in text, lock.name
        entries = text.replace("\\\n", " ").splitlines()
        pins = [line for line in entries if line.strip() and not line.startswith("#")]
        assert pins
        assert all("==" in line and "--hash=sha256:" in line for line in pins), lock.name


@pytest.mark.parametrize("lock", ["runtime", "test", "development"])
def test_a_lock_names_every_dependency(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    locked = {line.partition("==")[0] for line in text.splitlines()}
    needed = [line for line in requires("acm-sip") or [] if "extra ==" not in line]
    names = {line.split(";")[0].split(">")[0].strip().lower() for line in needed}
    assert names
    assert names <= locked


@pytest.mark.parametrize("name", acm_sip.__all__)
def test_every_public_name_exists_and_is_documented(name):
    public = getattr(acm_sip, name)
    assert inspect.getdoc(public)


def test_the_public_names_are_those_imported():
    tree = ast.parse(inspect.getsource(acm_sip))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("acm_sip")
        for alias in node.names
    }
    assert sorted(imported) == acm_sip.__all__
