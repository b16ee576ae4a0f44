"""Schema versions: the baseline is the metadata, newer is refused, old files are opened."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from acm_sip.errors import StoreError
from acm_sip.stores import AcmStore, migrating
from acm_sip.stores.schema import metadata

DATA = Path(__file__).parent.parent / "data" / "stores"


def definitions(connection: sqlite3.Connection) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    texts = dict(connection.execute(query).fetchall())
    texts.pop("alembic_version", None)
    return {name: re.sub(r"\s+", " ", sql) for name, sql in texts.items()}


def test_the_migrations_create_exactly_the_metadata(tmp_path: Path) -> None:
    AcmStore.open(tmp_path / "acm.db").close()
    migrated = create_engine(f"sqlite:///{tmp_path / 'acm.db'}")
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrated.dispose()
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(created)
    created.dispose()
    # Alembic compares neither the conditions of indexes nor tables without row ids.
    first, second = sqlite3.connect(tmp_path / "acm.db"), sqlite3.connect(tmp_path / "created.db")
    assert definitions(first) == definitions(second)
    first.close()
    second.close()


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    script = ScriptDirectory(str(Path(migrating.__file__).with_name("migrations")))
    assert script.get_heads() == [migrating.HEAD]
    assert all(re.fullmatch(r"\d{4}", r.revision) for r in script.walk_revisions())


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_a_newer_release_is_refused_and_not_changed(
    tmp_path: Path, read_only: bool
) -> None:
    path = tmp_path / "acm.db"
    AcmStore.open(path).close()
    newer = sqlite3.connect(path)
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer release") as caught:
        AcmStore.open(path, read_only=read_only)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_an_empty_file_is_made_a_store_but_not_by_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "acm.db"
    path.touch()
    with pytest.raises(StoreError, match="is empty"):
        AcmStore.open(path, read_only=True)
    AcmStore.open(path).close()
    AcmStore.open(path, read_only=True).close()


@pytest.fixture(params=sorted(DATA.glob("*.db")), ids=lambda path: path.stem)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a copy of a store that a release wrote."""
    copy = tmp_path / "acm.db"
    shutil.copy(request.param, copy)
    return copy


def test_the_store_of_every_release_is_opened(released: Path) -> None:
    with AcmStore.open(released) as store, store.read() as reader:
        (answered, open_one) = reader.list_transactions(9)
        assert (answered.number, answered.outcome, answered.text) == (2, "failure", "späť")
        assert open_one.request == b"<request/>"
        assert reader.count_outbox().total == 2
        assert [entry.row.number for entry in reader.list_outbox(9)] == [1, 2]
        assert len(reader.list_bindings(9)) == 1
        (configuration,) = reader.list_configurations(9)
        assert reader.document(configuration.digest) == b"<document/>"


def test_there_is_a_store_of_this_schema() -> None:
    found = set()
    for path in DATA.glob("*.db"):
        connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        found.add(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
        connection.close()
    assert migrating.HEAD in found
