"""SIPp, which shares no code with us, as client A and as the server of the other MC system."""

from __future__ import annotations

import uuid

import pytest

from acm_sip import AcmTransactionState, Side
from tests.harness.processes import free_port, wait_until
from tests.interop.lab import CAROL, DAVE, Lab
from tests.interop.sipp import Sipp, request_body

RESPONSE = "update-mc-service-ue-initial-configuration-response"
REQUEST = "update-mc-service-ue-initial-configuration-request"
AUTOMATIC = '[partners]\nhandling = "accept"'


@pytest.fixture
def id_():
    return uuid.uuid4().urn


def outcome_of(message):
    return "success" if "success/>" in message.text else message.element("cause")


@pytest.mark.parametrize("transport", ["TCP", "UDP"])
def test_client_a_registers_asks_and_answers_the_result(tmp_path, forker, id_, transport):
    with Lab(tmp_path, forker, partner=AUTOMATIC) as lab:
        lab.start_all("primary", "partner")
        with Sipp(
            tmp_path,
            "client_a",
            transport,
            local_port=free_port(),
            remote_port=lab.primary_port,
            out_of_call="answer_message",
            request=request_body(id_),
        ) as alice:
            result = alice.wait_received("MESSAGE", RESPONSE)
            assert alice.received("SIP/2.0 202")
            assert outcome_of(result) == "success"
            assert result.element("acm-transaction-id") == id_
            assert result.element("mcsURI") == "sip:acm-server@mc2.example"
            assert result.field("P-Asserted-Identity") == "<sip:acm@mc1.example>"
            assert result.field("Request-Disposition") == "no-fork"
            assert result.field("Contact") is None
            alice.wait_sent("SIP/2.0 200")
            # The server took the 200: nothing is left to be sent, and nothing came twice.
            wait_until(lambda: not lab.outbox("primary"), what="an empty outbox")
            assert len(alice.received("MESSAGE")) == 1
        stored = lab.configurations("partner", Side.PARTNER)
        assert [entry.mc_service_id for entry in stored] == [CAROL, DAVE]


@pytest.mark.parametrize(
    ("result", "outcome", "cause"),
    [
        ("<success/>", "success", None),
        ("<failure/><cause>local-policy</cause>", "failure", "local-policy"),
        ("<failure/><cause>made-up-by-a-vendor</cause>", "failure", "made-up-by-a-vendor"),
    ],
)
def test_partner_q_takes_the_request_and_answers(tmp_path, forker, result, outcome, cause):
    with Lab(tmp_path, forker) as lab:
        with Sipp(
            tmp_path, "partner_q", "TCP", local_port=lab.partner_port, calls=None, result=result
        ) as partner:
            _, alice = lab.start_all("primary", "alice")
            alice.send(f"request sip:bob.mcptt@mc2.example {CAROL}")
            alice.wait_for(f"^outcome .* {outcome} {cause}")
            request = partner.wait_received("MESSAGE", REQUEST)
            assert request.field("P-Asserted-Identity") == "<sip:acm@mc1.example>"
            assert request.start_line == "MESSAGE sip:acm@mc2.example SIP/2.0"
            assert request.field("Contact") is None
            assert request.element("expires-at")
            answers = [message.start_line for message in partner.received("SIP/2.0")]
            assert answers == ["SIP/2.0 200 OK", "SIP/2.0 202 Accepted"]
        (transaction,) = lab.transactions("primary")
        assert transaction.outcome == outcome
        assert transaction.processing_at is not None
        assert transaction.handling_mc_service_id == "sip:duty@mc2.example"


def test_primary_p_asks_over_tcp_and_gets_indication_and_response(tmp_path, forker, id_):
    """Requests leave on one connection, what Q says comes on another."""
    with Lab(tmp_path, forker) as lab:
        _, bob = lab.start_all("partner", "bob")
        with (
            Sipp(tmp_path, "answer_message", "TCP", local_port=lab.primary_port, calls=None) as in_,
            Sipp(
                tmp_path,
                "partner_p",
                "TCP",
                local_port=free_port(),
                remote_port=lab.partner_port,
                request=request_body(id_),
            ) as out,
        ):
            assert out.wait_received("SIP/2.0").start_line == "SIP/2.0 202 Accepted"
            indication = in_.wait_received("MESSAGE", "process-indication")
            assert indication.element("acm-transaction-id") == id_
            assert indication.field("P-Asserted-Identity") == "<sip:acm@mc2.example>"
            bob.wait_for(f"^asked {id_}")
            bob.send(f"reject {id_} rejected-by-user")
            response = in_.wait_received("MESSAGE", RESPONSE)
            assert outcome_of(response) == "rejected-by-user"
            wait_until(lambda: not lab.outbox("partner"), what="an empty outbox")
            assert len(in_.received("MESSAGE")) == 2
        (transaction,) = lab.transactions("partner")
        assert transaction.state is AcmTransactionState.ANSWERED


def test_primary_p_asks_over_udp_and_gets_indication_and_response(tmp_path, forker, id_):
    with Lab(tmp_path, forker, partner=f"{AUTOMATIC}\naccepts_large_datagrams = true") as lab:
        text = (
            lab.path("partner")
            .read_text()
            .replace(
                f'next_hop = "tcp:127.0.0.1:{lab.primary_port}"',
                f'next_hop = "udp:127.0.0.1:{lab.primary_port}"',
            )
        )
        lab.path("partner").write_text(text)
        lab.start("partner")
        with Sipp(
            tmp_path,
            "partner_p",
            "UDP",
            local_port=lab.primary_port,
            remote_port=lab.partner_port,
            out_of_call="answer_message",
            request=request_body(id_),
        ) as primary:
            assert primary.wait_received("SIP/2.0").start_line == "SIP/2.0 202 Accepted"
            primary.wait_received("MESSAGE", "process-indication")
            assert outcome_of(primary.wait_received("MESSAGE", RESPONSE)) == "success"
            wait_until(lambda: not lab.outbox("partner"), what="an empty outbox")
            assert len(primary.received("MESSAGE")) == 2
