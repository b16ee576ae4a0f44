"""The schema version of a store: created, upgraded, or refused.

Revisions are numbered ``0001``, ``0002``, ... in ``migrations/versions`` and run by Alembic
inside one database transaction, so that a store is of one version or of the next, never between.
Alembic is loaded only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from acm_sip.errors import StoreError

__all__ = ["HEAD", "current_revision", "upgrade", "verify"]

HEAD: Final = "0001"  # the newest revision in migrations/versions
_MIGRATIONS: Final = Path(__file__).with_name("migrations")


def current_revision(connection: Connection, path: Path) -> str | None:
    """Return the schema version of a store, None for an empty file.

    :raises StoreError: a database that is no store of ours.
    """
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = set(connection.exec_driver_sql(query).scalars())
    if not tables:
        return None
    if not {"alembic_version", "acm_transaction"} <= tables:
        raise StoreError(f"{path} is a database, but no store of acm-sip")
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(revision)


def verify(revision: str | None, path: Path) -> None:
    """Refuse a store of any version but the newest; for a reader, who may not upgrade.

    :raises StoreError: in one line.
    """
    if revision is None:
        raise StoreError(f"store {path} is empty")
    if revision > HEAD:
        _refuse_newer(revision, path)
    if revision != HEAD:
        raise StoreError(f"store {path} has schema {revision}; start the server once to upgrade it")


def upgrade(connection: Connection, revision: str | None, path: Path) -> None:
    """Bring a store to the newest version, inside the transaction of the caller.

    :raises StoreError: a store of a newer release.
    """
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        _refuse_newer(revision, path)
    from alembic.config import Config  # noqa: PLC0415 - 150 ms that a ready store saves
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(_MIGRATIONS))

    def steps(current: Any, _context: Any) -> Any:
        return script._upgrade_revs(HEAD, current)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=HEAD) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _refuse_newer(revision: str, path: Path) -> None:
    raise StoreError(
        f"store {path} was written by a newer release (schema {revision}, this one knows {HEAD})"
    )
