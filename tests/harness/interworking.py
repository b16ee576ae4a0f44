"""Two MC systems wired together in memory: clients and servers, a virtual clock, no sockets.

Every entity is its real role over a store. A row that is leased becomes an :class:`Attempt` in
the air; what happens to it then is up to the test: :meth:`Network.deliver` (as often as wished:
a duplicate), :meth:`Network.answer` (the final answer arrives), :meth:`Network.time_out`.
:meth:`Network.run` lets a perfect network work until nothing is left to do.

A crash is :meth:`Entity.restart`: what was in the air is forgotten, the store stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from acm_sip.codec.flows import InformationFlow
from acm_sip.identities import McServiceId
from acm_sip.procedures import client as client_decisions
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import write_message
from acm_sip.procedures.client_role import AcmClientRole
from acm_sip.procedures.effects import (
    AnswerRequest,
    Effect,
    Log,
    PutOutboxRow,
    RegisterAgain,
    ReleaseRows,
    RemoveBinding,
    TellUser,
)
from acm_sip.procedures.events import DecisionMade, DeliveryEnded
from acm_sip.procedures.functional_alias import AliasTable
from acm_sip.procedures.mc_system import LocalUser, McSystem
from acm_sip.procedures.ports import AliasDirectory
from acm_sip.procedures.records import (
    AcmTransaction,
    Destination,
    DestinationKind,
    OutboxRow,
    Side,
)
from acm_sip.procedures.registration import RegistrationLimits
from acm_sip.procedures.role import ReadRequest, Role
from acm_sip.procedures.server_role import AcmServerRole
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.stores import AcmStore
from tests.harness.fake_records import FakeRecords, FakeStore, only
from tests.procedures import examples
from tests.procedures.examples import decoded

_NO_LIMIT = 1000
_LONG_S = 10**9  # a log-on lasts until the test ends it
LIMITS = RegistrationLimits(longest_s=_LONG_S)


@dataclass(eq=False)
class Attempt:
    """One MESSAGE client transaction.

    :ivar answers: what the receiver said, once per delivery.
    """

    sender: Entity
    receiver: Entity
    row: OutboxRow
    request: Request
    source: Source
    answers: list[AnswerRequest] = field(default_factory=list)
    is_open: bool = True

    def __repr__(self) -> str:
        return f"{self.sender.name}->{self.receiver.name} {self.row.flow} {self.answers}"

    @property
    def step(self) -> tuple[str, str, str, int]:
        """Sender, receiver, flow and final answer."""
        return (self.sender.name, self.receiver.name, self.row.flow, self.answers[0].status_code)


class Entity:
    """An ACM entity: its role, its store, and what it has in the air."""

    def __init__(self, network: Network, name: str, host: str, role: Role, store: Any) -> None:
        self.network = network
        self.name = name
        self.host = host
        self.role = role
        self.store = store
        self.told: list[AcmTransaction] = []
        self.logs: list[Log] = []
        self.registers_again = 0
        network.entities[name] = self

    def receive(self, request: Request, source: Source) -> AnswerRequest:
        """Take a request as the engine does; return its one answer."""
        read = self.role.read(request, source, self.network.now)
        with self.store.transact() as batch:
            effects: Sequence[Effect] = (
                self.role.decide(batch, read) if isinstance(read, ReadRequest) else read
            )
            answers = self.apply(batch, effects)
        answer = only(answers)
        assert isinstance(answer, AnswerRequest)
        return answer

    def apply(self, batch: FakeRecords, effects: Sequence[Effect]) -> list[AnswerRequest]:
        """Apply the changes and collect the rest."""
        answers = []
        for effect in effects:
            match effect:
                case AnswerRequest():
                    answers.append(effect)
                case TellUser(transaction):
                    self.told.append(transaction)
                case RegisterAgain():
                    self.registers_again += 1
                case Log():
                    self.logs.append(effect)
                case _:
                    batch.apply(effect)
        return answers

    def call(self, decide: Callable[[FakeRecords], Sequence[Effect]]) -> None:
        """Make a decision that no request caused."""
        with self.store.transact() as batch:
            assert not self.apply(batch, decide(batch))

    def ended(self, ended: DeliveryEnded) -> None:
        self.call(lambda batch: self.role.on_delivery_ended(batch, ended))

    def look_after(self) -> None:
        """Do what time asks for."""
        now = self.network.now
        with self.store.transact() as batch:
            for row in batch.rows_past_deadline(now, _NO_LIMIT):
                self.apply(batch, self.role.on_row_deadline(batch, row, now))
            for transaction in batch.due_transactions(now, _NO_LIMIT):
                self.apply(batch, self.role.on_deadline(batch, transaction, now))
            for binding in batch.expired_bindings(now, _NO_LIMIT):
                batch.apply(RemoveBinding(binding))

    def send(self) -> list[Attempt]:
        """Lease what may leave now; return the attempts, which are in the air."""
        now, attempts = self.network.now, []
        with self.store.transact() as batch:
            busy = [str(attempt.row.destination) for attempt in self.network.under_way(self)]
            rows = batch.lease_rows(
                now,
                leased_until=now + 45.0,
                node=self.name,
                window=lambda name: self.network.window - busy.count(name),
                limit=_NO_LIMIT,
            )
            for row in rows:
                sending = self.role.resolve(batch, row, now)
                if sending is None:
                    batch.apply(PutOutboxRow(replace(row, next_attempt_at=None)))
                    continue
                self.apply(batch, sending.updates)
                request = write_message(
                    sending.addressing,
                    row.octets,
                    service=row.service,
                    at=now,
                    expires_at=sending.expires_at,
                    call_id=f"call-{next(self.network.counter)}",
                    from_tag=f"tag-{next(self.network.counter)}",
                )
                attempts.append((row, request, sending.hop))
        return [self.network.start(self, *attempt) for attempt in attempts]

    def restart(self) -> None:
        """Lose everything but the store."""
        for attempt in self.network.under_way(self):
            attempt.is_open = False
        if isinstance(self.store, AcmStore):
            self.store.close()
            self.store = AcmStore.open(self.store.path)
        else:
            self.store.end_leases()

    @property
    def facts(self) -> FakeRecords:
        facts = self.store.facts
        assert isinstance(facts, FakeRecords)
        return facts

    @property
    def transactions(self) -> list[AcmTransaction]:
        if isinstance(self.store, AcmStore):
            with self.store.read() as reader:
                return reader.list_transactions(_NO_LIMIT)
        return list(self.facts.tables.transactions.values())

    @property
    def transaction(self) -> AcmTransaction:
        """The one ACM transaction it knows."""
        found = only(self.transactions)
        assert isinstance(found, AcmTransaction)
        return found

    @property
    def rows(self) -> list[OutboxRow]:
        if isinstance(self.store, AcmStore):
            with self.store.read() as reader:
                return [entry.row for entry in reader.list_outbox(_NO_LIMIT)]
        return list(self.facts.tables.rows.values())


class Server(Entity):
    """An ACM server; :meth:`configure` replaces its facts as a new configuration does."""

    def __init__(
        self,
        network: Network,
        name: str,
        host: str,
        system: McSystem,
        aliases: AliasDirectory,
        store: Any,
    ) -> None:
        super().__init__(network, name, host, AcmServerRole(system, aliases, LIMITS), store)
        self.system = system
        self.aliases = aliases

    def configure(
        self, system: McSystem | None = None, aliases: AliasDirectory | None = None
    ) -> None:
        self.system = system or self.system
        self.aliases = aliases or self.aliases
        self.role = AcmServerRole(self.system, self.aliases, LIMITS)


class Client(Entity):
    """An ACM client and the user behind it."""

    def __init__(
        self, network: Network, name: str, host: str, user: LocalUser, server: Server, store: Any
    ) -> None:
        self.client_role = AcmClientRole(
            user.public_identity,
            user.mc_service_ids,
            server.system.psi.canonical,
            [server.host],
            server.system.wire_names,
        )
        super().__init__(network, name, host, self.client_role, store)
        self.user = user
        self.server = server
        self.flow = ""
        self._cseq = itertools.count(1)

    def register(self, expires_s: int = _LONG_S) -> AnswerRequest:
        """Log on over a new connection; 0 logs off."""
        if expires_s:
            self.flow = f"tcp:{self.name}:{next(self.network.counter)}"
        answer = self.server.receive(self.registration(expires_s), self.source)
        self.client_role.is_registered = answer.status_code == 200 and expires_s > 0
        server = str(Destination(DestinationKind.SERVER, self.server.system.psi.canonical))
        self.call(lambda _: (ReleaseRows((server,)),))
        return answer

    def registration(self, expires_s: int) -> Request:
        identity = self.user.public_identity.text
        return Request(
            "REGISTER",
            f"sip:{self.server.system.psi.domain}",
            HeaderFields(
                [
                    ("Max-Forwards", "70"),
                    ("From", f"<{identity}>;tag=1"),
                    ("To", f"<{identity}>"),
                    ("Call-ID", f"registration-of-{self.name}"),
                    ("CSeq", f"{next(self._cseq)} REGISTER"),
                    ("Contact", f"<sip:{self.name}@{self.host}:5070;transport=tcp>"),
                    ("Expires", str(expires_s)),
                ]
            ),
        )

    def disconnect(self) -> None:
        """Break the connection: both ends notice."""
        flow, self.flow = self.flow, ""
        self.client_role.is_registered = False
        for attempt in self.network.under_way():
            if self in {attempt.sender, attempt.receiver}:
                self.network.end(attempt, 503, "connection lost")
        self.server.call(lambda batch: self.server.role.on_flow_closed(batch, flow))

    @property
    def source(self) -> Source:
        return Source(self.host, self.flow)

    def ask(self, flow: Any) -> None:
        """Make an own request (step 1)."""
        body, now = decoded(flow), self.network.now
        psi = self.server.system.psi.canonical
        expires_at = flow.expires_at.timestamp() if flow.expires_at else now + examples.DAY_S
        self.call(
            lambda batch: client_decisions.on_own_request(
                psi, batch.allocate_numbers(1), "mcptt", body, now, expires_at
            )
        )

    def decide(
        self,
        cause: str | None = None,
        *,
        transaction: AcmTransaction | None = None,
        handler: McServiceId | None = None,
        text: str | None = None,
    ) -> None:
        """Accept the request that was shown, or reject it with a cause (step 6)."""
        asked = transaction or self.transaction
        decision = DecisionMade(
            at=self.network.now,
            acm_transaction_id=asked.acm_transaction_id,
            requesting_mc_service_id=asked.requesting_mc_service_id,
            handling_mc_service_id=handler or self.user.mc_service_ids[0],
            is_accepted=cause is None,
            cause=cause,
            text=text,
        )
        psi = self.server.system.psi.canonical
        self.call(lambda batch: client_decisions.on_decision(psi, batch, decision))

    def message(self, flow: InformationFlow, **changes: str) -> Request:
        """A MESSAGE of this client, with other header fields where ``changes`` has them."""
        psi, identity = self.server.system.psi.text, self.user.public_identity.text
        return examples.message(flow, psi, identity, is_asserted=False, changes=changes)

    def send_flow(self, flow: InformationFlow) -> AnswerRequest:
        """Hand a flow to the own server as any other implementation may."""
        return self.server.receive(self.message(flow), self.source)

    @property
    def outcomes(self) -> list[tuple[str | None, str | None]]:
        """Outcome and cause, as often as the user was told of an own request."""
        return [(t.outcome, t.cause) for t in self.told if t.side is Side.REQUESTER]

    @property
    def asked(self) -> list[AcmTransaction]:
        """What the user was asked to decide, as often as that happened."""
        return [t for t in self.told if t.side is Side.HANDLER and t.outcome is None]


class Network:
    """All entities, the clock, and what is in the air."""

    def __init__(self, now: float = examples.T0) -> None:
        self.now = now
        self.entities: dict[str, Entity] = {}
        self.attempts: list[Attempt] = []
        self.counter: Iterator[int] = itertools.count(1)
        self.window = 1  # how many MESSAGEs may be under way to one destination

    def under_way(self, sender: Entity | None = None) -> list[Attempt]:
        return [a for a in self.attempts if a.is_open and (sender is None or a.sender is sender)]

    def start(self, sender: Entity, row: OutboxRow, request: Request, hop: str) -> Attempt:
        kind, _, name = hop.partition(":")
        if kind == "flow":
            receiver: Entity | None = next(
                (e for e in self.entities.values() if isinstance(e, Client) and e.flow == name),
                None,
            )
        elif kind == "server":
            assert isinstance(sender, Client)
            receiver = sender.server
        else:
            receiver = next(
                e for e in self.entities.values() if isinstance(e, Server) and e.system.name == name
            )
        source = sender.source if isinstance(sender, Client) else Source(sender.host, f"to-{hop}")
        attempt = Attempt(sender, receiver or sender, row, request, source)
        self.attempts.append(attempt)
        if receiver is None:  # the connection is gone
            self.end(attempt, 430, was_sent=False)
        return attempt

    def deliver(self, attempt: Attempt) -> AnswerRequest:
        """Let the MESSAGE arrive; once more is a duplicate."""
        answer = attempt.receiver.receive(attempt.request, attempt.source)
        attempt.answers.append(answer)
        return answer

    def answer(self, attempt: Attempt) -> None:
        """Let the first answer arrive."""
        answer = attempt.answers[0]
        headers = dict(answer.headers)
        warning = headers.get("Warning")
        text = answer.reason_phrase if warning is None else warning.split('"')[1]
        retry_after = headers.get("Retry-After")
        self.end(
            attempt, answer.status_code, text, None if retry_after is None else float(retry_after)
        )

    def time_out(self, attempt: Attempt) -> None:
        """Let no answer arrive within Timer F."""
        self.end(attempt, 408, "no answer")

    def end(
        self,
        attempt: Attempt,
        status_code: int,
        text: str = "",
        retry_after_s: float | None = None,
        *,
        was_sent: bool = True,
    ) -> None:
        """End an attempt with any status code."""
        attempt.is_open = False
        attempt.sender.ended(
            DeliveryEnded(attempt.row, self.now, status_code, text, retry_after_s, was_sent)
        )

    def send_all(self) -> list[Attempt]:
        """Let every entity do what is due and send what may leave."""
        for entity in self.entities.values():
            entity.look_after()
        return [attempt for entity in self.entities.values() for attempt in entity.send()]

    def run(self) -> None:
        """Let a perfect network work until nothing is left to do at this instant."""
        for _ in range(200):
            started = self.send_all()
            if not started and not self.under_way():
                return
            for attempt in self.under_way():
                if not attempt.answers:
                    self.deliver(attempt)
                self.answer(attempt)
        raise AssertionError("the network does not come to rest")

    def run_for(self, seconds: float, step_s: float = 30.0) -> None:
        """Run while time passes."""
        end = self.now + seconds
        while self.now < end:
            self.run()
            self.now = min(end, self.now + step_s)
        self.run()

    @property
    def steps(self) -> list[tuple[str, str, str, int]]:
        """Every MESSAGE that was delivered, in order of sending."""
        return [attempt.step for attempt in self.attempts if attempt.answers]


@dataclass
class World:
    """Alice at P in mc1, Bob and Bea at Q in mc2; all but Bea are logged on."""

    network: Network
    alice: Client
    p: Server
    q: Server
    bob: Client
    bea: Client

    @property
    def configured(self) -> list[str]:
        """Users for whom Q holds a configuration of mc1."""
        return [name for side, _, name in self.q.facts.tables.configurations if side == "partner"]


def make_world(
    *,
    p_system: McSystem = examples.P_SYSTEM,
    q_system: McSystem = examples.Q_SYSTEM,
    p_aliases: AliasDirectory = examples.NO_ALIASES,
    q_aliases: AliasDirectory | None = None,
    logged_on: Sequence[str] = ("alice", "bob"),
    make_store: Callable[[str], Any] = lambda _: FakeStore(),
) -> World:
    """Build the two systems."""
    network = Network()
    p = Server(network, "P", examples.P_HOST, p_system, p_aliases, make_store("p"))
    aliases = AliasTable({examples.DUTY: (examples.BOB,)}) if q_aliases is None else q_aliases
    q = Server(network, "Q", examples.Q_HOST, q_system, aliases, make_store("q"))
    clients = {
        name: Client(network, name, f"198.51.100.{host}", user, server, make_store(name))
        for host, (name, user, server) in enumerate(
            [
                ("alice", examples.ALICE_USER, p),
                ("bob", examples.BOB_USER, q),
                ("bea", examples.BEA_USER, q),
            ]
        )
    }
    for name in logged_on:
        assert clients[name].register().status_code == 200
    return World(network, clients["alice"], p, q, clients["bob"], clients["bea"])
