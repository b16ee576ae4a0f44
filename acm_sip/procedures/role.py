"""What the engine asks of an ACM entity: the same questions of a server and of a client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from acm_sip.codec.body import DecodedBody
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import Addressing
from acm_sip.procedures.effects import Effect
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction, OutboxRow, TransactionKey
from acm_sip.sip.message import Request

__all__ = ["ReadRequest", "Role", "Sending"]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request as far as it can be read without the store.

    :param body: None for a REGISTER.
    :param keys: ACM transactions that the decision will probably ask for.
    """

    request: Request
    source: Source
    at: float
    body: DecodedBody | None
    keys: tuple[TransactionKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """How a row leaves now.

    :param hop: ``partner:NAME``, ``flow:TEXT`` or ``server:``, for the SIP shell.
    :param updates: what has to be in the store before it leaves.
    """

    addressing: Addressing
    hop: str
    expires_at: float | None
    updates: tuple[Effect, ...] = ()


class Role(Protocol):
    """An ACM server or an ACM client, as the engine runs it."""

    def read(self, request: Request, source: Source, at: float) -> ReadRequest | Sequence[Effect]:
        """Read a request without the store; what is refused already is its answer."""
        ...

    def decide(self, records: Records, read: ReadRequest) -> Sequence[Effect]:
        """Decide a request that was read; the effects hold exactly one answer."""
        ...

    def resolve(self, records: Records, row: OutboxRow, now: float) -> Sending | None:
        """Return how a row leaves now; None parks it."""
        ...

    def on_delivery_ended(self, records: Records, ended: DeliveryEnded) -> Sequence[Effect]:
        """Decide what the end of an attempt means."""
        ...

    def on_row_deadline(self, records: Records, row: OutboxRow, at: float) -> Sequence[Effect]:
        """Decide what a row means whose time is over."""
        ...

    def on_deadline(
        self, records: Records, transaction: AcmTransaction, at: float
    ) -> Sequence[Effect]:
        """Decide what a transaction means whose ``due_at`` has come."""
        ...

    def on_flow_closed(self, records: Records, flow: str) -> Sequence[Effect]:
        """Decide what the loss of a connection means."""
        ...
