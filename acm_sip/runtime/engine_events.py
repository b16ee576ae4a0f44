"""What goes into the engine, and what comes out of it after a COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from acm_sip.procedures.authentication import Source
from acm_sip.procedures.effects import AnswerRequest, Effect, Log, RegisterAgain, TellUser
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction, OutboxRow
from acm_sip.procedures.role import Sending
from acm_sip.sip.message import Request
from acm_sip.stores import StoreBatch

__all__ = [
    "Answered",
    "EngineCall",
    "Event",
    "FlowClosed",
    "Outcome",
    "Performance",
    "RequestArrived",
    "RowLeaves",
    "UserTold",
]


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A MESSAGE or REGISTER waits for its answer.

    :param handle: what the loop needs to answer it.
    """

    request: Request
    source: Source
    at: float
    handle: Any


@dataclass(frozen=True, slots=True)
class FlowClosed:
    """A connection is gone."""

    flow: str


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A decision of the own user, to be made inside a batch.

    :param decide: called with the store and the time, UTC epoch seconds.
    :param done: gets None after the COMMIT, or the exception.
    """

    decide: Callable[[Records, float], Sequence[Effect]]
    done: Future[None]


Event = RequestArrived | DeliveryEnded | FlowClosed | EngineCall


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request that arrived."""

    event: RequestArrived
    answer: AnswerRequest


@dataclass(frozen=True, slots=True)
class RowLeaves:
    """A row that is leased and may be sent now."""

    row: OutboxRow
    sending: Sending


@dataclass(frozen=True, slots=True)
class UserTold:
    """A transaction that the user of a client wants to see."""

    transaction: AcmTransaction


Performance = Answered | RowLeaves | UserTold | RegisterAgain


@dataclass(slots=True)
class Outcome:
    """What a batch leads to once it is committed."""

    performances: list[Performance] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    settled: list[tuple[Future[None], Exception | None]] = field(default_factory=list)
    leaving: list[RowLeaves] = field(default_factory=list)

    def apply(
        self, batch: StoreBatch, effects: Sequence[Effect], event: Event | None = None
    ) -> None:
        """Put changes into the batch and keep the rest for after the COMMIT."""
        for effect in effects:
            match effect:
                case AnswerRequest():
                    assert isinstance(event, RequestArrived)
                    self.performances.append(Answered(event, effect))
                case TellUser(transaction):
                    self.performances.append(UserTold(transaction))
                case RegisterAgain():
                    self.performances.append(effect)
                case Log():
                    self.logs.append(effect)
                case _:
                    batch.apply(effect)
