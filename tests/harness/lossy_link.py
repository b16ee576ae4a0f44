"""Two transaction layers on one virtual clock, and a link between them that misbehaves.

The link loses, duplicates, delays and so reorders datagrams, in each direction alike, by a seeded
generator: a failing seed repeats itself exactly. What crosses it are octets, read again by the
parser at the other end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from acm_sip.sip.message import Request, Response, create_response
from acm_sip.sip.parser import parse_datagram
from acm_sip.sip.routing import Flow
from acm_sip.sip.timers import TimerValues
from acm_sip.sip.transaction.key import ServerTransactionKey
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.outputs import (
    Discard,
    Output,
    PassRequest,
    PassResponse,
    ReportTimeout,
    ReportTransportError,
    SendRequest,
    SendResponse,
)
from tests.harness.transactions import make_flow, reverse


@dataclass(frozen=True, slots=True)
class Link:
    """What happens to each datagram.

    :param loss: share of datagrams that never arrive.
    :param duplication: share of the others that arrive twice.
    :param longest_delay_s: each arrives after 0 to this many seconds, so that they overtake
        each other.
    """

    loss: float = 0.0
    duplication: float = 0.0
    longest_delay_s: float = 0.0


@dataclass(slots=True)
class Exchange:
    """What one client transaction and its server saw, with instants in seconds."""

    sent_at: list[float] = field(default_factory=list)
    passed_at: list[float] = field(default_factory=list)
    provisional_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    outcomes: list[tuple[float, int]] = field(default_factory=list)


class LossyLink:
    """Run client transactions against a server whose user answers after a while.

    :param answer_after_s: how long the user of the server takes; None: it never answers.
    """

    def __init__(
        self,
        link: Link,
        *,
        seed: int = 0,
        answer_after_s: Callable[[Random], float] | None = lambda _: 0.0,
        timers: TimerValues | None = None,
    ) -> None:
        self.now = 0.0
        self.client = TransactionLayer(timers)
        self.server = TransactionLayer(timers)
        self.exchanges: dict[str, Exchange] = {}
        self._link = link
        self._random = Random(seed)
        self._answer_after_s = answer_after_s
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._server_flow = make_flow()
        self._client_flow: Flow = reverse(self._server_flow)

    def send_at(self, at: float, request: Request) -> None:
        """Start a client transaction at an instant."""
        self._at(at, lambda: self._start(request))

    def run(self) -> None:
        """Run until nothing is under way and no timer is left."""
        while (step := self._next_step()) is not None:
            self.now, perform = step
            perform()

    def _next_step(self) -> tuple[float, Callable[[], None]] | None:
        steps: list[tuple[float, int, Callable[[], None]]] = []
        if self.client.next_timer_at is not None:
            steps.append((self.client.next_timer_at, 1, self._fire_client))
        if self.server.next_timer_at is not None:
            steps.append((self.server.next_timer_at, 2, self._fire_server))
        if self._events:
            steps.append((self._events[0][0], 0, self._deliver))
        return min(steps)[::2] if steps else None

    def _deliver(self) -> None:
        heapq.heappop(self._events)[2]()

    def _fire_client(self) -> None:
        self._perform(self.client.handle_timers(self.now))

    def _fire_server(self) -> None:
        self._perform(self.server.handle_timers(self.now))

    def _at(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), action))

    def _start(self, request: Request) -> None:
        key, outputs = self.client.send_request(request, self._client_flow, self.now)
        self.exchanges[key.branch] = Exchange()
        self._perform(outputs)

    def _perform(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case SendRequest(key=key, octets=octets):
                    self.exchanges[key.branch].sent_at.append(self.now)
                    self._transmit(octets, self._receive_request)
                case SendResponse(octets=octets, key=key):
                    assert key is not None
                    if octets.startswith(b"SIP/2.0 100 "):
                        self.exchanges[key.branch].provisional_at.append(self.now)
                    self._transmit(octets, self._receive_response)
                case PassRequest(key=key, request=request):
                    assert key is not None
                    self.exchanges[key.branch].passed_at.append(self.now)
                    self._schedule_answer(key, request)
                case PassResponse(key=key, response=response):
                    if response.status_code >= 200:
                        self.exchanges[key.branch].outcomes.append((self.now, response.status_code))
                case ReportTimeout(key=key) | ReportTransportError(key=key):
                    self.exchanges[key.branch].outcomes.append((self.now, output.status_code))
                case Discard():
                    pass

    def _transmit(self, octets: bytes, receive: Callable[[bytes], None]) -> None:
        if self._random.random() < self._link.loss:
            return
        copies = 2 if self._random.random() < self._link.duplication else 1
        for _ in range(copies):
            delay_s = self._random.random() * self._link.longest_delay_s
            self._at(self.now + delay_s, lambda: receive(octets))

    def _receive_request(self, octets: bytes) -> None:
        request = parse_datagram(octets)
        assert isinstance(request, Request)
        self._perform(self.server.receive_request(request, self._server_flow, self.now))

    def _receive_response(self, octets: bytes) -> None:
        response = parse_datagram(octets)
        assert isinstance(response, Response)
        self._perform(self.client.receive_response(response, self._client_flow, self.now))

    def _schedule_answer(self, key: ServerTransactionKey, request: Request) -> None:
        if self._answer_after_s is not None:
            answer_at = self.now + self._answer_after_s(self._random)
            self._at(answer_at, lambda: self._answer(key, request))

    def _answer(self, key: ServerTransactionKey, request: Request) -> None:
        self.exchanges[key.branch].answered_at.append(self.now)
        response = create_response(request, 200, to_tag=self.server.to_tag(request))
        self._perform(self.server.respond(key, response, self.now))
