"""What is wrong with an XML document: one record for the wire, the command line and the tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from acm_sip.errors import RemoteProtocolError

__all__ = ["Fault", "InvalidXml", "bounded"]

_MAX_TEXT_CHARACTERS: Final = 240  # ours: a Warning text that no SIP peer finds too long
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule of a document.

    :param line: line in the document as it was read, from 1; None when it is not known.
    :param path: element names from the root, a position where a sibling has the same name.
    :param rule: stable name of the rule: ``well-formed``, ``xsd-...``, ``cvc-...`` or a named
        rule of this package.
    :param message: what is wrong, in printable ASCII and of bounded length.
    """

    line: int | None
    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidXml(RemoteProtocolError):  # noqa: N818 - says what it is, as Refused does
    """A document is not well formed, breaks a limit, or breaks its schema.

    :param fault: the first rule that is broken.
    :param status_code: 400, or 413 for a document above the size limit.
    """

    def __init__(self, fault: Fault, status_code: int = 400) -> None:
        super().__init__(str(fault), status_code)
        self.fault = fault


def bounded(text: str) -> str:
    """Return text that is safe in a log line or a Warning: printable ASCII, of bounded length."""
    plain = _UNPRINTABLE.sub(" ", text[: 4 * _MAX_TEXT_CHARACTERS])
    if len(plain) > _MAX_TEXT_CHARACTERS:
        return plain[: _MAX_TEXT_CHARACTERS - 3] + "..."
    return plain
