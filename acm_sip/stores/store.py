"""The store of one ACM entity: opened, used batch by batch, closed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from acm_sip.errors import StoreError
from acm_sip.stores import migrating
from acm_sip.stores.batch import Positions, StoreBatch
from acm_sip.stores.buffer import Numbers
from acm_sip.stores.reading import StoreReader
from acm_sip.stores.sqlite import connect, lock_store, store_error, store_path, unlock_store
from acm_sip.stores.statements import statements_for

__all__ = ["AcmStore"]


class AcmStore:
    """What an ACM entity remembers across a crash; made by :meth:`open`.

    One thread uses it at a time; which one may change. What :meth:`transact` committed survives
    the loss of the process and of power.

    :ivar path: the store file.
    """

    def __init__(self, path: Path, connection: Connection, lock: int | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._statements = statements_for(connection.dialect.name)
        self._numbers: dict[str, int] | None = None
        self._positions = Positions()

    @classmethod
    def open(cls, url_or_path: str | Path, *, read_only: bool = False) -> Self:
        """Open a store file; create or upgrade it, unless only to read.

        A reader takes no lock, never waits for the writing process and changes nothing stored
        (SQLite may leave an empty ``-wal`` and a ``-shm`` beside the file). The writing process
        is one: what another had leased is free again.

        :param url_or_path: ``sqlite:///path``, or a path.
        :raises StoreError: in use by another process, of a newer release, no store at all, or
            not able to keep what it commits.
        """
        path = store_path(url_or_path)
        if read_only:
            return cls._open_to_read(path)
        with contextlib.ExitStack() as undo:
            lock = lock_store(path)
            undo.callback(unlock_store, lock)
            connection = connect(path, read_only=False)
            undo.callback(_dispose, connection)
            store = cls(path, connection, lock)
            with store._transaction():
                revision = migrating.current_revision(connection, path)
                migrating.upgrade(connection, revision, path)
                connection.execute(store._statements.end_all_leases)
            undo.pop_all()
        return store

    @classmethod
    def _open_to_read(cls, path: Path) -> Self:
        if not path.is_file():
            raise StoreError(f"store {path} does not exist")
        connection = connect(path, read_only=True)
        store = cls(path, connection, None)
        try:
            with store._transaction():
                migrating.verify(migrating.current_revision(connection, path), path)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the file and let the next process in; closing twice does nothing."""
        if not self._connection.closed:
            _dispose(self._connection)
            if self._lock is not None:
                unlock_store(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transact(self) -> Iterator[StoreBatch]:
        """Give a batch inside one database transaction: COMMIT at the end of the block.

        After an exception nothing of it is stored, and the store is ready for the next batch.

        :raises StoreUnavailable: full, locked, read-only, an I/O error; try again later.
        :raises ConflictError: run the batch again.
        :raises StoreError: anything else the database refuses.
        """
        known, self._numbers = self._numbers, None  # unknown, should anything go wrong
        with self._transaction():
            numbers = Numbers(known)
            batch = StoreBatch(self._connection, self._statements, numbers, self._positions)
            yield batch
            batch.flush()
        self._numbers = numbers.next_numbers

    @contextlib.contextmanager
    def read(self) -> Iterator[StoreReader]:
        """Give a reader of one state of the store, for people."""
        with self._transaction():
            yield StoreReader(self._connection)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection.begin():
                yield
        except DBAPIError as error:
            raise store_error(error, self.path) from error
        except SQLAlchemyError as error:
            raise StoreError(f"store {self.path}: {error}") from error


def _dispose(connection: Connection) -> None:
    engine = connection.engine
    connection.close()
    engine.dispose()
