"""Bodies that the codec tests change one thing of."""

from __future__ import annotations

from acm_sip.codec import names
from acm_sip.codec.body import BodyPart, DecodedBody, decode_body
from acm_sip.codec.flows import (
    ProcessIndication,
    Result,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.flows.result import Outcome
from acm_sip.identities import AcmTransactionId, McServiceId
from tests.codec.ue_init_config_particles import BASE as DOCUMENT

NS = names.NAMESPACE
TRANSACTION = AcmTransactionId("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
ALICE = McServiceId("sip:alice@primary.example")
BOB = McServiceId("sip:bob@partner.example")
CAROL = McServiceId("sip:carol@primary.example")
DAVE = McServiceId("sip:dave@primary.example")
REQUEST_NAME = "update-mc-service-ue-initial-configuration-request"
RESPONSE_NAME = "update-mc-service-ue-initial-configuration-response"

REQUEST = UpdateMcServiceUeInitialConfigurationRequest(
    acm_transaction_id=TRANSACTION,
    requesting_mc_service_id=ALICE,
    target_mc_service_id=BOB,
    mc_service_id_list=(CAROL, DAVE),
    mc_service_ue_initial_configuration_data=DOCUMENT,
)
RESPONSE = UpdateMcServiceUeInitialConfigurationResponse(
    acm_transaction_id=TRANSACTION,
    handling_mc_service_id=BOB,
    target_mc_service_id=ALICE,
    result=Result(outcome=Outcome.SUCCESS),
)
INDICATION = ProcessIndication(acm_transaction_id=TRANSACTION, requesting_mc_service_id=ALICE)


def identity(name: str, uri: str) -> str:
    return f"<{name}><mcsURI>{uri}</mcsURI></{name}>"


REQUEST_ELEMENTS = {
    "acm-transaction-id": f"<acm-transaction-id>{TRANSACTION}</acm-transaction-id>",
    "requesting-mc-service-id": identity("requesting-mc-service-id", str(ALICE)),
    "requesting-functional-alias": identity("requesting-functional-alias", "sip:chief@x.example"),
    "target-mc-service-id": identity("target-mc-service-id", str(BOB)),
    "target-functional-alias": identity("target-functional-alias", "sip:duty@partner.example"),
    "mc-service-id-list": (
        f"<mc-service-id-list>{identity('mc-service-id', str(CAROL))}"
        f"{identity('mc-service-id', str(DAVE))}</mc-service-id-list>"
    ),
    "mc-service-ue-initial-configuration-data": (
        "<mc-service-ue-initial-configuration-data>"
        f"{DOCUMENT.decode()}</mc-service-ue-initial-configuration-data>"
    ),
    "expires-at": "<expires-at>2026-12-24T18:00:00Z</expires-at>",
}
RESPONSE_ELEMENTS = {
    "acm-transaction-id": REQUEST_ELEMENTS["acm-transaction-id"],
    "handling-mc-service-id": identity("handling-mc-service-id", str(BOB)),
    "handling-functional-alias": identity("handling-functional-alias", "sip:duty@partner.example"),
    "target-mc-service-id": identity("target-mc-service-id", str(ALICE)),
    "result": "<result><success/></result>",
}
INDICATION_ELEMENTS = {
    name: REQUEST_ELEMENTS[name]
    for name in (
        "acm-transaction-id",
        "requesting-mc-service-id",
        "target-mc-service-id",
        "target-functional-alias",
    )
}


def body_of(flow_name: str, elements: dict[str, str], *, extra: str = "") -> bytes:
    """Write a body from element texts, in order."""
    content = "".join(elements.values())
    return (
        f'<acm-info xmlns="{NS}" xmlns:f="urn:foreign"><{flow_name}>{content}{extra}</{flow_name}>'
        "</acm-info>"
    ).encode()


def request_body(*without: str, extra: str = "", **changed: str) -> bytes:
    """Write a request body; ``changed`` has underscores for hyphens."""
    elements = {name: text for name, text in REQUEST_ELEMENTS.items() if name not in without}
    elements |= {name.replace("_", "-"): text for name, text in changed.items()}
    return body_of(REQUEST_NAME, elements, extra=extra)


def decode(octets: bytes) -> DecodedBody:
    return decode_body([BodyPart(names.MEDIA_TYPE, octets)])
