"""The To tag of our responses, made from the request alone (RFC 3261 8.2.7, 19.3).

A stateless answer must carry the same tag each time its request comes again, and the answer to
a CANCEL that of the answer to its request (9.2); a keyed digest gives both without a memory.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from acm_sip.sip.message import Request

__all__ = ["response_tag"]

_TAG_OCTETS: Final = 8  # RFC 3261 19.3 asks for at least 32 random bits


def response_tag(request: Request, secret: bytes) -> str:
    """Make the To tag for every response to a request, and to the CANCEL of that request.

    :param secret: at most 64 octets that no peer knows, drawn once per process.
    :raises RemoteProtocolError: a field that the tag is made of cannot be read.
    """
    via = request.via
    fields = (
        request.call_id,
        request.from_.tag or "",
        str(request.cseq.sequence_number),
        via.branch or "",
        via.sent_by_host,
        str(via.sent_by_port),
    )
    octets = "\0".join(fields).encode("utf-8", "surrogateescape")
    return blake2b(octets, digest_size=_TAG_OCTETS, key=secret).hexdigest()
