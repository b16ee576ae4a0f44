"""What a user agent server inspects before it looks at a body: RFC 3261 8.2.1 and 8.2.2."""

from __future__ import annotations

from collections.abc import Collection

from acm_sip import errors
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.procedures.answers import refuse_plainly
from acm_sip.procedures.capabilities import KNOWN_METHODS, OPTION_TAGS, allow_header
from acm_sip.procedures.effects import AnswerRequest
from acm_sip.sip.message import Request
from acm_sip.uri import SipUri

__all__ = ["inspect_extensions", "inspect_method", "read_request_uri"]


def inspect_method(request: Request, allowed: Collection[str]) -> AnswerRequest | None:
    """Return the answer to a method that is not served: 405 with Allow, or 501 (8.2.1)."""
    if request.method in allowed:
        return None
    if request.method in KNOWN_METHODS:
        return refuse_plainly(errors.METHOD_NOT_ALLOWED, allow_header(allowed))
    return refuse_plainly(errors.METHOD_UNKNOWN, allow_header(allowed))


def read_request_uri(request: Request) -> SipUri:
    """Read the Request-URI (8.2.2.1).

    :raises Refused: 416 for a scheme other than sip and sips, 400 for one that cannot be read.
    """
    try:
        return SipUri.parse(request.request_uri)
    except RemoteProtocolError as error:
        if error.status_code == 416:
            raise Refused(errors.URI_SCHEME_UNSUPPORTED) from None
        raise Refused(errors.MALFORMED, f"Request-URI: {error.text}") from None


def inspect_extensions(request: Request) -> AnswerRequest | None:
    """Return 420 with Unsupported where Require names what is not understood (8.2.2.3)."""
    unknown = [tag for tag in request.require if tag.lower() not in OPTION_TAGS]
    if not unknown:
        return None
    return refuse_plainly(errors.EXTENSION_UNSUPPORTED, ("Unsupported", ", ".join(unknown)))
