"""complete_request: labels blank, expiry written, nothing else touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from lxml import etree

from acm_sip.codec.body import encode_body
from acm_sip.codec.completion import complete_request
from acm_sip.codec.explain import explain
from acm_sip.codec.flows import UpdateMcServiceUeInitialConfigurationRequest
from tests.codec import bodies

AT = datetime(2027, 1, 1, 12, 30, tzinfo=UTC)
NOT_EXPIRING = bodies.request_body("expires-at")
LABEL = b'<mcServiceUELabel a="1" xmlns:f="urn:f">Engine <!-- x -->7</mcServiceUELabel>'


def labelled(octets: bytes) -> bytes:
    return octets.replace(b"</on-network>", b"<anyExt>" + LABEL + b"</anyExt></on-network>")


def canonical(octets: bytes) -> bytes:
    return etree.tostring(etree.fromstring(octets), method="c14n", with_comments=True)


def test_nothing_to_do_returns_the_same_object() -> None:
    expiring = bodies.request_body()
    assert complete_request(expiring, expires_at=AT) is expiring
    assert complete_request(NOT_EXPIRING, expires_at=None) is NOT_EXPIRING
    blank = labelled(NOT_EXPIRING).replace(b"Engine <!-- x -->7", b"")
    assert complete_request(blank, expires_at=None) is blank


def test_an_expiry_is_written_once_and_in_its_place() -> None:
    completed = complete_request(NOT_EXPIRING, expires_at=AT)
    flow = bodies.decode(completed).flow
    assert isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest)
    assert flow.expires_at == AT
    expected = NOT_EXPIRING.replace(
        b"</mc-service-ue-initial-configuration-data>",
        b"</mc-service-ue-initial-configuration-data><expires-at>2027-01-01T12:30:00Z</expires-at>",
    )
    assert canonical(completed) == canonical(expected)
    assert complete_request(completed, expires_at=AT + timedelta(1)) is completed


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    vienna = timezone(timedelta(hours=1))
    octets = complete_request(NOT_EXPIRING, expires_at=AT.astimezone(vienna))
    assert b">2027-01-01T12:30:00Z<" in octets


def test_labels_are_blank_at_any_depth_and_the_rest_is_as_it_was() -> None:
    kept = b"<!-- kept --><f:x a='1'><![CDATA[<]]></f:x>"
    octets = (
        labelled(NOT_EXPIRING)
        .replace(b"</update-mc", kept + b"</update-mc")
        .replace(
            b"</mcptt-UE-initial-configuration>",
            b"<anyExt><x><mcServiceUELabel>deep</mcServiceUELabel> tail</x></anyExt>"
            b"</mcptt-UE-initial-configuration>",
        )
    )
    expected = octets.replace(b"Engine <!-- x -->7", b"").replace(b">deep<", b"><")
    completed = complete_request(octets, expires_at=None)
    assert canonical(completed) == canonical(expected)
    assert b"<![CDATA[<]]>" in completed
    assert (
        explain(completed.replace(b'<mcServiceUELabel xmlns:f="urn:f" a="1"', b"<mcServiceUELabel"))
        == ()
    )


def test_a_response_gets_no_expiry() -> None:
    octets = encode_body(bodies.RESPONSE)
    assert complete_request(octets, expires_at=AT) is octets


def test_an_expiry_follows_our_own_prefix() -> None:
    octets = encode_body(bodies.REQUEST)
    completed = complete_request(octets, expires_at=AT)
    assert b"<acm:expires-at>2027" in completed
    assert explain(completed) == ()
