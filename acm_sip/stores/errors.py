"""What a store reports beyond :class:`acm_sip.errors.StoreError`."""

from __future__ import annotations

from acm_sip.errors import StoreError

__all__ = ["ConflictError", "StoreUnavailable"]


class StoreUnavailable(StoreError):  # noqa: N818 - named after 503, which answers it
    """The store cannot be read or written now: full, locked, read-only, an I/O error.

    Nothing of the batch was stored; the same batch may succeed later.
    """


class ConflictError(StoreError):
    """A row changed, or a key was taken, between its reading and its writing.

    Nothing of the batch was stored and nothing was performed: run the batch again.
    """
