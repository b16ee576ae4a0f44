"""The final responses of a MESSAGE, as effects.

A 2xx says "received and safe", never "agreed": 202 where the receiver relays later, 200
elsewhere; neither carries a Contact or a body (RFC 3428 7).
"""

from __future__ import annotations

from typing import Final

from acm_sip.codec import names
from acm_sip.errors import Refusal, Refused
from acm_sip.procedures.capabilities import accept_header
from acm_sip.procedures.effects import AnswerRequest

__all__ = ["ACCEPTED", "OK", "refuse", "refuse_plainly"]

OK: Final = AnswerRequest(200, "OK")
ACCEPTED: Final = AnswerRequest(202, "Accepted")

_RETRY_AFTER_S: Final = 5  # ours: as long as a subscription or a database takes to come back
_MAX_WARN_TEXT_CHARACTERS: Final = 500  # ours: bounds what a fault in a body can make us say


def refuse_plainly(refusal: Refusal, *headers: tuple[str, str]) -> AnswerRequest:
    """Return the answer of a row that says by these header fields what is wrong."""
    return AnswerRequest(refusal.status_code, refusal.reason_phrase, headers)


def refuse(refused: Refused, warn_agent: str, media_type: str = names.MEDIA_TYPE) -> AnswerRequest:
    """Return the answer of a row of the table of refusals.

    :param warn_agent: host of this server, for Warning (RFC 3261 20.43).
    :param media_type: of ACM, for Accept.
    """
    headers: list[tuple[str, str]] = []
    # A 415 says what is wrong by its Accept (RFC 3261 21.4.13) and nothing else.
    if refused.warn_text and refused.status_code != 415:
        # RFC 3261 20.43: the text is a quoted-string; what a body holds must not end it early.
        text = refused.warn_text[:_MAX_WARN_TEXT_CHARACTERS]
        printable = "".join(char if " " <= char != "\x7f" else " " for char in text)
        escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
        headers.append(("Warning", f'399 {warn_agent} "{escaped}"'))
    if refused.status_code == 415:
        headers.append(accept_header(media_type))
    if refused.status_code == 503:
        headers.append(("Retry-After", str(_RETRY_AFTER_S)))
    return AnswerRequest(refused.status_code, refused.refusal.reason_phrase, tuple(headers))
