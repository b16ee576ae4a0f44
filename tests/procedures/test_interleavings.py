"""Random interleavings of two systems: lost, late, repeated, out of order, crashed, expired.

What must hold in every one of them:

- a request that Bob accepted takes effect at Q once, or the requester is told why not;
- the requester learns one final outcome; more only as corrections of one that was stated without
  knowing (``expired``, ``partner-unreachable``);
- Q applies nothing after ``expires-at``;
- what Q holds for a user is the last document that it said ``success`` to;
- in the end, with a network that works again, nobody is left without an outcome, nothing is left
  to send, and P's record of what Q holds is Q's.

Set ACM_SIP_EXAMPLES for more examples than the gate has time for.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from acm_sip.codec.ue_init_config import document_digest
from acm_sip.procedures.mc_system import Handling
from acm_sip.procedures.records import AcmTransactionState, Side
from tests.harness.interworking import Attempt, Client, make_world
from tests.procedures import examples
from tests.procedures.examples import BOB, CAROL, DAVE, DAY_S, DUTY, document, request

_EXAMPLES = int(os.environ.get("ACM_SIP_EXAMPLES", "60"))
_USERS = [(CAROL,), (DAVE,), (CAROL, DAVE)]
_PROVISIONAL = {"expired", "partner-unreachable"}


class Interworking(RuleBasedStateMachine):
    """Alice asks for Carol and Dave, Bob (or an alias he and Bea share) decides."""

    @initialize(
        handling=st.sampled_from([Handling.ASK, Handling.ASK, Handling.ACCEPT, Handling.REJECT]),
        window=st.sampled_from([1, 4]),
    )
    def start(self, handling: Handling, window: int) -> None:
        self.world = make_world(
            q_system=examples.automatic(handling),
            q_aliases=examples.AliasTable({DUTY: (BOB, examples.BEA)}),
            logged_on=("alice", "bob", "bea"),
        )
        self.network = self.world.network
        self.network.window = window
        self.handling = handling
        self.requests: dict[str, Any] = {}
        self.late: list[Attempt] = []  # given up by the sender, still in the network

    def pick(self, data: st.DataObject, items: list[Any]) -> Any:
        return items[data.draw(st.integers(0, len(items) - 1))]

    # What the users do

    @precondition(lambda self: len(self.requests) < 4)
    @rule(
        users=st.sampled_from(_USERS),
        lifetime_s=st.sampled_from([20.0, 600.0, 7200.0, 7200.0]),
        by_alias=st.booleans(),
    )
    def ask(self, users: Any, lifetime_s: float, by_alias: bool) -> None:
        number = len(self.requests) + 1
        target = {"target_mc_service_id": None, "target_functional_alias": DUTY} if by_alias else {}
        flow = request(
            number,
            variant=number,
            mc_service_id_list=users,
            expires_at=float(int(self.network.now + lifetime_s)),
            **target,
        )
        self.requests[flow.acm_transaction_id.text] = flow
        self.world.alice.ask(flow)

    @rule(data=st.data(), accepts=st.booleans(), who=st.sampled_from(["bob", "bea"]))
    def decide(self, data: st.DataObject, accepts: bool, who: str) -> None:
        client: Client = getattr(self.world, who)
        undecided = [t for t in client.transactions if t.outcome is None and self.is_asked(t)]
        undecided = [t for t in undecided if t.expires_at > self.network.now]
        if undecided:
            cause = None if accepts else "rejected-by-user"
            client.decide(cause, transaction=self.pick(data, undecided))

    @staticmethod
    def is_asked(transaction: Any) -> bool:
        return transaction.side is Side.HANDLER

    @rule(known=st.sampled_from([{CAROL}, {CAROL, DAVE}, {CAROL, DAVE}, set()]))
    def learn_users(self, known: Any) -> None:
        """Q learns or forgets migrating users: what is decided then is decided by that."""
        self.world.q.configure(
            examples.partner_system(handling=self.handling, migrating_users=frozenset(known))
        )

    # What the network does

    @rule()
    def send(self) -> None:
        self.network.send_all()

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if waiting := self.network.under_way():
            self.network.deliver(self.pick(data, waiting))

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        if answered := [a for a in self.network.under_way() if a.answers]:
            self.network.answer(self.pick(data, answered))

    @rule(rounds=st.integers(1, 5), is_answered=st.booleans())
    def work(self, rounds: int, is_answered: bool) -> None:
        """Deliver, and answer at once: most of the time a network does this."""
        for _ in range(rounds):
            for attempt in self.network.send_all() or self.network.under_way():
                if attempt.is_open:
                    self.network.deliver(attempt)
                if attempt.is_open and is_answered:
                    self.network.answer(attempt)

    @rule(data=st.data(), status_code=st.sampled_from([408, 408, 500, 503]))
    def lose(self, data: st.DataObject, status_code: int) -> None:
        """The MESSAGE or its answer is lost; what is lost may still arrive late."""
        if waiting := self.network.under_way():
            attempt = self.pick(data, waiting)
            self.late.append(attempt)
            self.network.end(attempt, status_code, "lost", was_sent=True)

    @rule(data=st.data())
    def deliver_late(self, data: st.DataObject) -> None:
        past = [a for a in self.late + self.network.attempts if not a.is_open and a.receiver]
        past = [a for a in past if is_flow_open(a)]
        if past:
            self.network.deliver(self.pick(data, past))

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 33.0, 61.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.network.now += seconds

    # What breaks

    @rule(name=st.sampled_from(["P", "Q", "alice", "bob", "bea"]))
    def crash(self, name: str) -> None:
        entity = self.network.entities[name]
        self.late += self.network.under_way(entity)
        entity.restart()

    @rule(name=st.sampled_from(["alice", "bob", "bea"]))
    def disconnect(self, name: str) -> None:
        client = getattr(self.world, name)
        if client.flow:
            client.disconnect()

    @rule(name=st.sampled_from(["alice", "bob", "bea"]))
    def register(self, name: str) -> None:
        client = getattr(self.world, name)
        if client.flow:
            client.disconnect()
        assert client.register().status_code == 200

    # What must hold

    @invariant()
    def nothing_is_applied_after_its_end(self) -> None:
        for applied in self.applied():
            transaction = self.world.q.facts.transaction_by_number(applied.transaction_number)
            assert transaction is not None
            assert applied.applied_at < transaction.expires_at

    @invariant()
    def every_effect_happens_once(self) -> None:
        numbers = [applied.transaction_number for applied in self.applied()]
        assert len(numbers) == len(set(numbers))
        for transaction in self.at("q"):
            is_applied = transaction.number in numbers
            assert is_applied == (transaction.outcome == "success")

    @invariant()
    def one_final_outcome(self) -> None:
        if not hasattr(self, "world"):
            return
        told: dict[str, list[Any]] = {}
        for transaction in self.world.alice.told:
            told.setdefault(transaction.acm_transaction_id.text, []).append(transaction)
        for outcomes in told.values():
            assert all(o.cause in _PROVISIONAL for o in outcomes[:-1]), outcomes
            assert len(outcomes) <= 3

    @invariant()
    def the_user_is_asked_once(self) -> None:
        if hasattr(self, "world"):
            for client in (self.world.bob, self.world.bea):
                ids = [t.acm_transaction_id.text for t in client.asked]
                assert len(ids) == len(set(ids))

    @invariant()
    def q_holds_what_it_accepted_last(self) -> None:
        held: dict[str, bytes] = {}
        for applied in self.applied():
            held.update((user.canonical, applied.digest) for user in applied.users)
        configurations = self.at("q", "configurations")
        assert {key[2]: c.digest for key, c in configurations.items()} == held

    @invariant()
    def later_requests_are_not_undone(self) -> None:
        by_user: dict[str, list[int]] = {}
        for applied in self.applied():
            for user in applied.users:
                by_user.setdefault(user.canonical, []).append(applied.transaction_number)
        assert all(numbers == sorted(numbers) for numbers in by_user.values())

    def applied(self) -> list[Any]:
        return self.world.q.facts.tables.applied if hasattr(self, "world") else []

    def at(self, name: str, what: str = "") -> Any:
        if not hasattr(self, "world"):
            return {} if what else []
        server = getattr(self.world, name)
        return getattr(server.facts.tables, what) if what else server.transactions

    def teardown(self) -> None:
        """Let everything work again, and time pass: all must come to its end."""
        if not hasattr(self, "world"):
            return
        for client in (self.world.alice, self.world.bob, self.world.bea):
            if client.flow:
                client.disconnect()
            client.register()
        for entity in self.network.entities.values():
            entity.restart()
        started_at = self.network.now
        self.network.run_for(120.0, 20.0)
        for client in (self.world.bob, self.world.bea):
            for transaction in client.transactions:
                if transaction.outcome is None:
                    client.decide(transaction=transaction)
        self.network.run_for(480.0, 20.0)
        self.check_nothing_was_left_undone(started_at + 600.0)
        self.network.run_for(2 * DAY_S, DAY_S / 4)
        self.check_the_end()

    def check_nothing_was_left_undone(self, before: float) -> None:
        """With ten minutes of a network that works, only time that is over ends a request."""
        for transaction in self.world.alice.transactions:
            if transaction.expires_at > before:
                assert transaction.outcome is not None
                assert transaction.cause not in _PROVISIONAL

    def check_the_end(self) -> None:
        world = self.world
        for entity in self.network.entities.values():
            assert entity.rows == [], (entity.name, entity.rows)
        by_id = {t.acm_transaction_id.text: t for t in world.q.transactions}
        for transaction in world.alice.transactions:
            assert transaction.state is AcmTransactionState.ANSWERED
            of_q = by_id.get(transaction.acm_transaction_id.text)
            if of_q is None:
                assert transaction.cause in _PROVISIONAL
            else:
                assert (transaction.outcome, transaction.cause) == (of_q.outcome, of_q.cause)
                assert transaction.outcome is not None
        of_p = {key[2]: c.digest for key, c in self.at("p", "configurations").items()}
        held = {key[2]: c.digest for key, c in self.at("q", "configurations").items()}
        assert of_p == held
        variants = {document_digest(document(n)) for n in range(1, len(self.requests) + 1)}
        assert set(held.values()) <= variants
        self.every_effect_happens_once()
        self.one_final_outcome()


def is_flow_open(attempt: Attempt) -> bool:
    """A late MESSAGE of a client comes over the connection it was sent on, or not at all."""
    return not isinstance(attempt.sender, Client) or attempt.sender.flow == attempt.source.flow


TestInterworking = Interworking.TestCase
TestInterworking.settings = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
