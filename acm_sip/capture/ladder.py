"""The ladder: which entity sent which information flow to which other, and what it was answered.

:func:`build_ladder` makes the data from captured messages; :mod:`.ladder_text` draws it. Each
request is an arrow with its final answer; what serves the log-on only (REGISTER, OPTIONS) is
counted instead, unless asked for.

Steps are those of TS 23.280 10.17.6.2, told by the kinds of entities at both ends:

    flow                                                client  server  server
                                                     -> server  server  client
    update-mc-service-ue-initial-configuration-request    1       3       5
    process-indication                                            4
    update-mc-service-ue-initial-configuration-response   7       8      10

Steps 2, 6 and 9 are no messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from acm_sip.capture.entities import PROCESS_INDICATION, Casting, Entity, Role, format_endpoint
from acm_sip.capture.summary import Summary, summarize

if TYPE_CHECKING:
    from acm_sip.capture.reading import CapturedMessage

__all__ = ["Answer", "Arrow", "Folded", "Ladder", "LadderBuilder", "build_ladder"]

FOLDED_METHODS: Final = frozenset(("REGISTER", "OPTIONS"))
MAX_ARROWS: Final = 10_000  # nobody reads more; memory stays bounded on a capture under load
REQUEST: Final = "update-mc-service-ue-initial-configuration-request"
RESPONSE: Final = "update-mc-service-ue-initial-configuration-response"
_STEPS: Final[dict[tuple[str, Role | None, Role | None], str]] = {
    (REQUEST, "client", "server"): "1",
    (REQUEST, "server", "server"): "3",
    (REQUEST, "server", "client"): "5",
    (PROCESS_INDICATION, "server", "server"): "4",
    (RESPONSE, "client", "server"): "7",
    (RESPONSE, "server", "server"): "8",
    (RESPONSE, "server", "client"): "10",
}
# The MC systems of sender and receiver in each step.
_SYSTEMS: Final = {
    "1": ("primary", "primary"),
    "3": ("primary", "partner"),
    "4": ("partner", "primary"),
    "5": ("partner", "partner"),
    "7": ("partner", "partner"),
    "8": ("partner", "primary"),
    "10": ("primary", "primary"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer to a request; *at_s* since the start, *times* above 1: sent again."""

    status_code: int
    reason_phrase: str
    at_s: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Arrow:
    """One request from one entity to another.

    :param at_s: seconds since the ladder's start.
    :param source: index of the sender in the entities; *destination* of the receiver.
    :param method: "" for an answer whose request is not in the capture.
    :param label: the information flow, or the method and what it carries.
    :param step: number of the step in TS 23.280 10.17.6.2, or "".
    :param outcome: of a response flow: ``success``, or ``failure`` and its cause.
    :param times: how often it was sent; above 1 it was retransmitted.
    :param note: what is wrong with it, or "".
    :param frame_number: the packet in the capture.
    """

    at_s: float
    source: int
    destination: int
    method: str
    label: str
    step: str
    outcome: str
    transaction_id: str
    answer: Answer | None
    times: int
    note: str
    frame_number: int


@dataclass(frozen=True, slots=True)
class Folded:
    """Requests that were counted and not drawn; *answers* counts final status codes."""

    method: str
    count: int
    answers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The picture as data.

    :param started_at: UTC seconds of the epoch of the first arrow; 0 for none.
    :param undrawn: messages beyond the most that one picture holds.
    """

    started_at: float
    entities: tuple[Entity, ...]
    arrows: tuple[Arrow, ...]
    folded: tuple[Folded, ...]
    undrawn: int = 0


@dataclass(slots=True)
class _Exchange:
    """A request, or an answer alone, and what followed."""

    message: CapturedMessage
    summary: Summary
    times: int = 1
    answer: Summary | None = None
    answer_at: float = 0.0
    answer_times: int = 0


class LadderBuilder:
    """Takes messages one by one, so that a picture can be made of what stands before a fault.

    :param names: ``{"host:port": name}`` for entities that the caller knows.
    :param fold: methods that are counted and not drawn.
    """

    def __init__(
        self,
        names: Mapping[str, str] | None = None,
        *,
        fold: Iterable[str] = FOLDED_METHODS,
    ) -> None:
        self._casting = Casting(names)
        self._fold = frozenset(fold)
        self._exchanges: list[_Exchange] = []
        self._by_transaction: dict[tuple[str, str], list[_Exchange]] = {}
        self._counts: Counter[str] = Counter()
        self._answers: dict[str, Counter[int]] = {}
        self._undrawn = 0

    def add(self, message: CapturedMessage) -> None:
        """Take the next message."""
        summary = summarize(message.octets, is_cut=message.is_cut)
        self._casting.learn(message.source, message.destination, summary)
        if summary.status_code is not None:
            self._add_answer(message, summary)
        elif summary.method in self._fold:
            self._counts[summary.method or ""] += 1
        elif not self._is_retransmission(message, summary):
            self._draw(message, summary)

    def finish(self) -> Ladder:
        """Return the picture of what was added."""
        casting, exchanges = self._casting, self._exchanges
        ends = [
            (casting.key(exchange.message.source), casting.key(exchange.message.destination))
            for exchange in exchanges
        ]
        roles = _roles(casting, exchanges, ends)
        steps = [
            _STEPS.get((exchange.summary.flow.name, roles[source], roles[destination]), "")
            if exchange.summary.flow
            else ""
            for exchange, (source, destination) in zip(exchanges, ends, strict=True)
        ]
        systems = _systems(ends, steps)
        order = _column_order(ends, roles)
        columns = {key: index for index, key in enumerate(order)}
        started_at = min((exchange.message.at for exchange in exchanges), default=0.0)
        arrows = tuple(
            _arrow(exchange, (columns[end[0]], columns[end[1]]), step, started_at)
            for exchange, end, step in zip(exchanges, ends, steps, strict=True)
        )
        entities = tuple(casting.entity(key, roles[key], systems.get(key, "")) for key in order)
        return Ladder(started_at, entities, arrows, self._folded(), self._undrawn)

    def _folded(self) -> tuple[Folded, ...]:
        return tuple(
            Folded(
                method,
                self._counts[method],
                tuple(sorted(self._answers.get(method, Counter()).items())),
            )
            for method in sorted({*self._counts, *self._answers})
        )

    def _draw(self, message: CapturedMessage, summary: Summary) -> None:
        if len(self._exchanges) >= MAX_ARROWS:
            self._undrawn += 1
            return
        exchange = _Exchange(message, summary)
        self._exchanges.append(exchange)
        if summary.transaction is not None:
            self._by_transaction.setdefault(summary.transaction, []).append(exchange)

    def _is_retransmission(self, message: CapturedMessage, summary: Summary) -> bool:
        for exchange in self._same_transaction(summary):
            first = exchange.message
            if first.octets == message.octets and first.destination == message.destination:
                exchange.times += 1
                return True
        return False

    def _add_answer(self, message: CapturedMessage, summary: Summary) -> None:
        if summary.cseq_method in self._fold:
            if summary.status_code is not None and summary.status_code >= 200:
                counts = self._answers.setdefault(summary.cseq_method, Counter())
                counts[summary.status_code] += 1
            return
        exchange = self._request_of(message, summary)
        if exchange is None:
            self._draw(message, summary)
        elif summary.status_code is not None and summary.status_code >= 200:
            exchange.answer_times += 1
            if exchange.answer is None:
                exchange.answer, exchange.answer_at = summary, message.at

    def _request_of(self, message: CapturedMessage, summary: Summary) -> _Exchange | None:
        candidates = [
            exchange
            for exchange in self._same_transaction(summary)
            if exchange.summary.method is not None
        ]
        for exchange in reversed(candidates):
            if exchange.message.destination == message.source:
                return exchange
        # An answer on a new connection, or from another port of the same host.
        for exchange in reversed(candidates):
            if exchange.message.destination[0] == message.source[0]:
                return exchange
        return None

    def _same_transaction(self, summary: Summary) -> list[_Exchange]:
        return self._by_transaction.get(summary.transaction, []) if summary.transaction else []


def build_ladder(
    messages: Iterable[CapturedMessage],
    names: Mapping[str, str] | None = None,
    *,
    fold: Iterable[str] = FOLDED_METHODS,
) -> Ladder:
    """Make the picture of *messages*, which are taken in their order.

    :param names: ``{"host:port": name}`` for entities that the caller knows.
    :param fold: methods that are counted and not drawn.
    :raises CaptureError: when *messages* does; a :class:`LadderBuilder` keeps what came before.
    """
    builder = LadderBuilder(names, fold=fold)
    for message in messages:
        builder.add(message)
    return builder.finish()


def _roles(
    casting: Casting, exchanges: list[_Exchange], ends: list[tuple[Hashable, Hashable]]
) -> dict[Hashable, Role | None]:
    """Return what each entity is; the receiver of a server is told by what is left."""
    roles = {key: casting.role(key) for key in dict.fromkeys(key for end in ends for key in end)}
    heard_from: dict[tuple[Hashable, str, str], set[Role | None]] = {}
    for exchange, (source, destination) in zip(exchanges, ends, strict=True):
        summary = exchange.summary
        if summary.flow is None:
            continue
        name, transaction_id = summary.flow.name, summary.flow.transaction_id
        if roles[destination] is None and roles[source] == "server":
            # A server addresses a client by its registered contact, and a server by its PSI;
            # what a server heard from a server goes on to a client.
            contact = summary.request_uri.partition(";")[0].rpartition("@")[2]
            is_contact = contact == format_endpoint(exchange.message.destination)
            before = heard_from.get((source, name, transaction_id), set())
            roles[destination] = "client" if is_contact or "server" in before else "server"
        heard_from.setdefault((destination, name, transaction_id), set()).add(roles[source])
    return roles


def _systems(ends: list[tuple[Hashable, Hashable]], steps: list[str]) -> dict[Hashable, str]:
    """Return the MC system of each entity; none where two steps contradict each other."""
    found: dict[Hashable, set[str]] = {}
    for end, step in zip(ends, steps, strict=True):
        for key, system in zip(end, _SYSTEMS.get(step, ()), strict=False):
            found.setdefault(key, set()).add(system)
    return {key: next(iter(systems)) for key, systems in found.items() if len(systems) == 1}


def _column_order(
    ends: list[tuple[Hashable, Hashable]], roles: Mapping[Hashable, Role | None]
) -> list[Hashable]:
    """Return the entities in path order: clients beside their server, the first one's left."""
    seen = list(dict.fromkeys(key for end in ends for key in end))
    servers = [key for key in seen if roles[key] == "server"]
    home: dict[Hashable, Hashable] = {}
    for one, other in (*ends, *((other, one) for one, other in ends)):
        if roles[one] != "server" and roles[other] == "server":
            home.setdefault(one, other)
    first_client = next((key for key in seen if key in home), None)
    left = [
        key
        for key in seen
        if key in home and home[key] == servers[0] and (len(servers) > 1 or key == first_client)
    ]
    order = list(left)
    for server in servers:
        order.append(server)
        order += [key for key in seen if home.get(key) == server and key not in left]
    return order + [key for key in seen if key not in order]


def _arrow(exchange: _Exchange, columns: tuple[int, int], step: str, started_at: float) -> Arrow:
    summary, message = exchange.summary, exchange.message
    answer = None
    if exchange.answer is not None and exchange.answer.status_code is not None:
        answer = Answer(
            exchange.answer.status_code,
            exchange.answer.reason_phrase,
            exchange.answer_at - started_at,
            exchange.answer_times,
        )
    return Arrow(
        at_s=message.at - started_at,
        source=columns[0],
        destination=columns[1],
        method=summary.method or "",
        label=_label(summary),
        step=step,
        outcome=summary.flow.outcome if summary.flow else "",
        transaction_id=summary.flow.transaction_id if summary.flow else "",
        answer=answer,
        times=exchange.times,
        note=summary.note,
        frame_number=message.frame_number,
    )


def _label(summary: Summary) -> str:
    if summary.flow is not None:
        return summary.flow.name
    if summary.status_code is not None:
        return f"{summary.status_code} {summary.reason_phrase} (to a request not captured)"
    if summary.method is None:
        return "?"
    return f"{summary.method} {summary.content_type}".rstrip()
