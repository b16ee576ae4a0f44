"""XML -> object -> XML and object -> XML -> object say the same, and both validators agree."""

from __future__ import annotations

import dataclasses
import string
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.body import encode_body
from acm_sip.codec.completion import complete_request
from acm_sip.codec.explain import explain, is_valid_by_xmlschema
from acm_sip.codec.flows import (
    Cause,
    InformationFlow,
    Outcome,
    ProcessIndication,
    Result,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.schemas import SchemaName, get_schema
from acm_sip.errors import Refused
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId
from tests.codec import bodies
from tests.codec.ue_init_config_particles import PARTICLES

users = st.text(string.ascii_letters + string.digits + "-_.!~*'()&=+$,", min_size=1, max_size=20)
hosts = st.sampled_from(["primary.example", "partner.example", "192.0.2.7", "[2001:db8::1]"])
uris = st.builds(
    "{}:{}@{}{}".format,
    st.sampled_from(["sip", "sips"]),
    users,
    hosts,
    st.sampled_from(["", ":5070", ";a=b"]),
)
ids = uris.map(McServiceId)
aliases = uris.map(FunctionalAlias)
transactions = st.uuids().map(lambda value: AcmTransactionId(value.urn))
# Characters that XML can carry (XML 1.0 2.2).
texts = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[chr(c) for c in range(0x20) if c not in (9, 10, 13)]
        + ["\ufffe", "\uffff"],
    )
)
tokens = st.lists(users, min_size=1).map(" ".join)
id_lists = st.lists(ids, min_size=1, max_size=5, unique=True).map(tuple)
instants = st.datetimes(datetime(2000, 1, 1), datetime(9000, 1, 1)).map(
    lambda t: t.replace(tzinfo=UTC)
)
extensions = st.lists(
    st.sampled_from([b'<f:x xmlns:f="urn:f" a="1"></f:x>', b'<y xmlns="urn:y">\xc3\xbc&#xD;</y>']),
    max_size=3,
).map(tuple)
any_exts = st.none() | st.just(
    b'<acm:anyExt xmlns:acm="urn:3gpp:ns:mcsAcmInfo:1.0"><acm:unknown></acm:unknown></acm:anyExt>'
)
documents = st.sampled_from([bodies.DOCUMENT, *(p.documents()[0] for p in PARTICLES)])
languages = st.sampled_from(["", "de", "de-AT"])


@st.composite
def results(draw: st.DrawFn) -> Result:
    text = draw(st.none() | texts)
    return Result(
        outcome=draw(st.sampled_from(Outcome)),
        cause=draw(st.none() | st.sampled_from([cause.value for cause in Cause]) | tokens),
        mc_service_ids=draw(st.just(()) | id_lists),
        text=text,
        language=None if text is None else draw(st.none() | languages),
    )


@st.composite
def requests(draw: st.DrawFn) -> UpdateMcServiceUeInitialConfigurationRequest:
    target = draw(st.none() | ids)
    return UpdateMcServiceUeInitialConfigurationRequest(
        acm_transaction_id=draw(transactions),
        requesting_mc_service_id=draw(ids),
        requesting_functional_alias=draw(st.none() | aliases),
        target_mc_service_id=target,
        target_functional_alias=draw(aliases if target is None else st.none() | aliases),
        mc_service_id_list=draw(id_lists),
        mc_service_ue_initial_configuration_data=draw(documents),
        expires_at=draw(st.none() | instants),
        extensions=draw(extensions),
        any_ext=draw(any_exts),
    )


responses = st.builds(
    UpdateMcServiceUeInitialConfigurationResponse,
    acm_transaction_id=transactions,
    handling_mc_service_id=ids,
    handling_functional_alias=st.none() | aliases,
    target_mc_service_id=ids,
    result=results(),
    extensions=extensions,
    any_ext=any_exts,
)
indications = st.builds(
    ProcessIndication,
    acm_transaction_id=transactions,
    requesting_mc_service_id=ids,
    target_mc_service_id=st.none() | ids,
    target_functional_alias=st.none() | aliases,
    extensions=extensions,
    any_ext=any_exts,
)
flows = requests() | responses | indications


def without_document(flow: InformationFlow) -> InformationFlow:
    if isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest):
        return dataclasses.replace(flow, mc_service_ue_initial_configuration_data=b"")
    return flow


def canonical_document(flow: InformationFlow) -> bytes:
    if isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest):
        return xml.canonicalize(xml.parse(flow.mc_service_ue_initial_configuration_data))
    return b""


def refusal_text(octets: bytes) -> str | None:
    """Return why a body is refused; anything but a refusal passes through."""
    try:
        bodies.decode(octets)
    except Refused as error:
        return error.text
    return None


@settings(max_examples=60, deadline=None)
@given(flows)
def test_object_to_xml_to_object_to_xml(flow: InformationFlow) -> None:
    octets = encode_body(flow)
    root = etree.fromstring(octets)
    assert get_schema(SchemaName.ACM_INFO).validate(root)
    assert is_valid_by_xmlschema(root, SchemaName.ACM_INFO)
    decoded = bodies.decode(octets)
    assert without_document(decoded.flow) == without_document(flow)
    assert [str(user) for user in getattr(decoded.flow, "mc_service_id_list", ())] == [
        str(user) for user in getattr(flow, "mc_service_id_list", ())
    ]
    assert canonical_document(decoded.flow) == canonical_document(flow)
    again = encode_body(decoded.flow)
    assert bodies.decode(again).digest == decoded.digest
    assert bodies.decode(again).flow == bodies.decode(encode_body(bodies.decode(again).flow)).flow


@settings(max_examples=50, deadline=None)
@given(requests(), instants)
def test_a_completed_request_is_what_it_was_but_for_the_expiry(
    flow: UpdateMcServiceUeInitialConfigurationRequest, expires_at: datetime
) -> None:
    octets = encode_body(flow)
    completed = bodies.decode(complete_request(octets, expires_at=expires_at)).flow
    assert isinstance(completed, UpdateMcServiceUeInitialConfigurationRequest)
    assert completed.expires_at == (flow.expires_at or expires_at)
    reset = dataclasses.replace(completed, expires_at=flow.expires_at)
    assert without_document(reset) == without_document(flow)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_damaged_body_ends_in_a_refusal_or_a_flow(data: st.DataObject) -> None:
    octets = bytearray(encode_body(data.draw(responses | indications)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(octets)))
        end = data.draw(st.integers(start, min(len(octets), start + 30)))
        octets[start:end] = data.draw(st.binary(max_size=8))
    text = refusal_text(bytes(octets))
    assert text is None or text.isprintable()
    assert (text is None) == (explain(bytes(octets)) == ())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_octets_end_in_a_refusal(octets: bytes) -> None:
    text = refusal_text(octets)
    assert text is not None
    assert text.isprintable()
