"""decode_body and encode_body: parts, identities, extensions, faults."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from lxml import etree

from acm_sip.codec import names, xml
from acm_sip.codec.body import BodyPart, decode_body, encode_body, summarize_body
from acm_sip.codec.explain import explain
from acm_sip.codec.flows import (
    Cause,
    InformationFlow,
    Outcome,
    Result,
    UpdateMcServiceUeInitialConfigurationRequest,
)
from acm_sip.errors import (
    BODY_INVALID,
    BODY_MISSING,
    BODY_TOO_LARGE,
    FORBIDDEN,
    MEDIA_TYPE_UNSUPPORTED,
    LocalProtocolError,
    Refusal,
    Refused,
)
from acm_sip.identities import McServiceId
from tests.codec import bodies
from tests.codec.bodies import decode, identity

ACM = names.MEDIA_TYPE
UE = names.UE_INIT_CONFIG_MEDIA_TYPE
EMPTY_DATA = '<mc-service-ue-initial-configuration-data href="cid:ue%40x"/>'
BY_REFERENCE = bodies.request_body(mc_service_ue_initial_configuration_data=EMPTY_DATA)


def refuse(*parts: BodyPart) -> Refused:
    with pytest.raises(Refused) as caught:
        decode_body(parts)
    return caught.value


@pytest.mark.parametrize("flow", [bodies.REQUEST, bodies.RESPONSE, bodies.INDICATION])
def test_object_to_xml_to_object(flow: InformationFlow) -> None:
    decoded = decode(encode_body(flow))
    if isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest):
        assert isinstance(decoded.flow, UpdateMcServiceUeInitialConfigurationRequest)
        ours, theirs = (
            xml.canonicalize(xml.parse(each.mc_service_ue_initial_configuration_data))
            for each in (flow, decoded.flow)
        )
        assert ours == theirs
        flow = dataclasses.replace(
            flow,
            mc_service_ue_initial_configuration_data=(
                decoded.flow.mc_service_ue_initial_configuration_data
            ),
        )
    assert decoded.flow == flow
    assert explain(decoded.octets) == ()


def test_digest_is_that_of_the_canonical_flow() -> None:
    octets = bodies.request_body()
    spaced = octets.replace(b"<mcsURI>", b"<mcsURI  >").replace(b"<acm-info", b"<acm-info  ")
    element = etree.fromstring(octets)[0]
    canonical = etree.tostring(element, method="c14n", exclusive=True)
    assert decode(octets).digest == hashlib.sha256(canonical).digest() == decode(spaced).digest
    other = octets.replace(b"carol", b"carla")
    assert decode(other).digest != decode(octets).digest


def test_octets_are_those_received() -> None:
    octets = b'<?xml version="1.0" encoding="utf-8"?>\n<!-- kept -->\n' + bodies.request_body()
    assert decode(octets).octets is octets


def test_extensions_survive_as_octets_and_as_objects() -> None:
    extra = '<f:later a="1"><f:x/></f:later><f:more/><anyExt><f:y/></anyExt>'
    decoded = decode(bodies.request_body(extra=extra))
    assert decoded.flow.extensions == (
        b'<f:later xmlns:f="urn:foreign" a="1"><f:x></f:x></f:later>',
        b'<f:more xmlns:f="urn:foreign"></f:more>',
    )
    again = decode(encode_body(decoded.flow))
    assert again.flow.extensions == decoded.flow.extensions
    assert again.flow.any_ext is not None
    assert encode_body(again.flow) == encode_body(decode(encode_body(again.flow)).flow)


def test_extension_order_is_that_of_ts_24_379() -> None:
    error = refuse(BodyPart(ACM, bodies.request_body(extra="<anyExt/><f:later/>")))
    assert error.refusal is BODY_INVALID


def test_a_prefix_that_only_a_value_needs_survives() -> None:
    typed = (
        b'<anyExt xmlns:q="urn:3gpp:mcptt:mcpttUEinitConfig:1.0"><f:t xmlns:f="urn:f"'
        b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        b' xsi:type="q:PDUSessionType">IPv4</f:t></anyExt></on-network>'
    )
    document = bodies.DOCUMENT.replace(b"</on-network>", typed)
    flow = dataclasses.replace(bodies.REQUEST, mc_service_ue_initial_configuration_data=document)
    decoded = decode(encode_body(flow))
    assert decoded.document_faults == ()
    assert isinstance(decoded.flow, UpdateMcServiceUeInitialConfigurationRequest)
    assert explain(decoded.flow.mc_service_ue_initial_configuration_data) == ()


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        pytest.param([], BODY_MISSING, id="no body"),
        pytest.param([BodyPart(ACM, b"")], BODY_MISSING, id="empty body"),
        pytest.param(
            [BodyPart("application/vnd.3gpp.mcptt-info+xml", b"<x/>")],
            BODY_MISSING,
            id="no ACM part",
        ),
        pytest.param([BodyPart("text/plain", b"hi")], MEDIA_TYPE_UNSUPPORTED, id="foreign type"),
        pytest.param(
            [BodyPart(ACM, bodies.request_body()), BodyPart("text/plain", b"hi")],
            MEDIA_TYPE_UNSUPPORTED,
            id="foreign part, required",
        ),
        pytest.param([BodyPart(ACM, bodies.request_body())] * 2, BODY_INVALID, id="two ACM parts"),
        pytest.param(
            [BodyPart(ACM, b"<a>" + b" " * xml.MAX_DOCUMENT_OCTETS + b"</a>")],
            BODY_TOO_LARGE,
            id="more than 1 MiB",
        ),
        pytest.param(
            [BodyPart(ACM, bodies.request_body()), BodyPart(UE, bodies.DOCUMENT, "ue@x")],
            BODY_INVALID,
            id="both forms",
        ),
        pytest.param(
            [BodyPart(ACM, BY_REFERENCE), *[BodyPart(UE, bodies.DOCUMENT, "ue@x")] * 2],
            BODY_INVALID,
            id="two documents",
        ),
        pytest.param([BodyPart(ACM, BY_REFERENCE)], BODY_INVALID, id="reference to nothing"),
        pytest.param(
            [BodyPart(ACM, BY_REFERENCE), BodyPart(UE, b"<broken", "ue@x")],
            BODY_INVALID,
            id="referenced part is no XML",
        ),
        pytest.param(
            [
                BodyPart(
                    ACM,
                    encode_body(bodies.RESPONSE),
                ),
                BodyPart(UE, bodies.DOCUMENT),
            ],
            BODY_INVALID,
            id="a response with a document",
        ),
    ],
)
def test_parts_that_are_refused(parts: list[BodyPart], refusal: Refusal) -> None:
    assert refuse(*parts).refusal is refusal


def test_parts_that_are_ignored() -> None:
    decoded = decode_body(
        [
            BodyPart("Application/Resource-Lists+XML; charset=utf-8", b"<x/>"),
            BodyPart("application/vnd.3gpp.mcptt-info+xml", b"<x/>"),
            BodyPart(ACM.upper(), bodies.request_body()),
            BodyPart("text/plain", b"hi", handling_optional=True),
        ]
    )
    assert decoded.ignored_parts == (
        "application/resource-lists+xml",
        "application/vnd.3gpp.mcptt-info+xml",
        "text/plain",
    )


def test_a_document_in_its_own_part_is_embedded() -> None:
    document = b'<?xml version="1.0"?>\n' + bodies.DOCUMENT
    decoded = decode_body([BodyPart(ACM, BY_REFERENCE), BodyPart(UE, document, "<ue@x>")])
    assert decoded.document_faults == ()
    assert decoded.digest == decode(decoded.octets).digest
    assert b"href" not in decoded.octets
    assert isinstance(decoded.flow, UpdateMcServiceUeInitialConfigurationRequest)
    read = decoded.flow.mc_service_ue_initial_configuration_data
    assert xml.canonicalize(xml.parse(read)) == xml.canonicalize(xml.parse(document))


def test_a_reference_beside_an_embedded_document_is_refused() -> None:
    octets = bodies.request_body().replace(
        b"<mc-service-ue-initial-configuration-data>",
        b'<mc-service-ue-initial-configuration-data href="cid:x">',
    )
    assert refuse(BodyPart(ACM, octets)).refusal is BODY_INVALID


URI = "<mcsURI>sip:bob@x.example</mcsURI>"
XENC = '<e:EncryptedData xmlns:e="http://www.w3.org/2001/04/xmlenc#"/>'
PROTECTED = [
    f'<target-mc-service-id type="Encrypted">{URI}</target-mc-service-id>',
    f'<target-mc-service-id type="Encrypted">{XENC}</target-mc-service-id>',
    "<target-mc-service-id><f:secret/></target-mc-service-id>",
]


@pytest.mark.parametrize("element", PROTECTED)
def test_a_protected_identity_is_valid_and_refused(element: str) -> None:
    error = refuse(BodyPart(ACM, bodies.request_body(target_mc_service_id=element)))
    assert error.refusal is FORBIDDEN
    assert "protected" in (error.warn_text or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "tel:+4312345",
        "sip:bob@x.example&#13;&#10;Via:",
        "sip:bob:secret@x.example",
        "sip:bob@x.example?Subject=x",
        "sip:bob@x.example sip:eve@x.example",
        "sip:bob@x.example&#160;",
    ],
)
def test_an_identity_that_is_no_sip_uri(text: str) -> None:
    octets = bodies.request_body(target_mc_service_id=identity("target-mc-service-id", text))
    error = refuse(BodyPart(ACM, octets))
    assert error.refusal is BODY_INVALID
    assert "/target-mc-service-id" in error.detail


def test_white_space_around_an_identity_is_no_part_of_it() -> None:
    octets = bodies.request_body(
        target_mc_service_id=identity("target-mc-service-id", "\n sip:bob@partner.example\t")
    )
    flow = decode(octets).flow
    assert isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest)
    assert str(flow.target_mc_service_id) == "sip:bob@partner.example"


@pytest.mark.parametrize("hidden", ["<!-- -->", "<?x y?>"])
def test_a_comment_inside_an_identity_is_refused(hidden: str) -> None:
    uri = f"sip:alice@mc1{hidden}.evil.example"
    octets = bodies.request_body(target_mc_service_id=identity("target-mc-service-id", uri))
    error = refuse(BodyPart(ACM, octets))
    assert error.refusal is BODY_INVALID
    assert "comment" in error.detail


def test_a_comment_elsewhere_is_no_matter() -> None:
    octets = bodies.request_body().replace(b"<mcsURI>", b"<!-- who --><mcsURI>")
    assert decode(octets).flow == decode(bodies.request_body()).flow


def test_cdata_is_text() -> None:
    uri = "<![CDATA[sip:bob@partner]]>.example"
    octets = bodies.request_body(target_mc_service_id=identity("target-mc-service-id", uri))
    assert decode(octets).flow == decode(bodies.request_body()).flow


def test_a_user_listed_twice_is_named_by_both_positions() -> None:
    uris = ["sip:carol@primary.example", "sip:dave@primary.example", "sip:%63arol@PRIMARY.example"]
    items = "".join(identity("mc-service-id", uri) for uri in uris)
    octets = bodies.request_body(
        mc_service_id_list=f"<mc-service-id-list>{items}</mc-service-id-list>"
    )
    error = refuse(BodyPart(ACM, octets))
    assert error.refusal is BODY_INVALID
    assert "mc-service-id[3]" in error.detail
    assert "mc-service-id[1]" in error.detail


def test_a_fault_of_the_document_is_returned_and_not_raised() -> None:
    octets = bodies.request_body().replace(b' PLMN="26201"', b"").replace(b"T100>5", b"T100>999")
    decoded = decode(octets)
    assert decoded.document_faults[0].rule.startswith("cvc-")
    assert decoded.document_faults[0].path.startswith("/acm-info/")
    reported = decode_body([BodyPart(ACM, octets)], document_mode="report")
    assert [fault.rule for fault in reported.document_faults] == ["plmn-usable"]
    assert reported.document_warnings[0].rule.startswith("cvc-")


def test_a_later_release_passes_in_mode_report() -> None:
    octets = bodies.request_body().replace(b"<service>", b"<service><of-release-25/>")
    assert decode(octets).document_faults
    reported = decode_body([BodyPart(ACM, octets)], document_mode="report")
    assert reported.document_faults == ()
    assert reported.document_warnings


def test_result_with_everything() -> None:
    result = Result(
        outcome=Outcome.FAILURE,
        cause=Cause.UNKNOWN_MC_SERVICE_ID,
        mc_service_ids=(bodies.CAROL,),
        text="Grüße\r\n<&>",
        language="de",
    )
    flow = dataclasses.replace(bodies.RESPONSE, result=result)
    assert decode(encode_body(flow)).flow == flow


def test_an_unknown_cause_is_kept() -> None:
    octets = bodies.body_of(
        bodies.RESPONSE_NAME,
        bodies.RESPONSE_ELEMENTS
        | {"result": "<result><failure/><cause> moon  phase </cause></result>"},
    )
    assert decode(octets).flow.result.cause == "moon phase"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "instant", ["2026-12-24T24:00:00Z", "2026-12-24T18:00:00", "2026-12-24T18:00:00+01:00", "now"]
)
def test_an_instant_that_cannot_be_read(instant: str) -> None:
    octets = bodies.request_body(expires_at=f"<expires-at>{instant}</expires-at>")
    assert refuse(BodyPart(ACM, octets)).refusal is BODY_INVALID


def test_a_flow_that_is_not_known() -> None:
    octets = bodies.body_of("remove-everything-request", {})
    assert refuse(BodyPart(ACM, octets)).refusal is BODY_INVALID


def test_a_flow_is_never_the_root() -> None:
    octets = etree.tostring(etree.fromstring(bodies.request_body())[0])
    assert refuse(BodyPart(ACM, octets)).refusal is BODY_INVALID


@pytest.mark.parametrize("text", ["\x00", "\x1f", "\ud800"])
def test_what_xml_cannot_carry_is_our_callers_fault(text: str) -> None:
    flow = dataclasses.replace(bodies.RESPONSE, result=Result(outcome=Outcome.FAILURE, text=text))
    with pytest.raises(LocalProtocolError):
        encode_body(flow)


def test_a_document_of_another_kind_is_our_callers_fault() -> None:
    for octets in (b"<x/>", b"<broken"):
        flow = dataclasses.replace(bodies.REQUEST, mc_service_ue_initial_configuration_data=octets)
        with pytest.raises(LocalProtocolError):
            encode_body(flow)


def test_summary_of_a_body() -> None:
    summary = summarize_body(bodies.request_body("mc-service-id-list"))
    assert summary is not None
    assert summary.element_name == bodies.REQUEST_NAME
    assert summary.acm_transaction_id == str(bodies.TRANSACTION)
    assert summarize_body(b"hello") is None
    assert summarize_body(bodies.DOCUMENT) is None


def test_a_list_of_10000_users() -> None:
    users = tuple(McServiceId(f"sip:user{n}@primary.example") for n in range(10_000))
    flow = dataclasses.replace(bodies.REQUEST, mc_service_id_list=users)
    decoded = decode(encode_body(flow))
    assert isinstance(decoded.flow, UpdateMcServiceUeInitialConfigurationRequest)
    assert decoded.flow.mc_service_id_list == users
