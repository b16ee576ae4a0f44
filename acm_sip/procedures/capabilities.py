"""What an ACM entity understands, as the header fields that say so (RFC 3261 11.2, 20)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from acm_sip.codec import names

__all__ = [
    "KNOWN_METHODS",
    "OPTION_TAGS",
    "SUPPORTED",
    "accept_header",
    "allow_header",
]


def allow_header(methods: Iterable[str]) -> tuple[str, str]:
    """Return the Allow header field of an entity that serves these methods, and OPTIONS."""
    return ("Allow", ", ".join(sorted({*methods, "OPTIONS"})))


def accept_header(media_type: str) -> tuple[str, str]:
    """Return the Accept header field of an entity for which ACM has this media type."""
    return ("Accept", f"{media_type}, multipart/mixed, {names.UE_INIT_CONFIG_MEDIA_TYPE}")


OPTION_TAGS: Final = frozenset({"path", "outbound"})  # RFC 3327, RFC 5626
SUPPORTED: Final = ("Supported", "path, outbound")
# Methods that RFC 3261 and its extensions define: 405 for them, 501 for any other (8.2.1).
KNOWN_METHODS: Final = frozenset(
    {
        "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK",
        "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE",
    }
)  # fmt: skip
