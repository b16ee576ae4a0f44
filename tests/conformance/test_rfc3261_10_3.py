"""RFC 3261 10.3 (registrar), RFC 3327 5.3 (Path), RFC 5626 6 (outbound): row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from acm_sip.procedures.authentication import Source
from acm_sip.procedures.effects import AnswerRequest
from acm_sip.procedures.mc_system import McSystem
from acm_sip.procedures.records import ContactBinding
from acm_sip.procedures.registration import RegistrationLimits
from acm_sip.procedures.server_role import AcmServerRole
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from tests.harness.fake_records import FakeStore
from tests.harness.interworking import Entity, Network, make_world
from tests.procedures import examples
from tests.procedures.examples import T0

ALICE = "sip:alice@mc1.example"
ONE = "<sip:alice@198.51.100.1:5070>"
TWO = "<sip:alice@198.51.100.2>"
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'


class Registrar(Entity):
    def __init__(self, system: McSystem = examples.P_SYSTEM) -> None:
        role = AcmServerRole(system, examples.NO_ALIASES, RegistrationLimits(most_contacts=4))
        super().__init__(Network(), "P", examples.P_HOST, role, FakeStore())
        self.cseq = 0

    def register(
        self,
        *contacts: str,
        cseq: int | None = None,
        flow: str = "tcp:1",
        call_id: str = "one",
        uri: str = "sip:mc1.example",
        to: str = f"<{ALICE}>",
        from_: str = f"<{ALICE}>;tag=1",
        fields: Sequence[tuple[str, str]] = (),
    ) -> AnswerRequest:
        self.cseq = self.cseq + 1 if cseq is None else cseq
        headers = [("From", from_), ("To", to), ("Call-ID", call_id)]
        headers += [("CSeq", f"{self.cseq} REGISTER"), *(("Contact", c) for c in contacts)]
        request = Request("REGISTER", uri, HeaderFields([*headers, *fields]))
        return self.receive(request, Source("198.51.100.1", flow))

    @property
    def bindings(self) -> list[ContactBinding]:
        return list(self.facts.tables.bindings.values())

    @property
    def contacts(self) -> list[str]:
        return sorted(binding.contact for binding in self.bindings)


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


def values(answer: AnswerRequest, name: str) -> list[str]:
    return [value for field, value in answer.headers if field == name]


EXPIRES_0 = (("Expires", "0"),)

REFUSED: list[Any] = [
    pytest.param({"uri": "sip:mc9.example"}, 404, id="10.3-1 domain of another"),
    pytest.param({"uri": "tel:+1"}, 416, id="8.2.2.1 scheme"),
    pytest.param({"uri": "sip:"}, 400, id="8.2.2.1 no URI"),
    pytest.param({"fields": [("Require", "gruu")]}, 420, id="10.3-2 Require"),
    pytest.param({"from_": "<sip:eve@mc1.example>;tag=1"}, 403, id="10.3-4 third party"),
    pytest.param(
        {"to": "<sip:mallory@mc1.example>", "from_": "<sip:mallory@mc1.example>;tag=1"},
        404,
        id="10.3-5 not of this domain",
    ),
    pytest.param({"to": "<tel:+1>"}, 400, id="10.3-5 no SIP URI"),
    pytest.param({"call_id": "has spaces"}, 400, id="10.3-7 Call-ID"),
]


@pytest.mark.parametrize(("changes", "status_code"), REFUSED)
def test_refused_and_nothing_changes(
    registrar: Registrar, changes: dict[str, Any], status_code: int
) -> None:
    answer = registrar.register(ONE, **changes)
    assert answer.status_code == status_code
    assert registrar.bindings == []


def test_unsupported_names_what_is_required(registrar: Registrar) -> None:
    answer = registrar.register(ONE, fields=[("Require", "path, gruu")])
    assert values(answer, "Unsupported") == ["gruu"]


def test_10_3_6_query_lists_the_bindings(registrar: Registrar) -> None:
    assert values(registrar.register(), "Contact") == []
    registrar.register(ONE)
    registrar.network.now += 100.0
    assert values(registrar.register(), "Contact") == [f"{ONE};expires=500"]


def test_10_3_6_star_removes_all(registrar: Registrar) -> None:
    registrar.register(ONE, TWO)
    answer = registrar.register("*", fields=EXPIRES_0)
    assert answer.status_code == 200
    assert values(answer, "Contact") == []
    assert registrar.bindings == []


@pytest.mark.parametrize(
    ("contacts", "fields"),
    [
        pytest.param(("*",), (), id="10.3-6 star without Expires"),
        pytest.param(("*",), (("Expires", "10"),), id="10.3-6 star with another Expires"),
        pytest.param(("*", TWO), EXPIRES_0, id="10.3-6 star beside a contact"),
        pytest.param((f"*, {TWO}",), EXPIRES_0, id="10.3-6 star beside a contact in one field"),
    ],
)
def test_10_3_6_star_misused(registrar: Registrar, contacts: Any, fields: Any) -> None:
    registrar.register(ONE)
    assert registrar.register(*contacts, fields=fields).status_code == 400
    assert registrar.contacts == ["sip:alice@198.51.100.1:5070"]


@pytest.mark.parametrize("cseq", [5, 4])
@pytest.mark.parametrize("contact", [f"{ONE};expires=60", f"{ONE};expires=0"])
def test_10_3_7_older_cseq_of_the_same_call(registrar: Registrar, cseq: int, contact: str) -> None:
    registrar.register(ONE, cseq=5)
    before = registrar.bindings
    assert registrar.register(contact, cseq=cseq).status_code == 500
    assert registrar.register("*", cseq=cseq, fields=EXPIRES_0).status_code == 500
    assert registrar.bindings == before


def test_10_3_7_one_stale_binding_fails_the_whole_request(registrar: Registrar) -> None:
    registrar.register(ONE, cseq=5)
    assert registrar.register(TWO, ONE, cseq=5).status_code == 500
    assert registrar.contacts == ["sip:alice@198.51.100.1:5070"]


def test_10_3_7_lower_cseq_of_another_call(registrar: Registrar) -> None:
    registrar.register(ONE, cseq=5)
    assert registrar.register(ONE, cseq=1, call_id="two").status_code == 200
    assert len(registrar.bindings) == 1


def test_10_3_7_the_same_contact_twice_in_one_request(registrar: Registrar) -> None:
    assert registrar.register(ONE, f"{ONE};expires=60").status_code == 200
    assert registrar.bindings[0].expires_at == T0 + 60.0


@pytest.mark.parametrize(
    ("contact", "fields", "granted_s"),
    [
        pytest.param(f"{ONE};expires=60", (("Expires", "90"),), 60, id="10.2.1.1 parameter first"),
        pytest.param(ONE, (("Expires", "90"),), 90, id="10.2.1.1 then Expires"),
        pytest.param(ONE, (), 600, id="10.2.1.1 then the usual"),
        pytest.param(f"{ONE};expires=86400", (), 3600, id="10.3-7 shortened to the longest"),
        pytest.param(f"{ONE};expires=4294967295", (), 3600, id="2**32-1"),
        pytest.param(f"{ONE};expires=soon", (), 3600, id="20.10 malformed counts as 3600"),
        pytest.param(f"{ONE};expires=10", (), 10, id="the shortest"),
    ],
)
def test_10_3_7_expiry(registrar: Registrar, contact: str, fields: Any, granted_s: int) -> None:
    answer = registrar.register(contact, fields=fields)
    assert values(answer, "Contact") == [f"{ONE};expires={granted_s}"]
    assert registrar.bindings[0].expires_at == T0 + granted_s


@pytest.mark.parametrize("expires", ["1", "9"])
def test_10_3_7_interval_too_brief(registrar: Registrar, expires: str) -> None:
    answer = registrar.register(f"{TWO};expires=60", f"{ONE};expires={expires}")
    assert answer.status_code == 423
    assert values(answer, "Min-Expires") == ["10"]
    assert registrar.bindings == []


def test_10_3_7_expires_0_removes_one(registrar: Registrar) -> None:
    registrar.register(ONE, TWO)
    answer = registrar.register(f"{ONE};expires=0")
    assert registrar.contacts == ["sip:alice@198.51.100.2"]
    assert values(answer, "Contact") == [f"{TWO};expires=600"]
    assert registrar.register(f"{ONE};expires=0").status_code == 200  # it is gone already


def test_10_3_8_200_lists_all(registrar: Registrar) -> None:
    registrar.register(ONE)
    answer = registrar.register(TWO, call_id="two")
    assert sorted(values(answer, "Contact")) == [f"{ONE};expires=600", f"{TWO};expires=600"]


def test_an_expired_binding_is_not_listed(registrar: Registrar) -> None:
    registrar.register(f"{ONE};expires=60")
    registrar.network.now += 60.0
    assert values(registrar.register(), "Contact") == []


def test_many_contacts(registrar: Registrar) -> None:
    four = [f"<sip:alice@198.51.100.{n}>" for n in range(4)]
    assert registrar.register(*four).status_code == 200
    assert registrar.register("<sip:alice@198.51.100.9>").status_code == 403
    assert len(registrar.bindings) == 4
    assert registrar.register(f"{four[0]};expires=0", "<sip:alice@198.51.100.9>").status_code == 200


@pytest.mark.parametrize("contact", ["<tel:+1>", "<sip:>", "<sip:alice@[::1>", "<mailto:a@b.c>"])
def test_contact_that_cannot_be_reached(registrar: Registrar, contact: str) -> None:
    assert registrar.register(contact).status_code == 400
    assert registrar.bindings == []


# RFC 3327, RFC 5626


def test_rfc3327_5_3_path_is_kept_and_copied(registrar: Registrar) -> None:
    path = [("Path", "<sip:edge.mc1.example;lr>"), ("Path", "<sip:two.mc1.example;lr>")]
    answer = registrar.register(ONE, fields=[("Supported", "path"), *path])
    assert values(answer, "Path") == ["<sip:edge.mc1.example;lr>", "<sip:two.mc1.example;lr>"]
    assert registrar.bindings[0].path == tuple(values(answer, "Path"))


def test_rfc5626_6_instance_and_reg_id_replace(registrar: Registrar) -> None:
    registrar.register(f"{ONE};{INSTANCE};reg-id=1")
    answer = registrar.register(
        f"{TWO};{INSTANCE};reg-id=1",
        call_id="two",
        flow="tcp:2",
        fields=[("Supported", "outbound")],
    )
    assert registrar.contacts == ["sip:alice@198.51.100.2"]
    assert registrar.bindings[0].flow == "tcp:2"
    assert values(answer, "Contact") == [f"{TWO};expires=600;{INSTANCE};reg-id=1"]
    assert values(answer, "Require") == ["outbound"]


def test_rfc5626_6_another_reg_id_stands_beside(registrar: Registrar) -> None:
    registrar.register(f"{ONE};{INSTANCE};reg-id=1")
    registrar.register(f"{TWO};{INSTANCE};reg-id=2")
    assert len(registrar.bindings) == 2


def test_rfc5626_6_reg_id_without_instance_means_nothing(registrar: Registrar) -> None:
    answer = registrar.register(f"{ONE};reg-id=1", fields=[("Supported", "outbound")])
    assert values(answer, "Require") == []
    assert values(answer, "Contact") == [f"{ONE};expires=600"]


@pytest.mark.parametrize("reg_id", ["-1", "1x", "٣", "9" * 30])
def test_rfc5626_reg_id_malformed(registrar: Registrar, reg_id: str) -> None:
    assert registrar.register(f"{ONE};{INSTANCE};reg-id={reg_id}").status_code == 400
    assert registrar.bindings == []


def test_instance_cannot_break_out_of_its_quotes(registrar: Registrar) -> None:
    r"""A quoted pair on the way in is one on the way out."""
    instance = r'+sip.instance="<a\";expires=9\\>"'
    answer = registrar.register(f"{ONE};{instance};reg-id=1")
    assert values(answer, "Contact") == [f"{ONE};expires=600;{instance};reg-id=1"]


# What a log-on releases


def test_log_on_releases_rows_and_a_second_contact_is_one_too() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(examples.request())
    world.network.run()
    assert world.q.rows[0].next_attempt_at is None
    world.bob.register()
    assert world.q.rows[0].next_attempt_at == 0.0


def test_log_off_parks_again() -> None:
    world = make_world()
    world.bob.register(0)
    world.alice.ask(examples.request())
    world.network.run()
    assert world.q.rows[0].next_attempt_at is None
    assert world.bob.asked == []


def test_a_dead_connection_parks() -> None:
    world = make_world()
    world.bob.disconnect()
    assert world.q.facts.tables.bindings == {}
    world.alice.ask(examples.request())
    world.network.run()
    assert world.q.rows[0].next_attempt_at is None


def test_one_user_s_log_on_does_not_release_another_s_rows() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(examples.request())
    world.network.run()
    world.bea.register()
    assert world.q.rows[0].next_attempt_at is None


def test_offered_under_two_identities_is_offered_once_at_log_on() -> None:
    both = dataclasses.replace(examples.BOB_USER, mc_service_ids=(examples.BOB, examples.BEA))
    world = make_world(q_system=dataclasses.replace(examples.Q_SYSTEM, users=(both,)))
    world.alice.ask(examples.request())
    world.network.run()
    transaction = dataclasses.replace(
        world.q.transaction, offered_to=(examples.BOB.canonical, examples.BEA.canonical)
    )
    world.q.facts.tables.transactions[transaction.number] = transaction
    world.bob.disconnect()
    world.bob.register()
    assert len(world.q.rows) == 1
