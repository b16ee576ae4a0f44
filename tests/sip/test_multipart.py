"""RFC 2046 5.1, RFC 5621."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError, RemoteProtocolError
from acm_sip.sip.headers import MediaType
from acm_sip.sip.multipart import BodyPart, encode_multipart, split_multipart

MIXED = MediaType("multipart", "mixed", (("boundary", "bb"),))
XML = MediaType("application", "vnd.3gpp.mcs-acm-info+xml")


def test_written_parts_come_back() -> None:
    parts = (
        BodyPart(XML, b"<a>\r\n\r\n</a>\x00\xff", "id@mc1.example", "render", "optional"),
        BodyPart(MediaType("text", "plain"), b""),
        BodyPart(XML, b"\r\n"),
    )
    media_type, body = encode_multipart(parts, "a b:c")
    assert str(media_type) == 'multipart/mixed;boundary="a b:c"'
    assert split_multipart(media_type, body) == parts


def test_preamble_epilogue_padding_and_defaults() -> None:
    body = (
        b"preamble\r\n--bb \t\r\n\r\nplain\r\n--bbx\r\n"
        b"--bb\r\nc: a/B; x=y\r\nContent-Id: <i@h>\r\n"
        b"content-disposition: Render;\r\n handling=OPTIONAL\r\n\r\n\r\n--bb-- \r\nepilogue\r\n--bb"
    )
    first, second = split_multipart(MIXED, body)
    assert first.content_type.essence == "text/plain"
    assert first.body == b"plain\r\n--bbx"
    assert (first.handling, first.is_optional) == ("required", False)
    assert second.content_type.essence == "a/b"
    assert (second.content_id, second.content_disposition) == ("i@h", "render")
    assert second.is_optional
    assert second.body == b""


def test_part_without_fields_and_body() -> None:
    (part,) = split_multipart(MIXED, b"--bb\r\n\r\n--bb--")
    assert part.body == b""


def encoded(encoding: bytes, body: bytes, more: bytes = b"") -> bytes:
    return (
        b"--bb\r\nContent-Transfer-Encoding: " + encoding + b"\r\n" + more + b"\r\n" + body
        + b"\r\n--bb--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("encoding", [b"7bit", b"8BIT", b"binary"])
def test_encodings_that_change_nothing(encoding: bytes) -> None:
    (part,) = split_multipart(MIXED, encoded(encoding, b"a=3D"))
    assert part.body == b"a=3D"


def test_base64() -> None:
    (part,) = split_multipart(MIXED, encoded(b"Base64", b"aGFs\r\nbG8="))
    assert part.body == b"hallo"
    assert part.transfer_encoding == "base64"
    for bad in (b"aGFsbG8", b"a*==", b"=aGF", b"\xff\xff\xff\xff"):
        with pytest.raises(RemoteProtocolError) as caught:
            split_multipart(MIXED, encoded(b"base64", bad))
        assert caught.value.status_code == 400


def test_encoding_not_understood() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        split_multipart(MIXED, encoded(b"quoted-printable", b"a=3D"))
    assert caught.value.status_code == 415
    optional = b"Content-Disposition: render;handling=optional\r\n"
    assert split_multipart(MIXED, encoded(b"quoted-printable", b"a=3D", optional)) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--bb--", b"--bb\r\n\r\nx", b"--bb\r\n\r\nx\r\n--bb", b"--cc\r\n\r\nx\r\n--cc--",
        b"--bb\r\nno colon\r\n\r\nx\r\n--bb--", b"--bb\r\nb\xc3\xa4d: x\r\n\r\nx\r\n--bb--",
        b"--bb\r\nX: a\nb\r\n\r\nx\r\n--bb--", b"--bb\r\nContent-Type: x\r\n\r\n\r\n--bb--",
        b"--bb\r\nContent-Type: a/b\r\nc: a/b\r\n\r\n\r\n--bb--",
        b"--bb\r\nContent-ID: i@h\r\n\r\n\r\n--bb--", b"--bb\n\nx\n--bb--\n",
        b"--bb\r\nX: " + b"y" * 9000 + b"\r\n\r\n\r\n--bb--",
    ],
)  # fmt: skip
def test_malformed(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        split_multipart(MIXED, body)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("boundary", [None, '""', '"a "', "*", '"' + "a" * 71 + '"', '"\u00e4"'])
def test_malformed_boundary(boundary: str | None) -> None:
    parameters = () if boundary is None else (("boundary", boundary),)
    with pytest.raises(RemoteProtocolError, match="boundary"):
        split_multipart(MediaType("multipart", "mixed", parameters), b"--a\r\n\r\n\r\n--a--")


def test_too_many_parts() -> None:
    with pytest.raises(RemoteProtocolError, match="Too many"):
        split_multipart(MIXED, b"--bb\r\n\r\nx\r\n" * 40 + b"--bb--")


def test_boundary_in_a_part() -> None:
    with pytest.raises(LocalProtocolError):
        encode_multipart([BodyPart(XML, b"x--bb")], "bb")
    with pytest.raises(LocalProtocolError):
        encode_multipart([], "bb")
