"""A store file of SQLite: opened, locked, and set so that a COMMIT survives a power failure.

WAL with synchronous=FULL is the weakest setting that loses no committed row; it is verified
after it was set. One process at a time may write: it holds ``flock`` on ``<store>.lock``, a file
of its own, because closing any descriptor of the database file drops SQLite's own locks on it.
Readers take no part in that lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from acm_sip.errors import StoreError
from acm_sip.stores.errors import StoreUnavailable

__all__ = ["connect", "lock_store", "store_error", "store_path", "unlock_store"]

# Ours: a writer waits this long for a foreign tool (sqlite3 shell, backup) that holds the file.
_BUSY_TIMEOUT_S: Final = 2.0
# Ours: the log is cut back to this size after a checkpoint that found it larger.
_JOURNAL_LIMIT_OCTETS: Final = 64 * 1024 * 1024
# Measured here, CPU per event in batches of 32 with 2 KB bodies: pages of 4 KiB 310 us, of 8 KiB
# 270, of 16 KiB 230; one by one there is no difference.
_PAGE_OCTETS: Final = 16384
_CACHE_KIB: Final = 32 * 1024  # ours: holds the indexes of 100,000 transactions
_SCHEME: Final = "sqlite:///"
# Primary result codes of SQLite that say "not now" rather than "never".
_TRANSIENT: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


def store_path(url_or_path: str | Path) -> Path:
    """Return the file of ``sqlite:///path`` or of a plain path.

    :raises StoreError: any other URL.
    """
    text = str(url_or_path)
    if text.startswith(_SCHEME):
        text = text.removeprefix(_SCHEME)
    elif "://" in text:
        raise StoreError(f"{text.split(':', 1)[0]} is no kind of store; use sqlite:///PATH")
    if not text or text == ":memory:":
        raise StoreError("a store is a file; name its path")
    return Path(text).expanduser().resolve()


def store_error(error: DBAPIError | sqlite3.Error, path: Path) -> StoreError:
    """Return our error for one of the database: one line, with the path."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    kind = StoreUnavailable if code is not None and code & 0xFF in _TRANSIENT else StoreError
    return kind(f"store {path}: {' '.join(str(cause).split())}")


def lock_store(path: Path) -> int:
    """Create the store file if there is none, and take the lock of its one writing process.

    :return: the descriptor that holds the lock until :func:`unlock_store`.
    :raises StoreError: another process has it, or the file cannot be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        lock = os.open(path.with_name(path.name + ".lock"), flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _create(path)
        except BaseException:
            os.close(lock)
            raise
    except BlockingIOError:
        raise StoreError(f"store {path} is in use by another process") from None
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror}") from None
    return lock


def _create(path: Path) -> None:
    """Create the file with mode 0600 (the WAL inherits it), its name durably in the directory."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def unlock_store(lock: int) -> None:
    """Let the next process in."""
    os.close(lock)


def connect(path: Path, *, read_only: bool) -> Connection:
    """Return the one connection to a store file, ready for transactions.

    :raises StoreError: not a database, or the settings do not hold.
    """
    mode = "ro" if read_only else "rw"

    def creator() -> sqlite3.Connection:
        # One engine thread works with it at a time, but not the same one for ever.
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    try:
        connection = engine.connect()
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        _configure(driver, path, read_only=read_only)
    except DBAPIError as error:
        engine.dispose()
        raise store_error(error, path) from error
    except sqlite3.Error as error:
        engine.dispose()
        raise store_error(error, path) from error
    except StoreError:
        engine.dispose()
        raise
    event.listen(engine, "begin", begin_transaction)
    return connection


def _configure(driver: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    settings: list[tuple[str, Any, Any]] = [("foreign_keys", "ON", 1), ("trusted_schema", "OFF", 0)]
    if not read_only:
        driver.execute(f"PRAGMA page_size = {_PAGE_OCTETS}")  # of a new file only
        settings += [
            ("cache_size", -_CACHE_KIB, -_CACHE_KIB),
            ("journal_mode", "WAL", "wal"),
            ("synchronous", "FULL", 2),
            ("journal_size_limit", _JOURNAL_LIMIT_OCTETS, _JOURNAL_LIMIT_OCTETS),
        ]
    for name, value, _ in settings:
        driver.execute(f"PRAGMA {name} = {value}").fetchall()
    for name, value, verified in settings:
        found = driver.execute(f"PRAGMA {name}").fetchone()
        if found is None or found[0] != verified:
            raise StoreError(f"store {path}: {name} = {value} is not possible here")
    driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
