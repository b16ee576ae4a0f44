"""Multipart bodies: RFC 2046 5.1, RFC 5621, the fields of RFC 2045 and RFC 2392.

A splitter of octets: the parts come back in order with their transfer encoding undone. base64 is
understood, the encodings that change nothing (7bit, 8bit, binary) too; all others are refused
with 415 unless the part is optional (RFC 5621 8: such a part is left out).

Deliberately absent: descending into a multipart inside a multipart (it comes back as a part),
preamble and epilogue (dropped, as RFC 2046 says), quoted-printable.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acm_sip.errors import LocalProtocolError, RemoteProtocolError
from acm_sip.sip.grammar import GENERIC_VALUE, LWS, TOKEN, malformed, read_parameters, unquote
from acm_sip.sip.header_fields import NAMES_ON_RECEIPT, HeaderFields
from acm_sip.sip.headers import MediaType, only_value, parse_media_type

__all__ = ["BodyPart", "encode_multipart", "split_multipart"]

_MAX_PARTS: Final = 32  # ours: MCPTT bodies have at most six
_MAX_FIELDS_OCTETS: Final = 8_192  # ours: the fields of one part
_BOUNDARY: Final = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")
_DISPOSITION: Final = re.compile(
    rf"({TOKEN}){LWS}((?:;{LWS}{TOKEN}{LWS}(?:={LWS}{GENERIC_VALUE}{LWS})?)*)"
)
_CONTENT_ID: Final = re.compile(r"<([!-;=?-~]++)>")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IDENTITY_ENCODINGS: Final = frozenset(("7bit", "8bit", "binary"))
_DEFAULT_TYPE: Final = MediaType("text", "plain", (("charset", "us-ascii"),))  # RFC 2046 5.1


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One part of a multipart body.

    :param content_type: the default of RFC 2046 where the part names none.
    :param body: octets with the transfer encoding undone.
    :param content_id: without its angle brackets (what a ``cid:`` URI names), or None.
    :param content_disposition: disposition type in lower case, or None.
    :param handling: ``required`` (the default of RFC 3261 20.11) or ``optional``.
    :param transfer_encoding: lower case; how the part is, or was, encoded.
    """

    content_type: MediaType
    body: bytes
    content_id: str | None = None
    content_disposition: str | None = None
    handling: str = "required"
    transfer_encoding: str = "binary"

    @property
    def is_optional(self) -> bool:
        """True when a receiver that does not understand the part may ignore it."""
        return self.handling == "optional"


def split_multipart(content_type: MediaType, body: bytes) -> tuple[BodyPart, ...]:
    """Cut a multipart body into its parts.

    :raises RemoteProtocolError: 400 when it cannot be cut, 415 for an encoding not understood.
    """
    boundary = content_type.parameter("boundary")
    if boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise malformed("Content-Type", "boundary")
    delimiter = re.compile(
        rb"\r\n--" + re.escape(boundary.encode("ascii")) + rb"(--)?[ \t]*+(?=\r\n|\Z)"
    )
    body = b"\r\n" + body  # the first delimiter may stand without a line before it
    parts: list[BodyPart] = []
    start = -1
    for count, match in enumerate(delimiter.finditer(body)):
        if count > _MAX_PARTS:
            raise RemoteProtocolError("Too many body parts", 413)
        if count > 0:
            part = _read_part(body[start : match.start()])
            parts += () if part is None else (part,)
        if match[1] is not None:
            if count == 0:
                break
            return tuple(parts)
        start = match.end()
    raise RemoteProtocolError("Malformed multipart body")


def encode_multipart(
    parts: Sequence[BodyPart], boundary: str, subtype: str = "mixed"
) -> tuple[MediaType, bytes]:
    """Write parts as one body; no part is encoded for transfer.

    :returns: the Content-Type with its boundary, and the octets.
    :raises LocalProtocolError: no parts, or the boundary is malformed or stands in a part.
    """
    if not parts or _BOUNDARY.fullmatch(boundary) is None:
        raise LocalProtocolError("No parts, or a malformed boundary")
    line = b"--" + boundary.encode("ascii")
    octets = bytearray()
    for part in parts:
        if line in part.body:
            raise LocalProtocolError("The boundary stands in a part")
        fields = HeaderFields([("Content-Type", str(part.content_type))])
        if part.content_id is not None:
            fields.append("Content-ID", f"<{part.content_id}>")
        if part.content_disposition is not None:
            fields.append(
                "Content-Disposition", f"{part.content_disposition};handling={part.handling}"
            )
        head = "".join([f"{name}: {value}\r\n" for name, value in fields])
        octets += line + b"\r\n" + head.encode("utf-8", "surrogateescape") + b"\r\n"
        octets += part.body + b"\r\n"
    octets += line + b"--\r\n"
    return MediaType("multipart", subtype, (("boundary", f'"{boundary}"'),)), bytes(octets)


def _read_part(octets: bytes) -> BodyPart | None:
    """Read what stands between two delimiters; None for an optional part that is not readable."""
    # The CRLF that ends the delimiter is still there: no fields means an empty line at once.
    end = octets.find(b"\r\n\r\n", 0, _MAX_FIELDS_OCTETS)
    if end < 0:  # RFC 2046 5.1.1: the empty line may be missing where there is no body
        end = len(octets)
        if end > _MAX_FIELDS_OCTETS:
            raise RemoteProtocolError("Malformed multipart body: fields of a part")
    fields = _read_fields(octets[2:end]) if end > 2 else HeaderFields()
    content_type = fields.get_all("Content-Type")
    encoding = _single(fields, "Content-Transfer-Encoding")
    disposition, handling = _read_disposition(_single(fields, "Content-Disposition"))
    identifier = _single(fields, "Content-ID")
    transfer_encoding = "binary" if encoding is None else encoding.lower()
    try:
        body = _decode(octets[end + 4 :], transfer_encoding)
    except RemoteProtocolError as error:
        if error.status_code == 415 and handling == "optional":
            return None
        raise
    return BodyPart(
        parse_media_type(only_value(content_type, "Content-Type"))
        if content_type
        else _DEFAULT_TYPE,
        body,
        None if identifier is None else _read_content_id(identifier),
        disposition,
        handling,
        transfer_encoding,
    )


def _read_fields(octets: bytes) -> HeaderFields:
    text = octets.decode("utf-8", "surrogateescape")
    text = text.replace("\r\n ", " ").replace("\r\n\t", " ")
    pairs: list[tuple[str, str]] = []
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or _CONTROL.search(value) is not None:
            raise RemoteProtocolError("Malformed multipart body: fields of a part")
        pairs.append((NAMES_ON_RECEIPT[name], value.strip(" \t")))
    return HeaderFields.from_canonical(pairs)


def _single(fields: HeaderFields, name: str) -> str | None:
    values = fields.get_all(name)
    return only_value(values, name) if values else None


def _read_disposition(value: str | None) -> tuple[str | None, str]:
    if value is None:
        return None, "required"
    match = _DISPOSITION.fullmatch(value)
    if match is None:
        raise malformed("Content-Disposition")
    parameters = read_parameters(match[2], "Content-Disposition") if match[2] else ()
    handling = "required"
    for name, text in parameters:
        if name.lower() == "handling" and text is not None:
            handling = unquote(text).lower()
    return match[1].lower(), handling


def _read_content_id(value: str) -> str:
    match = _CONTENT_ID.fullmatch(value)
    if match is None:
        raise malformed("Content-ID")
    return match[1]


def _decode(octets: bytes, transfer_encoding: str) -> bytes:
    if transfer_encoding in _IDENTITY_ENCODINGS:
        return octets
    if transfer_encoding != "base64":
        raise RemoteProtocolError("Content-Transfer-Encoding not understood", 415)
    try:
        return b64decode(octets.translate(None, b"\r\n\t "), validate=True)
    except Base64Error:
        raise RemoteProtocolError("Malformed base64 in a body part") from None
