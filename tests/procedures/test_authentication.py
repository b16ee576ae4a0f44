"""RULES 27 to 30: who sent a MESSAGE, as a product of everything that could say so."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from acm_sip.errors import Refused
from acm_sip.identities import McServiceId
from acm_sip.procedures.authentication import Source, authenticate_sender
from acm_sip.procedures.records import ContactBinding
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from tests.harness.fake_records import FakeRecords
from tests.harness.interworking import make_world
from tests.procedures import examples
from tests.procedures.examples import (
    ALICE,
    ALICE_USER,
    EVE_USER,
    OTHER_HOST,
    P_PSI,
    P_SYSTEM,
    PROXY_HOST,
    Q_HOST,
    Q_PSI,
    T0,
    request,
)

SYSTEM = dataclasses.replace(P_SYSTEM, trusted_proxies=frozenset({PROXY_HOST}))
PARTNER = SYSTEM.partners[0]
HOSTS = {"trusted proxy": PROXY_HOST, "partner": Q_HOST, "anywhere": OTHER_HOST}
# P-Asserted-Identity -> who it names: a user of ours, the partner, or nobody we know.
PAI: dict[str, tuple[list[str], str]] = {
    "none": ([], "absent"),
    "own user": (["<sip:alice@mc1.example>"], "alice"),
    "unknown own user": (["<sip:mallory@mc1.example>"], "own domain"),
    "partner PSI": (["<sip:acm@mc2.example>"], "partner"),
    "partner user": (['"Bob" <sip:bob@mc2.example>'], "partner"),
    "partner domain without user": (["<sip:mc2.example>"], "foreign"),
    "foreign": (["<sip:acm@mc9.example>"], "foreign"),
    "subdomain": (["<sip:acm@x.mc2.example>"], "foreign"),
    "tel": (["<tel:+358401234567>"], "foreign"),
    "partner PSI and tel": (["<sip:acm@mc2.example>", "<tel:+358401234567>"], "partner"),
    "tel and partner PSI": (["<tel:+358401234567>, <sip:acm@mc2.example>"], "partner"),
    "two sip": (["<sip:acm@mc2.example>, <sip:alice@mc1.example>"], "foreign"),
    "partner PSI and http": (["<sip:acm@mc2.example>, <http://mc2.example>"], "foreign"),
    "three": (["<sip:acm@mc2.example>, <tel:+1>, <tel:+2>"], "foreign"),
    "with a password": (["<sip:acm:secret@mc2.example>"], "foreign"),
}
FLOWS = {
    "no registration": (),
    "alice": ("alice",),
    "alice and eve": ("alice", "eve"),
    "expired": ("-alice",),
}
PREFERRED = {
    "none": "",
    "alice": "<sip:alice@mc1.example>",
    "eve": "<sip:eve@mc1.example>",
    "another's": "<sip:mallory@mc1.example>",
    "partner's": "<sip:acm@mc2.example>",
}
USERS = {"alice": ALICE_USER, "eve": EVE_USER}


def binding(name: str, order: int) -> ContactBinding:
    expires_at = T0 - 1.0 if name.startswith("-") else T0 + 600.0
    identity = f"sip:{name.removeprefix('-')}@mc1.example"
    return ContactBinding(
        identity, f"{identity};ob", "", 0, "c", 1, "flow", (), T0 - order, expires_at
    )


def expected(host: str, pai: str, flow: str, preferred: str) -> Any:
    """The sender by RULES 27 to 29, or the status code and Warning code of the refusal."""
    named = PAI[pai][1]
    if host == "trusted proxy":  # P-Asserted-Identity decides, and nothing else
        return {
            "alice": ALICE_USER,
            "partner": PARTNER,
            "absent": (404, "141"),
            "own domain": (404, "141"),
            "foreign": (403, "179"),
        }[named]
    live = [name for name in FLOWS[flow] if not name.startswith("-")]
    if live:  # the registration decides; P-Asserted-Identity is dropped
        return USERS[preferred] if preferred in live else USERS[live[0]]
    if named == "absent":
        return (404, "141")
    if named == "partner" and host == "partner":
        return PARTNER
    return (403, "179")


CASES = list(itertools.product(HOSTS, PAI, FLOWS, PREFERRED))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("flow", FLOWS)
def test_rules_27_to_29_every_combination(host: str, flow: str) -> None:
    wrong = []
    for case in (c for c in CASES if c[0] == host and c[2] == flow):
        _, pai, _, preferred = case
        records = FakeRecords()
        for order, name in enumerate(FLOWS[flow]):
            bound = binding(name, order)
            records.tables.bindings[bound.key] = bound
        fields = [("P-Asserted-Identity", value) for value in PAI[pai][0]]
        if PREFERRED[preferred]:
            fields.append(("P-Preferred-Identity", PREFERRED[preferred]))
        fields.append(("From", "<sip:alice@mc1.example>;tag=1"))  # From never counts
        message = Request("MESSAGE", P_PSI.text, HeaderFields(fields))
        source = Source(HOSTS[host], "flow")
        result: Any
        try:
            result = authenticate_sender(SYSTEM, records, message, source, T0)
        except Refused as refused:
            result = (refused.status_code, str(refused.warn_text)[:3])
        if result != expected(*case):
            wrong.append((case, result, expected(*case)))
    assert wrong == []


def test_the_product_is_complete() -> None:
    assert len(CASES) == 3 * 15 * 4 * 5
    outcomes = {str(expected(*case))[:20] for case in CASES}
    assert len(outcomes) >= 4


@pytest.mark.parametrize("from_", ["<sip:acm@mc2.example>", "<sip:eve@mc1.example>", "<tel:+1>"])
def test_rule_30_from_never_authorizes_and_is_not_checked(from_: str) -> None:
    world = make_world()
    message = world.alice.message(request(), From=f"{from_};tag=1")
    assert world.p.receive(message, world.alice.source).status_code == 202
    stranger = examples.source(OTHER_HOST)
    refused = world.p.receive(world.alice.message(request(2)), stranger)
    assert refused.status_code == 404


@pytest.mark.parametrize(
    ("mc_service_id", "status_code"),
    [
        pytest.param(ALICE, 202, id="rule-28-in the set"),
        pytest.param(McServiceId("sip:alice@mc1.example"), 403, id="rule-28-public identity"),
        pytest.param(examples.EVE, 403, id="rule-28-of another user"),
        pytest.param(examples.BOB, 403, id="rule-28-of the partner"),
        pytest.param(McServiceId("sips:alice.mcptt@mc1.example"), 403, id="rule-28-other scheme"),
        pytest.param(McServiceId("SIP:alice%2Emcptt@MC1.example"), 202, id="rule-25-same"),
        pytest.param(McServiceId("sip:ALICE.mcptt@mc1.example"), 403, id="rule-25-case"),
    ],
)
def test_rule_28_requesting_mc_service_id_must_be_of_the_binding(
    mc_service_id: McServiceId, status_code: int
) -> None:
    world = make_world()
    answer = world.alice.send_flow(request(requesting_mc_service_id=mc_service_id))
    assert answer.status_code == status_code
    if status_code == 403:
        assert "100 function not allowed due to user authorisation" in str(answer.headers)
        assert world.p.transactions == []


def test_rule_28_in_the_name_of_another_registered_user() -> None:
    """Eve has a registration of her own; the body says Alice."""
    world = make_world()
    eve = dataclasses.replace(binding("eve", 0), flow="tcp:eve:1", expires_at=T0 + 600.0)
    world.p.facts.tables.bindings[eve.key] = eve
    answer = world.p.receive(world.alice.message(request()), Source(OTHER_HOST, "tcp:eve:1"))
    assert answer.status_code == 403


def forged(sender: Any, **changes: Any) -> Any:
    return examples.message(request(**changes), Q_PSI.text, sender)


@pytest.mark.parametrize(
    ("changes", "status_code", "warning"),
    [
        pytest.param({}, 202, "", id="rule-30-all on its side"),
        pytest.param(
            {"requesting_mc_service_id": examples.BOB}, 403, "179", id="rule-30-requester of Q"
        ),
        pytest.param(
            {"requesting_mc_service_id": McServiceId("sip:x@mc3.example")},
            403,
            "179",
            id="rule-30-requester of a third",
        ),
        pytest.param(
            {"requesting_functional_alias": examples.DUTY}, 403, "179", id="rule-30-alias of Q"
        ),
        pytest.param(
            {"requesting_functional_alias": examples.CHIEF}, 202, "", id="rule-30-alias of P"
        ),
        pytest.param(
            {"target_mc_service_id": examples.EVE}, 403, "not of this", id="rule-36-target of P"
        ),
        pytest.param(
            {"mc_service_id_list": (examples.CAROL, examples.BEA)},
            403,
            "100 function not allowed due to local policy",
            id="rule-30-list with a user of Q",
        ),
    ],
)
def test_rule_30_whose_domain_in_a_request_to_the_partner(
    changes: dict[str, Any], status_code: int, warning: str
) -> None:
    world = make_world()
    answer = world.q.receive(forged(P_PSI.text, **changes), examples.source(examples.P_HOST))
    assert answer.status_code == status_code
    assert warning in str(answer.headers)
    assert bool(world.q.transactions) is (status_code == 202)


@pytest.mark.parametrize(
    ("changes", "status_code", "warning"),
    [
        pytest.param(
            {"target_mc_service_id": examples.EVE}, 403, "requesting MC", id="rule-36-target of P"
        ),
        pytest.param(
            {"target_mc_service_id": McServiceId("sip:x@mc9.example")},
            404,
            "142",
            id="partner system unknown",
        ),
        pytest.param(
            {"mc_service_id_list": (examples.CAROL, examples.BEA)},
            403,
            "100 function not allowed due to local policy",
            id="a user in the list is not of the requesting system",
        ),
        pytest.param(
            {"requesting_functional_alias": examples.CHIEF},
            403,
            "not active for the requester",
            id="rule-45-requesting alias not active",
        ),
    ],
)
def test_rule_30_whose_domain_in_a_request_to_the_primary(
    changes: dict[str, Any], status_code: int, warning: str
) -> None:
    world = make_world()
    answer = world.alice.send_flow(request(**changes))
    assert answer.status_code == status_code
    assert warning in str(answer.headers)
    assert world.p.transactions == []


def test_rule_45_requesting_alias_that_is_active() -> None:
    world = make_world(p_aliases=examples.AliasTable({examples.CHIEF: (ALICE,)}))
    answer = world.alice.send_flow(request(requesting_functional_alias=examples.CHIEF))
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("changes", "status_code"),
    [
        pytest.param({}, 202, id="rule-30-handler of Q"),
        pytest.param({"handling_mc_service_id": ALICE}, 403, id="rule-30-handler of P"),
        pytest.param(
            {"handling_functional_alias": examples.CHIEF}, 403, id="rule-30-handler alias of P"
        ),
        pytest.param(
            {"handling_functional_alias": examples.DUTY}, 202, id="rule-30-handler alias of Q"
        ),
    ],
)
def test_rule_30_whose_domain_in_a_response(changes: dict[str, Any], status_code: int) -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    written = examples.message(examples.response(**changes), P_PSI.text, Q_PSI.text)
    assert world.p.receive(written, examples.source(Q_HOST)).status_code == status_code
