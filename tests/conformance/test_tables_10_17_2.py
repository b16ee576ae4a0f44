"""TS 23.280 tables 10.17.2.13-1 and 10.17.2.14-1: each row present, absent, and its notes."""

from __future__ import annotations

import dataclasses

import pytest
from lxml import etree

from acm_sip.codec.body import encode_body
from acm_sip.codec.completion import complete_request
from acm_sip.codec.explain import is_valid_by_xmlschema
from acm_sip.codec.flows import (
    InformationFlow,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.names import UE_INIT_CONFIG_NAMESPACE
from acm_sip.codec.schemas import SchemaName, get_schema
from acm_sip.errors import BODY_INVALID, LocalProtocolError, Refused
from acm_sip.identities import FunctionalAlias
from tests.codec import bodies
from tests.codec.bodies import decode

REQUEST_MANDATORY = [
    pytest.param("requesting-mc-service-id", id="10.17.2.13-1 row 1 MC service ID M"),
    pytest.param("mc-service-id-list", id="10.17.2.13-1 row 5 MC service ID list M"),
    pytest.param(
        "mc-service-ue-initial-configuration-data",
        id="10.17.2.13-1 row 6 MC service UE initial configuration data M",
    ),
]
REQUEST_OPTIONAL = [
    pytest.param("requesting-functional-alias", id="10.17.2.13-1 row 2 Functional alias O"),
    pytest.param("target-mc-service-id", id="10.17.2.13-1 row 3 MC service ID O"),
    pytest.param("target-functional-alias", id="10.17.2.13-1 row 4 Functional alias O"),
]
RESPONSE_MANDATORY = [
    pytest.param("handling-mc-service-id", id="10.17.2.14-1 row 1 MC service ID M"),
    pytest.param("target-mc-service-id", id="10.17.2.14-1 row 3 MC service ID M"),
    pytest.param("result", id="10.17.2.14-1 row 4 Result M"),
]
RESPONSE_OPTIONAL = [
    pytest.param("handling-functional-alias", id="10.17.2.14-1 row 2 Functional alias O"),
]


def verdicts(octets: bytes) -> tuple[bool, bool]:
    root = etree.fromstring(octets)
    name = SchemaName.ACM_INFO
    return get_schema(name).validate(root), is_valid_by_xmlschema(root, name)


def refusal_of(octets: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        decode(octets)
    return caught.value


def read_field(flow: InformationFlow, element: str) -> object:
    return getattr(flow, element.replace("-", "_"))


@pytest.mark.parametrize("element", REQUEST_MANDATORY)
def test_request_without_a_mandatory_element(element: str) -> None:
    octets = bodies.request_body(element)
    assert verdicts(octets) == (False, False)
    error = refusal_of(octets)
    assert error.refusal is BODY_INVALID
    assert error.detail.startswith(f"/acm-info/{bodies.REQUEST_NAME}")


@pytest.mark.parametrize("element", REQUEST_MANDATORY + REQUEST_OPTIONAL)
def test_request_with_every_element(element: str) -> None:
    octets = bodies.request_body()
    assert verdicts(octets) == (True, True)
    flow = decode(octets).flow
    assert isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest)
    assert read_field(flow, element)


@pytest.mark.parametrize("element", REQUEST_OPTIONAL)
def test_request_without_an_optional_element(element: str) -> None:
    octets = bodies.request_body(element)
    assert verdicts(octets) == (True, True)
    assert read_field(decode(octets).flow, element) is None


def test_request_note_1_neither_target_on_the_wire() -> None:
    octets = bodies.request_body("target-mc-service-id", "target-functional-alias")
    assert verdicts(octets) == (False, False)
    assert refusal_of(octets).refusal is BODY_INVALID


def test_request_note_1_neither_target_from_our_caller() -> None:
    with pytest.raises(LocalProtocolError):
        dataclasses.replace(bodies.REQUEST, target_mc_service_id=None)


def test_request_note_1_alias_alone() -> None:
    flow = dataclasses.replace(
        bodies.REQUEST,
        target_mc_service_id=None,
        target_functional_alias=FunctionalAlias("sip:duty@partner.example"),
    )
    octets = encode_body(flow)
    assert verdicts(octets) == (True, True)
    decoded = decode(octets).flow
    assert isinstance(decoded, UpdateMcServiceUeInitialConfigurationRequest)
    assert decoded.target_mc_service_id is None
    assert decoded.target_functional_alias == flow.target_functional_alias


@pytest.mark.parametrize(
    "label", ["<mcServiceUELabel/>", "<mcServiceUELabel>Engine 7</mcServiceUELabel>", ""]
)
@pytest.mark.parametrize("place", ["</on-network>", "</mcptt-UE-initial-configuration>"])
def test_request_note_2_label_leaves_blank(label: str, place: str) -> None:
    extension = f"<anyExt>{label}</anyExt>{place}"
    octets = bodies.request_body().replace(place.encode(), extension.encode())
    completed = complete_request(octets, expires_at=None)
    assert decode(completed).document_faults == ()
    assert b"Engine 7" not in completed
    labels = list(
        etree.fromstring(completed).iter(f"{{{UE_INIT_CONFIG_NAMESPACE}}}mcServiceUELabel")
    )
    assert len(labels) == bool(label)  # none is inserted
    assert all(not element.text and not len(element) for element in labels)


@pytest.mark.parametrize("element", RESPONSE_MANDATORY)
def test_response_without_a_mandatory_element(element: str) -> None:
    elements = {k: v for k, v in bodies.RESPONSE_ELEMENTS.items() if k != element}
    octets = bodies.body_of(bodies.RESPONSE_NAME, elements)
    assert verdicts(octets) == (False, False)
    assert refusal_of(octets).refusal is BODY_INVALID


@pytest.mark.parametrize("element", RESPONSE_MANDATORY + RESPONSE_OPTIONAL)
def test_response_with_every_element(element: str) -> None:
    octets = bodies.body_of(bodies.RESPONSE_NAME, bodies.RESPONSE_ELEMENTS)
    assert verdicts(octets) == (True, True)
    flow = decode(octets).flow
    assert isinstance(flow, UpdateMcServiceUeInitialConfigurationResponse)
    assert read_field(flow, element)


@pytest.mark.parametrize("element", RESPONSE_OPTIONAL)
def test_response_without_an_optional_element(element: str) -> None:
    elements = {k: v for k, v in bodies.RESPONSE_ELEMENTS.items() if k != element}
    octets = bodies.body_of(bodies.RESPONSE_NAME, elements)
    assert verdicts(octets) == (True, True)
    assert read_field(decode(octets).flow, element) is None


def test_request_list_of_one_and_of_none() -> None:
    one = bodies.identity("mc-service-id", "sip:carol@primary.example")
    octets = bodies.request_body(
        mc_service_id_list=f"<mc-service-id-list>{one}</mc-service-id-list>"
    )
    assert verdicts(octets) == (True, True)
    empty = bodies.request_body(mc_service_id_list="<mc-service-id-list/>")
    assert verdicts(empty) == (False, False)
    assert refusal_of(empty).refusal is BODY_INVALID
