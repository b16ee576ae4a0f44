"""The error tree, and the one table from a refusal to its SIP answer.

Everything a peer can do wrong ends as a :class:`RemoteProtocolError`; everything our own
caller can do wrong ends as a :class:`LocalProtocolError`. A :class:`Refusal` is a row of the
table "what is wrong -> status code, Warning" and is spelled here only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "AcmSipError",
    "CaptureError",
    "ConfigurationError",
    "LocalProtocolError",
    "Refusal",
    "Refused",
    "RemoteProtocolError",
    "StoreError",
]


class AcmSipError(Exception):
    """The root of every error that this package raises on purpose."""


class LocalProtocolError(AcmSipError):
    """Our own caller asked for something that the protocol does not allow."""


class RemoteProtocolError(AcmSipError):
    """A peer sent something that breaks a protocol rule.

    :param text: what is wrong, naming the field or path, safe to show in a reason phrase.
    :param status_code: the SIP status code that answers a request with this fault.
    """

    def __init__(self, text: str, status_code: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status_code = status_code


class ConfigurationError(AcmSipError):
    """A configuration is not usable; the text names the dotted key."""


class StoreError(AcmSipError):
    """The store cannot be opened, read or written."""


class CaptureError(AcmSipError):
    """A capture cannot be read: truncated, or no capture at all."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the table of refusals.

    :param status_code: SIP status code of the final response.
    :param reason_phrase: its reason phrase.
    :param warn_text: the text of Warning 399 (TS 24.379 4.4 puts its three-digit code inside
        the quotes); None where the answer carries no Warning unless a detail is given.
    """

    status_code: int
    reason_phrase: str
    warn_text: str | None = None


class Refused(RemoteProtocolError):  # noqa: N818 - an answer to a peer, no fault of ours
    """A request that is answered by a row of the table of refusals.

    :param refusal: the row.
    :param detail: what exactly was wrong; becomes the Warning text of a row without one.
    """

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(detail or refusal.warn_text or refusal.reason_phrase, refusal.status_code)
        self.refusal = refusal
        self.detail = detail

    @property
    def warn_text(self) -> str | None:
        """The text of the Warning header field, or None for no Warning."""
        return self.refusal.warn_text or self.detail or None


# Texts with a number: TS 24.379 table 4.4.2-2 and TS 24.282 table 4.9.2-1; ACM has no range of
# its own, so what they do not name carries plain text without a number.
MALFORMED: Final = Refusal(400, "Bad Request")
BODY_INVALID: Final = Refusal(400, "Bad Request")
BODY_MISSING: Final = Refusal(403, "Forbidden", "199 expected MIME bodies not in the request")
USER_NOT_AUTHORISED: Final = Refusal(
    403, "Forbidden", "100 function not allowed due to user authorisation"
)
LOCAL_POLICY: Final = Refusal(403, "Forbidden", "100 function not allowed due to local policy")
NOT_INTERCONNECTED: Final = Refusal(
    403, "Forbidden", "179 service not authorized with the interconnected system"
)
FORBIDDEN: Final = Refusal(403, "Forbidden")
USER_UNKNOWN: Final = Refusal(404, "Not Found", "141 user unknown to the participating function")
PARTNER_UNKNOWN: Final = Refusal(
    404, "Not Found", "142 unable to determine the controlling function"
)
REQUEST_URI_UNKNOWN: Final = Refusal(404, "Not Found")
METHOD_NOT_ALLOWED: Final = Refusal(405, "Method Not Allowed")
BODY_TOO_LARGE: Final = Refusal(413, "Request Entity Too Large")
MEDIA_TYPE_UNSUPPORTED: Final = Refusal(415, "Unsupported Media Type")
URI_SCHEME_UNSUPPORTED: Final = Refusal(416, "Unsupported URI Scheme")
EXTENSION_UNSUPPORTED: Final = Refusal(420, "Bad Extension")
INTERVAL_TOO_BRIEF: Final = Refusal(423, "Interval Too Brief")
REGISTER_OUT_OF_ORDER: Final = Refusal(500, "CSeq out of order")  # RFC 3261 10.3 step 7
METHOD_UNKNOWN: Final = Refusal(501, "Not Implemented")
UNAVAILABLE: Final = Refusal(503, "Service Unavailable")
