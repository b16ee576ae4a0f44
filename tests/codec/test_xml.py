"""Hostile XML is refused before it costs anything (the limits and the recipe of codec/xml.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from acm_sip.codec import names, xml
from acm_sip.codec.body import BodyPart, decode_body
from acm_sip.codec.explain import explain
from acm_sip.codec.faults import InvalidXml, bounded
from acm_sip.codec.ue_init_config import find_faults
from acm_sip.errors import BODY_INVALID, BODY_TOO_LARGE, Refused
from tests.codec import bodies

BODY = bodies.request_body()
TEXT = BODY.decode()
MEBIBYTE = xml.MAX_DOCUMENT_OCTETS


def with_document_type(subset: str, *, inside: str = "") -> bytes:
    return f"<!DOCTYPE acm-info {subset}>{TEXT.replace('sip:bob', inside + 'sip:bob')}".encode()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = [
    pytest.param(with_document_type(""), "no-document-type", id="DTD"),
    pytest.param(
        b"<?xml version='1.0'?> <!-- <!DOCTYPE x> --> <?pi?> " + with_document_type(""),
        "no-document-type",
        id="DTD behind a prolog",
    ),
    pytest.param(
        b"\xef\xbb\xbf" + with_document_type(""), "no-document-type", id="DTD behind a BOM"
    ),
    pytest.param(
        with_document_type('SYSTEM "file:///etc/passwd"'), "no-document-type", id="external DTD"
    ),
    pytest.param(
        with_document_type('[<!ENTITY x SYSTEM "file:///etc/passwd">]', inside="&x;"),
        "no-document-type",
        id="external entity",
    ),
    pytest.param(
        with_document_type(f'[<!ENTITY l0 "lol">{LAUGHS}]', inside="&l9;"),
        "no-document-type",
        id="entity bomb",
    ),
    pytest.param(
        with_document_type(f'[<!ENTITY x "{"x" * 100_000}">]', inside="&x;" * 1000),
        "no-document-type",
        id="quadratic blow-up",
    ),
    pytest.param(TEXT.replace("sip:bob", "&x;").encode(), "well-formed", id="unknown entity"),
    pytest.param(TEXT.encode("utf-16"), "well-formed", id="UTF-16"),
    pytest.param(TEXT.encode("utf-16-be"), "well-formed", id="UTF-16 BE without BOM"),
    pytest.param(TEXT.encode("utf-16-le"), "encoding", id="UTF-16 LE without BOM"),
    pytest.param(TEXT.encode("utf-32"), "well-formed", id="UTF-32"),
    pytest.param(b"\xef\xbb\xbf" + TEXT.encode("utf-16-le"), "encoding", id="a false BOM"),
    pytest.param(TEXT.encode("cp037"), "well-formed", id="EBCDIC"),
    pytest.param(b'<?xml version="1.0" encoding="UTF-7"?>' + BODY, None, id="UTF-7"),
    pytest.param(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + BODY, "encoding", id="Latin-1"),
    pytest.param(b'<?xml version="1.0" encoding="UTF-16"?>' + BODY, None, id="says UTF-16"),
    pytest.param(BODY.replace(b"bob", b"b\xf6b"), "well-formed", id="octets that are not UTF-8"),
    pytest.param(BODY.replace(b"bob", b"b\0b"), "encoding", id="NUL"),
    pytest.param(BODY.replace(b"bob", b"b&#0;b"), "well-formed", id="NUL by reference"),
    pytest.param(
        b"<a>" + b"".join(b"<n%d/>" % n for n in range(10_000)) + b"</a>",
        "names-limit",
        id="flood of element names",
    ),
    pytest.param(
        b"<a " + b" ".join(b"a%d='>'" % n for n in range(10_000)) + b"/>",
        "names-limit",
        id="flood of attribute names",
    ),
    pytest.param(
        b"<a>" + b"".join(b"<b xmlns='urn:%d'/>" % n for n in range(10_000)) + b"</a>",
        "names-limit",
        id="flood of namespaces",
    ),
    pytest.param(
        b"<a>" + b"".join(b"<?p%d ' ?>" % n for n in range(10_000)) + b"</a>",
        "names-limit",
        id="flood of processing instruction targets",
    ),
    pytest.param(b"<a>" * 300 + b"</a>" * 300, "well-formed", id="depth"),
    pytest.param(b"<a>" * 99_000, "well-formed", id="depth bomb"),
    pytest.param(b"<a>" * (MEBIBYTE // 3), "tags-limit", id="more tags than anyone needs"),
    pytest.param(b"<a>" + b"x" * MEBIBYTE + b"</a>", "octets-limit", id="more than 1 MiB"),
    pytest.param(b"", "well-formed", id="nothing"),
    pytest.param(b"   ", "well-formed", id="blank"),
    pytest.param(b"{}", "well-formed", id="JSON"),
    pytest.param(BODY + BODY, "well-formed", id="two roots"),
    pytest.param(BODY[:-20], "well-formed", id="cut short"),
    pytest.param(b"<" * 100_000, "well-formed", id="angles"),
    pytest.param(b"<a " + b"x" * 500_000 + b" " + b"y=" * 1000 + b">", None, id="no attribute"),
]


@pytest.mark.parametrize(("octets", "rule"), HOSTILE)
def test_hostile_document(octets: bytes, rule: str | None) -> None:
    with pytest.raises(InvalidXml) as caught:
        xml.parse(octets)
    if rule is not None:
        assert caught.value.fault.rule == rule
    assert len(caught.value.text) < 400
    assert caught.value.text.isprintable()
    with pytest.raises(Refused) as refused:
        decode_body([BodyPart(names.MEDIA_TYPE, octets or b" ")])
    assert refused.value.refusal in (BODY_INVALID, BODY_TOO_LARGE)
    assert explain(octets)
    assert find_faults(octets)


def test_nothing_is_included(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret", encoding="utf-8")
    include = (
        f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{secret.as_uri()}"'
        ' parse="text"/>'
    )
    decoded = bodies.decode(bodies.request_body(extra=include))
    assert b"s3cret" not in decoded.octets + b"".join(decoded.flow.extensions)


def test_no_schema_is_fetched_for_a_document(tmp_path: Path) -> None:
    hint = tmp_path / "evil.xsd"
    hint.write_text("this is no schema", encoding="utf-8")
    octets = BODY.replace(
        b"<acm-info ",
        b'<acm-info xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        + f'xsi:schemaLocation="{bodies.NS} {hint.as_uri()} urn:foreign {hint.as_uri()}" '.encode(),
    )
    assert bodies.decode(octets).document_faults == ()
    assert explain(octets) == ()


def test_a_flood_of_errors_is_answered_with_the_first() -> None:
    bad = "<mc-service-id><mcsURL/></mc-service-id>" * 10_000
    octets = bodies.request_body(
        mc_service_id_list=f"<mc-service-id-list>{bad}</mc-service-id-list>"
    )
    with pytest.raises(Refused) as caught:
        bodies.decode(octets)
    assert "/mc-service-id-list/mc-service-id[1]" in caught.value.detail


def test_the_place_of_a_late_error_in_a_large_body() -> None:
    good = "<mc-service-id><mcsURI>sip:u{}@primary.example</mcsURI></mc-service-id>"
    users = [good.format(n) for n in range(10_000)]
    users[7_000] = "<mc-service-id/>"
    content = "".join(users)
    octets = bodies.request_body(
        mc_service_id_list=f"<mc-service-id-list>{content}</mc-service-id-list>"
    )
    with pytest.raises(Refused) as caught:
        bodies.decode(octets)
    assert "/mc-service-id[7001]" in caught.value.detail
    cut = octets[: len(octets) // 2]
    with pytest.raises(Refused):
        bodies.decode(cut)


def test_a_flood_of_errors_in_the_document() -> None:
    flood = b"<mcptt-UE-id><IMEI-range/></mcptt-UE-id>" * 10_000
    octets = BODY.replace(b"</on-network>", b"</on-network>" + flood)
    faults = bodies.decode(octets).document_faults
    assert faults[0].rule == "xsd-element-content"


def test_texts_are_bounded_and_printable() -> None:
    assert bounded("a\r\nb\x00ü") == "a b "
    assert len(bounded("x" * 10_000)) == 240


def test_path_of_counts_only_where_it_must() -> None:
    root = xml.parse(b"<a xmlns='urn:x'><b/><c/><b><d/></b></a>")
    assert xml.path_of(root[2][0]) == "/a/b[2]/d"
    assert xml.path_of(root[1]) == "/a/c"
