"""STORES LAYER: what must survive a crash, in SQLite.

    store.py       AcmStore: open, transact, read, close
    batch.py       StoreBatch: one database transaction of the engine
    overlay.py     the store as the decisions of a batch see it
    buffer.py      what they change, and the writing of it
    reading.py     StoreReader: lists for people
    schema.py      the tables; rows.py: records to rows; statements.py: every statement, prebuilt
    sqlite.py      the store file: settings, lock, errors
    migrating.py   schema versions; migrations/versions: one revision each

Synchronous, because one engine thread does all of it; nothing here knows SIP or XML.
"""

from acm_sip.stores.batch import StoreBatch
from acm_sip.stores.errors import ConflictError, StoreUnavailable
from acm_sip.stores.reading import OutboxCounts, OutboxEntry, OutboxState, StoreReader
from acm_sip.stores.store import AcmStore

__all__ = [
    "AcmStore",
    "ConflictError",
    "OutboxCounts",
    "OutboxEntry",
    "OutboxState",
    "StoreBatch",
    "StoreReader",
    "StoreUnavailable",
]
