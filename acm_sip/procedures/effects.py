"""What a decision asks for, as a list of frozen records in order.

The first group changes the store and is applied, in order, inside the database transaction; the
second group is performed only after its COMMIT. Nothing else leaves a procedure.
"""

from __future__ import annotations

from dataclasses import dataclass

from acm_sip.identities import McServiceId
from acm_sip.procedures.records import (
    AcmTransaction,
    ContactBinding,
    OutboxRow,
    Side,
)

__all__ = [
    "AnswerRequest",
    "Effect",
    "InsertTransaction",
    "Log",
    "Perform",
    "PutBinding",
    "PutOutboxRow",
    "RegisterAgain",
    "ReleaseRows",
    "RemoveBinding",
    "RemoveOutboxRow",
    "RemoveRows",
    "StoreConfiguration",
    "TellUser",
    "Update",
    "UpdateTransaction",
]


@dataclass(frozen=True, slots=True)
class InsertTransaction:
    """A new ACM transaction; its number is in the record."""

    transaction: AcmTransaction


@dataclass(frozen=True, slots=True)
class UpdateTransaction:
    """The new state of a known ACM transaction, written over the one that was read."""

    transaction: AcmTransaction


@dataclass(frozen=True, slots=True)
class PutOutboxRow:
    """A flow to send (number 0: a new row), or a row to send again later or to park."""

    row: OutboxRow


@dataclass(frozen=True, slots=True)
class RemoveOutboxRow:
    """A row that is done or given up."""

    number: int


@dataclass(frozen=True, slots=True)
class RemoveRows:
    """The rows of one flow of a transaction: something proved that they arrived or are moot."""

    transaction_number: int
    flow: str


@dataclass(frozen=True, slots=True)
class ReleaseRows:
    """The rows for these destinations may go at once, whatever they wait for.

    A user logged on (rows to the user and to the aliases that are active for that user), or a
    client is registered at its server again. Rows that are being sent now are not touched.
    """

    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PutBinding:
    """A contact that is registered or refreshed."""

    binding: ContactBinding


@dataclass(frozen=True, slots=True)
class RemoveBinding:
    """A contact that is gone."""

    binding: ContactBinding


@dataclass(frozen=True, slots=True)
class StoreConfiguration:
    """A document that from now on holds for these users; stored once by its digest."""

    side: Side
    system: str
    users: tuple[McServiceId, ...]
    digest: bytes
    document: bytes
    transaction_number: int
    applied_at: float


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """The final response to the request that caused this decision.

    :param headers: further header fields (name, value), Warning included.
    """

    status_code: int
    reason_phrase: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TellUser:
    """What a client shows its user: a request to decide, or the outcome of an own one."""

    transaction: AcmTransaction


@dataclass(frozen=True, slots=True)
class RegisterAgain:
    """The own server has no binding of this client any more: it has to log on again at once."""


@dataclass(frozen=True, slots=True)
class Log:
    """One line of the log about what was decided: event name and plain facts."""

    event: str
    facts: tuple[tuple[str, str], ...] = ()
    is_warning: bool = False


Update = (
    InsertTransaction
    | UpdateTransaction
    | PutOutboxRow
    | RemoveOutboxRow
    | RemoveRows
    | ReleaseRows
    | PutBinding
    | RemoveBinding
    | StoreConfiguration
)
Perform = AnswerRequest | TellUser | RegisterAgain | Log
Effect = Update | Perform
