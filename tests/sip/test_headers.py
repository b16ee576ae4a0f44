"""RFC 3261 20 and 25.1, field by field."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError, RemoteProtocolError
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.headers import CSeq, NameAddr, Via
from acm_sip.sip.message import Request


def message(*pairs: tuple[str, str]) -> Request:
    return Request("MESSAGE", "sip:psi@mc2.example", HeaderFields(pairs))


class TestHeaderFields:
    def test_names_without_case_and_in_both_forms(self) -> None:
        fields = HeaderFields([("v", "1"), ("VIA", "2"), ("X-Own", "a"), ("x-oWN", "b")])
        assert list(fields) == [("Via", "1"), ("Via", "2"), ("X-Own", "a"), ("x-oWN", "b")]
        assert fields.get_all("via") == ["1", "2"]
        assert fields.get("x-own") == "a"
        assert fields.get_all("X-OWN") == ["a", "b"]
        assert fields.get("To") is None
        assert "V" in fields
        assert "To" not in fields

    def test_changes_are_seen_by_readings(self) -> None:
        request = message(("CSeq", "1 MESSAGE"), ("X", "1"))
        assert request.cseq == CSeq(1, "MESSAGE")
        request.headers.set("cseq", "2 MESSAGE")
        assert request.cseq.sequence_number == 2
        request.headers.remove("x")
        request.headers.prepend("Via", "SIP/2.0/UDP h;branch=z9hG4bK1")
        assert [name for name, _ in request.headers] == ["Via", "CSeq"]
        assert request.via.branch == "z9hG4bK1"

    def test_set_replaces_all(self) -> None:
        fields = HeaderFields([("A-B", "1"), ("C", "2"), ("a-b", "3")])
        fields.set("A-b", "4")
        assert fields.get_all("A-B") == ["4"]
        assert len(fields) == 2
        fields.set("New", "5")
        assert fields.get("new") == "5"

    def test_copy_is_independent(self) -> None:
        fields = HeaderFields([("X", "1")])
        copy = fields.copy()
        copy.append("X", "2")
        assert fields.get_all("X") == ["1"]

    @pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00"])
    def test_no_injection_through_values(self, value: str) -> None:
        fields = HeaderFields([("X", "1")])
        for change in (fields.append, fields.prepend, fields.set, fields.replace_first):
            with pytest.raises(LocalProtocolError):
                change("X", value)
        with pytest.raises(LocalProtocolError):
            HeaderFields([("X", value)])

    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\u212aelvin", "a\n"])
    def test_no_injection_through_names(self, name: str) -> None:
        with pytest.raises(LocalProtocolError):
            HeaderFields().append(name, "x")


class TestNameAddr:
    @pytest.mark.parametrize(
        ("text", "display_name", "uri", "tag"),
        [
            ("<sip:a@h>;tag=1", None, "sip:a@h", "1"),
            ("sip:a@h;tag=1", None, "sip:a@h", "1"),
            ("<sip:a@h;tag=uri>", None, "sip:a@h;tag=uri", None),
            ('"A. <b>, \\"c\\"" <sip:a@h> ; tag = 1', 'A. <b>, "c"', "sip:a@h", "1"),
            ("Bell A<sip:a@h>", "Bell A", "sip:a@h", None),
            ('"" <tel:+1>', "", "tel:+1", None),
            ('"x>;tag=no" <sip:a@h>;tag=1', "x>;tag=no", "sip:a@h", "1"),
            ("<sip:a@h>;x=y;tag=1", None, "sip:a@h", "1"),
            ('<sip:a@h>;x="a;tag=b";tag=c', None, "sip:a@h", "c"),
            ("<urn:service:sos>;tag=1", None, "urn:service:sos", "1"),
        ],
    )
    def test_read(self, text: str, display_name: str | None, uri: str, tag: str | None) -> None:
        address = message(("From", text)).from_
        assert (address.display_name, address.uri, address.tag) == (display_name, uri, tag)
        assert message(("From", str(address))).from_ == address

    @pytest.mark.parametrize(
        "text",
        [
            "", "<>", "<sip:a@h", "sip:a@h>", "<sip:a@h>>", "<<sip:a@h>>", "<sip:a @h>",
            "< sip:a@h>",
            '"a <sip:a@h>', 'a" <sip:a@h>', "a, b <sip:a@h>", "<sip:a@h>,<sip:b@h>",
            "<sip:a@h>;tag=1;tag=2", "<sip:a@h>;tag=1;TAG=2", "<sip:a@h>;;tag=1", "<sip:a@h>;tag=",
            "<sip:a@h>;tag=1 2", "<sip:a@h> x", "<alice>", "<sip:a@-h->", "sip:a@h?x=y",
            "<sip:a@h>;tag=\u0661", "\u00e9 <sip:a@h>", "<sip:\u00e9@h>", '"a\x0b" <sip:a@h>',
            "<sip:a@h>\u00a0;tag=1", "<sip:a@h>;tag=1\u00a0",
        ],
    )  # fmt: skip
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError, match="Malformed From header field"):
            _ = message(("From", text)).from_

    def test_missing_and_repeated(self) -> None:
        with pytest.raises(RemoteProtocolError, match="Missing From header field"):
            _ = message().from_
        with pytest.raises(RemoteProtocolError, match="Repeated From header field"):
            _ = message(("From", "<sip:a@h>"), ("f", "<sip:a@h>")).from_

    def test_sip_uri(self) -> None:
        assert NameAddr(None, "sip:a@H.example").sip_uri.host == "h.example"
        with pytest.raises(RemoteProtocolError):
            _ = NameAddr(None, "tel:+1").sip_uri


class TestVia:
    def test_read(self) -> None:
        text = "sip / 2.0 / tcp Host.example : 5070 ;rport;Branch=z9hG4bK1 ;x"
        (via,) = message(("Via", text)).vias
        assert via == Via(
            "TCP",
            "host.example",
            5070,
            (("rport", None), ("Branch", "z9hG4bK1"), ("x", None)),
            "sip",
        )
        assert via.branch == "z9hG4bK1"
        assert (via.has_rport, via.rport, via.received) == (True, None, None)

    def test_with_received(self) -> None:
        via = Via("UDP", "h.example", None, (("branch", "z9hG4bK1"), ("RPORT", None)))
        seen = via.with_received("192.0.2.9", 40_000)
        assert str(seen) == "SIP/2.0/UDP h.example;branch=z9hG4bK1;RPORT=40000;received=192.0.2.9"
        assert (seen.received, seen.rport) == ("192.0.2.9", 40_000)
        forged = Via("UDP", "h.example", None, (("received", "203.0.113.1"),))
        assert forged.with_received("192.0.2.9").received == "192.0.2.9"
        assert not Via("UDP", "h.example").has_rport

    def test_order_over_lines_and_commas(self) -> None:
        request = message(
            ("Via", 'SIP/2.0/UDP a;x=","'), ("Via", "SIP/2.0/UDP b , SIP/2.0/UDP [::1]:5061")
        )
        assert [via.sent_by_host for via in request.vias] == ["a", "b", "[::1]"]
        request.replace_top_via(request.via.with_received("192.0.2.9"))
        assert request.via.received == "192.0.2.9"
        assert len(request.vias) == 3

    @pytest.mark.parametrize(
        "text",
        [
            "", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:0",
            "SIP/2.0/UDP h:99999", "SIP/2.0/UDP h;;x", "SIP/2.0/UDP h;branch=a;branch=b",
            "SIP/2.0/UDP h,", ",SIP/2.0/UDP h", "SIP/2.0/UDP h i", "SIP/2.0/UDP ::1",
            "SIP/2.0/UDP h:\u0665", "SIP/2.0/UDP\u00a0h", "SIP/2.0/UDP 1.2.3",
            "SIP/2.0/UDP h;x=a b",
        ],
    )  # fmt: skip
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError, match="Malformed Via header field"):
            _ = message(("Via", text)).vias

    def test_malformed_rport(self) -> None:
        with pytest.raises(RemoteProtocolError, match="rport"):
            _ = Via("UDP", "h", None, (("rport", "+1"),)).rport


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "number"), [("0 MESSAGE", 0), ("0009 \t MESSAGE", 9), ("4294967295 X", 2**32 - 1)]
    )
    def test_cseq(self, text: str, number: int) -> None:
        assert message(("CSeq", text)).cseq.sequence_number == number

    @pytest.mark.parametrize(
        "text",
        ["", "1", "MESSAGE", "1MESSAGE", "-1 M", "+1 M", "1_0 M", "\u0661 M", "4294967296 M",
         "9" * 5000 + " M", "1 M N", "1 \u212a", "1\u00a0M"],
    )  # fmt: skip
    def test_bad_cseq(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError, match="CSeq"):
            _ = message(("CSeq", text)).cseq

    def test_max_forwards(self) -> None:
        assert message().max_forwards is None
        assert message(("Max-Forwards", "0068")).max_forwards == 68
        for text in ("256", "-1", "", "7 0"):
            with pytest.raises(RemoteProtocolError, match="Max-Forwards"):
                _ = message(("Max-Forwards", text)).max_forwards

    def test_expires_and_retry_after(self) -> None:
        request = message(("Expires", "3600"), ("Retry-After", "120 (in a meeting);duration=60"))
        assert (request.expires, request.retry_after) == (3600, 120)
        with pytest.raises(RemoteProtocolError, match="Retry-After"):
            _ = message(("Retry-After", "soon")).retry_after


class TestLists:
    def test_contacts(self) -> None:
        request = message(
            ("m", '"a, b" <sip:a@h;x=1>;q=0.5, sip:c@h;expires=1'), ("Contact", "<x:y>")
        )
        assert [contact.uri for contact in request.contacts] == ["sip:a@h;x=1", "sip:c@h", "x:y"]
        assert request.contacts[1].parameter("EXPIRES") == "1"
        assert not request.contact_is_star

    def test_contact_star(self) -> None:
        request = message(("Contact", "*"))
        assert request.contact_is_star
        assert request.contacts == ()
        assert not message().contact_is_star
        with pytest.raises(RemoteProtocolError, match="Contact"):
            _ = message(("Contact", "*, <sip:a@h>")).contacts

    def test_tokens(self) -> None:
        request = message(("Require", "path , outbound"), ("k", ""), ("Allow", "MESSAGE,OPTIONS"))
        assert request.require == ("path", "outbound")
        assert request.supported == ()
        assert request.allow == ("MESSAGE", "OPTIONS")
        with pytest.raises(RemoteProtocolError, match="Require"):
            _ = message(("Require", "a,,b")).require

    def test_accept_contacts_merged_or_apart(self) -> None:
        icsi = '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3Ax";require;explicit'
        apart = message(("a", "*;+g.3gpp.mcptt;require"), ("Accept-Contact", icsi))
        merged = message(("Accept-Contact", "*;+g.3gpp.mcptt;require, " + icsi))
        assert apart.accept_contacts == merged.accept_contacts
        assert merged.accept_contacts[1].parameter("+g.3gpp.icsi-ref") == "urn%3Aurn-7%3Ax"
        assert merged.accept_contacts[0].parameter("explicit") is None

    def test_warnings(self) -> None:
        request = message(("Warning", '399 mc1.example "a, \\"b\\"", 307 h:5060 "c"'))
        assert [(w.code, w.agent, w.text) for w in request.warnings] == [
            (399, "mc1.example", 'a, "b"'),
            (307, "h:5060", "c"),
        ]
        assert str(request.warnings[0]) == '399 mc1.example "a, \\"b\\""'
        with pytest.raises(RemoteProtocolError, match="Warning"):
            _ = message(("Warning", "399 mc1.example text")).warnings

    def test_two_asserted_identities(self) -> None:
        request = message(("P-Asserted-Identity", '"A" <sip:a@h>, <tel:+1>'))
        assert [address.uri for address in request.p_asserted_identity] == ["sip:a@h", "tel:+1"]


class TestMediaType:
    def test_read(self) -> None:
        media_type = message(("c", 'Multipart/MIXED ; boundary="a \\"b"; x=y')).content_type
        assert media_type is not None
        assert media_type.essence == "multipart/mixed"
        assert media_type.parameter("Boundary") == 'a "b'
        assert message().content_type is None

    @pytest.mark.parametrize(
        "text", ["", "text", "text/", "/x", "a/b/c", "a/b;", "a/b;x", "a/b,c/d"]
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError, match="Content-Type"):
            _ = message(("Content-Type", text)).content_type


def test_via_without_parameters() -> None:
    assert message(("Via", "SIP/2.0/UDP h")).via.parameters == ()
