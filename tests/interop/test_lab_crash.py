"""The systems of ``tools/lab/``, killed at every step: nothing is lost and nothing happens twice.

Each test runs the whole of TS 23.280 10.17.6.2 and ends with the same demands: one outcome at A,
one configuration of each user at Q, one ACM transaction in every store.
"""

from __future__ import annotations

import re

import pytest

from acm_sip import AcmTransactionState, Side
from tests.harness.processes import PYTHON, ForkedProcess, Process, wait_until
from tests.interop.lab import ALICE, BOB, CAROL, DAVE, NAMES, Lab

ANY_ID = "urn:uuid:[0-9a-f-]+"


@pytest.fixture
def lab(tmp_path, forker):
    with Lab(tmp_path, forker) as lab:
        yield lab


def request(alice: ForkedProcess) -> str:
    """Let Alice ask Bob about two users; return the ACM transaction id."""
    alice.send(f"request {BOB} {CAROL} {DAVE}")
    return alice.wait_for(f"^requested ({ANY_ID})")[1]


def decide(bob: ForkedProcess, id_: str, command: str = "accept {}") -> None:
    bob.wait_for(f"^asked {id_}")
    bob.send(command.format(id_))
    bob.wait_for(f"^decided {id_}")


def assert_completed_once(lab: Lab, alice: ForkedProcess, id_: str) -> None:
    """Demand success, once, everywhere."""
    alice.wait_for(f"^outcome {id_} success", 30.0)
    assert alice.count("^outcome") == 1
    stored = lab.configurations("partner", Side.PARTNER)
    assert sorted(entry.mc_service_id for entry in stored) == [CAROL, DAVE]
    assert len({(entry.digest, entry.transaction_number) for entry in stored}) == 1
    for name in ("primary", "partner"):
        (transaction,) = lab.transactions(name)
        assert str(transaction.acm_transaction_id) == id_
        assert transaction.state is AcmTransactionState.ANSWERED
        assert transaction.outcome == "success"


def state_at(lab: Lab, name: str) -> str:
    return str(next((entry.state for entry in lab.transactions(name)), "none"))


def test_all_up(lab):
    _, _, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    decide(bob, id_)
    assert_completed_once(lab, alice, id_)


def test_primary_killed_after_its_2xx_while_the_partner_is_away(lab):
    primary, alice = lab.start_all("primary", "alice")
    id_ = request(alice)
    wait_until(lambda: state_at(lab, "alice") == "accepted")  # the 2xx was seen
    primary.kill()
    lab.start("partner")
    bob = lab.start("bob")
    lab.start("primary")
    decide(bob, id_)
    assert_completed_once(lab, alice, id_)


def test_primary_and_then_partner_killed(lab):
    primary, alice = lab.start_all("primary", "alice")
    id_ = request(alice)
    wait_until(lambda: state_at(lab, "alice") == "accepted")
    primary.kill()
    partner = lab.start("partner")
    lab.start("primary")
    wait_until(lambda: state_at(lab, "primary") in {"forwarded", "processing"})  # Q said 2xx
    partner.kill()
    lab.start("partner")
    decide(lab.start("bob"), id_)
    assert_completed_once(lab, alice, id_)


def test_the_same_with_the_command_that_people_type(lab):
    """``acm-sip serve``, started as in the lab: P and then Q die after their 2xx."""

    def serve(name):
        process = lab.own(Process(PYTHON, "-m", "acm_sip.cli", "serve", lab.path(name), name=name))
        process.wait_for("^ready ")
        return process

    primary, alice = serve("primary"), lab.start("alice")
    id_ = request(alice)
    wait_until(lambda: state_at(lab, "alice") == "accepted")
    primary.kill()
    partner, primary = serve("partner"), serve("primary")
    wait_until(lambda: state_at(lab, "primary") in {"forwarded", "processing"})
    partner.kill()
    partner = serve("partner")
    decide(lab.start("bob"), id_)
    assert_completed_once(lab, alice, id_)
    for process in (primary, partner):
        assert process.terminate() == 0


def test_both_servers_killed_between_the_decision_and_the_outcome(lab):
    primary, partner, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    bob.wait_for(f"^asked {id_}")
    primary.kill()
    decide(bob, id_)
    wait_until(lambda: state_at(lab, "partner") == "answered")
    partner.kill()
    lab.start_all("partner", "primary")
    assert_completed_once(lab, alice, id_)


def test_handler_killed_before_its_decision_is_asked_again_once(lab):
    _, _, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    bob.wait_for(f"^asked {id_}")
    bob.kill()
    bob = lab.start("bob")
    bob.wait_for("^registered")
    decide(bob, id_)
    assert_completed_once(lab, alice, id_)
    assert bob.count("^asked") == 1


def test_handler_killed_right_after_its_decision(lab):
    _, partner, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    bob.wait_for(f"^asked {id_}")
    partner.kill()  # the decision finds no server
    decide(bob, id_)
    bob.kill()
    lab.start_all("partner", "bob")
    assert_completed_once(lab, alice, id_)


def test_requester_killed_after_the_2xx_learns_the_outcome_later(lab):
    _, _, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    bob.wait_for(f"^asked {id_}")
    alice.kill()
    decide(bob, id_)
    wait_until(lambda: state_at(lab, "primary") == "answered")
    alice = lab.start("alice")
    assert_completed_once(lab, alice, id_)


def test_requester_killed_before_its_request_left(lab):
    alice = lab.start("alice")
    id_ = request(alice)  # nobody is there to take it
    alice.kill()
    _, _, bob, alice = lab.start_all("primary", "partner", "bob", "alice")
    decide(bob, id_)
    assert_completed_once(lab, alice, id_)


def test_everything_killed_at_once_again_and_again(lab):
    """Whatever the moment: all four die at the same time, in the middle of what they do."""
    alice = lab.start("alice")
    id_ = request(alice)
    others: list[ForkedProcess] = []
    for pattern in ("serving", "registered", "asked"):
        *others, bob = lab.start_all("primary", "partner", "bob")
        (others[0] if pattern == "serving" else bob).wait_for(pattern)
        for process in (alice, bob, *others):
            process.kill()
        alice = lab.start("alice")
    lab.start_all("primary", "partner")
    decide(lab.start("bob"), id_)
    assert_completed_once(lab, alice, id_)


def test_rejection_reaches_the_requester_and_stores_nothing(lab):
    _, _, alice, bob = lab.start_all(*NAMES)
    id_ = request(alice)
    decide(bob, id_, "reject {} rejected-by-user")
    alice.wait_for(f"^outcome {id_} failure rejected-by-user")
    assert lab.configurations("partner", Side.PARTNER) == []


def test_sigterm_ends_every_entity_cleanly(lab):
    *servers, alice, bob = lab.start_all(*NAMES)
    clients = [alice, bob]
    id_ = request(clients[0])
    decide(clients[1], id_)
    clients[0].wait_for("^outcome")
    for process in (*clients, *servers):
        assert process.terminate(10.0) == 0
        process.wait_for("^stopped")
        assert not re.search("Traceback|never", process.said()), process.said()
    assert [str(entry.requesting_mc_service_id) for entry in lab.transactions("primary")] == [ALICE]


def test_a_client_ends_cleanly_while_its_server_is_dead(lab):
    primary, alice = lab.start_all("primary", "alice")
    alice.wait_for("^registered")
    primary.kill()
    assert alice.terminate(10.0) == 0


def test_a_second_server_on_the_same_store_is_refused(lab):
    lab.start("primary")
    with pytest.raises(AssertionError, match=r"StoreError|in use"):
        lab.start("primary")
