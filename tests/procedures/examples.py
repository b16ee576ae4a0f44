"""Two MC systems, their users and one document, for the tests of the procedures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from acm_sip.codec import names
from acm_sip.codec.body import BodyPart, DecodedBody, decode_body, encode_body
from acm_sip.codec.flows import (
    InformationFlow,
    Outcome,
    ProcessIndication,
    Result,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.ue_init_config import document_digest
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId, SipIdentity
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import Addressing, write_message
from acm_sip.procedures.functional_alias import AliasTable
from acm_sip.procedures.mc_system import Handling, LocalUser, McSystem, PartnerSystem
from acm_sip.sip.message import Request
from tests.codec.ue_init_config_particles import BASE as DOCUMENT

REQUEST = UpdateMcServiceUeInitialConfigurationRequest.element_name
RESPONSE = UpdateMcServiceUeInitialConfigurationResponse.element_name
INDICATION = ProcessIndication.element_name

T0 = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
DAY_S = 86_400.0

ALICE = McServiceId("sip:alice.mcptt@mc1.example")
EVE = McServiceId("sip:eve.mcptt@mc1.example")
CAROL = McServiceId("sip:carol@mc1.example")
DAVE = McServiceId("sip:dave@mc1.example")
STRANGER = McServiceId("sip:stranger@mc1.example")
BOB = McServiceId("sip:bob.mcptt@mc2.example")
BEA = McServiceId("sip:bea.mcptt@mc2.example")
NED = McServiceId("sip:ned.mcptt@mc2.example")
DUTY = FunctionalAlias("sip:duty@mc2.example")
CHIEF = FunctionalAlias("sip:chief@mc1.example")
P_SERVER = McServiceId("sip:acm-server@mc1.example")
Q_SERVER = McServiceId("sip:acm-server@mc2.example")
P_PSI = SipIdentity("sip:acm@mc1.example")
Q_PSI = SipIdentity("sip:acm@mc2.example")
P_HOST, Q_HOST, PROXY_HOST, OTHER_HOST = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.99"


def user(name: str, *ids: McServiceId, **rights: Any) -> LocalUser:
    """A user with a public user identity of that name, in the domain of its first id."""
    return LocalUser(SipIdentity(f"sip:{name}@{ids[0].domain}"), ids, **rights)


ALICE_USER = user("alice", ALICE, may_request=frozenset({REQUEST}))
EVE_USER = user("eve", EVE)  # may trigger nothing
BOB_USER = user("bob", BOB, may_answer=frozenset({REQUEST}))
BEA_USER = user("bea", BEA, may_answer=frozenset({REQUEST}))
NED_USER = user("ned", NED)  # may answer nothing

PARTNER_OF_P = PartnerSystem(
    name="mc2",
    psi=Q_PSI,
    domains=frozenset({"mc2.example"}),
    alias_domains=frozenset({"mc2.example"}),
    addresses=frozenset({Q_HOST}),
)
PARTNER_OF_Q = PartnerSystem(
    name="mc1",
    psi=P_PSI,
    domains=frozenset({"mc1.example"}),
    alias_domains=frozenset({"mc1.example"}),
    addresses=frozenset({P_HOST}),
    migrating_users=frozenset({CAROL, DAVE}),
)
P_SYSTEM = McSystem(
    name="mc1",
    psi=P_PSI,
    mc_service_id=P_SERVER,
    domains=frozenset({"mc1.example"}),
    alias_domains=frozenset({"mc1.example"}),
    users=(ALICE_USER, EVE_USER),
    partners=(PARTNER_OF_P,),
)
Q_SYSTEM = McSystem(
    name="mc2",
    psi=Q_PSI,
    mc_service_id=Q_SERVER,
    domains=frozenset({"mc2.example"}),
    alias_domains=frozenset({"mc2.example"}),
    users=(BOB_USER, BEA_USER, NED_USER),
    partners=(PARTNER_OF_Q,),
)
NO_ALIASES = AliasTable({})


def partner_system(**changes: Any) -> McSystem:
    """Q with something else about P: ``handling``, ``migrating_users`` ..."""
    return dataclasses.replace(Q_SYSTEM, partners=(dataclasses.replace(PARTNER_OF_Q, **changes),))


def automatic(handling: Handling, **changes: Any) -> McSystem:
    """Q that handles what P asks by itself."""
    return partner_system(handling=handling, **changes)


def transaction_id(number: int = 1) -> AcmTransactionId:
    return AcmTransactionId(f"urn:uuid:00000000-0000-4000-8000-{number:012x}")


def document(variant: int = 1) -> bytes:
    """A valid document; each variant is another one."""
    return DOCUMENT.replace(b"Fire brigade", f"Fire brigade {variant}".encode())


def request(
    number: int = 1, *, expires_at: float | None = T0 + 3600.0, variant: int = 1, **changes: Any
) -> UpdateMcServiceUeInitialConfigurationRequest:
    """The request of Alice to Bob for Carol, or something else in some field."""
    values: dict[str, Any] = {
        "acm_transaction_id": transaction_id(number),
        "requesting_mc_service_id": ALICE,
        "target_mc_service_id": BOB,
        "mc_service_id_list": (CAROL,),
        "mc_service_ue_initial_configuration_data": document(variant),
        "expires_at": None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    }
    return UpdateMcServiceUeInitialConfigurationRequest(**(values | changes))


def response(
    number: int = 1, *, cause: str | None = None, **changes: Any
) -> UpdateMcServiceUeInitialConfigurationResponse:
    """The response of Bob to Alice: success, or a failure with this cause."""
    outcome = Outcome.SUCCESS if cause is None else Outcome.FAILURE
    values: dict[str, Any] = {
        "acm_transaction_id": transaction_id(number),
        "handling_mc_service_id": BOB,
        "target_mc_service_id": ALICE,
        "result": Result(outcome=outcome, cause=cause),
    }
    return UpdateMcServiceUeInitialConfigurationResponse(**(values | changes))


def indication(number: int = 1, **changes: Any) -> ProcessIndication:
    values: dict[str, Any] = {
        "acm_transaction_id": transaction_id(number),
        "requesting_mc_service_id": ALICE,
    }
    return ProcessIndication(**(values | changes))


def decoded(flow: InformationFlow) -> DecodedBody:
    return decode_body((BodyPart(names.MEDIA_TYPE, encode_body(flow)),))


def digest_of(variant: int) -> bytes:
    """The digest under which a document of :func:`document` is stored."""
    return document_digest(document(variant))


def source(host: str, flow: str = "tcp:other:1") -> Source:
    return Source(host, flow)


def message(
    flow: InformationFlow,
    request_uri: str,
    sender: str,
    *,
    is_asserted: bool = True,
    changes: Mapping[str, str] = MappingProxyType({}),
) -> Request:
    """A MESSAGE as a server (asserted) or client writes it, but for the header fields named."""
    written = write_message(
        Addressing(request_uri, sender, is_asserted=is_asserted),
        encode_body(flow),
        service="mcptt",
        at=T0,
        expires_at=None,
        call_id="call",
        from_tag="tag",
    )
    for name, value in changes.items():
        written.headers.set(name.replace("_", "-"), value)
    return written


def with_body(original: Request, body: bytes) -> Request:
    """The same MESSAGE with another body."""
    return Request(original.method, original.request_uri, original.headers.copy(), body)
