r"""The lexical rules of RFC 3261 25.1 that several header fields share.

Everything works on text that holds one octet or one UTF-8 character per code point, and every
pattern names its characters: no ``\d``, ``\s`` or ``str.strip()``, which know other alphabets.
Quantifiers are possessive, so that matching is linear whatever a peer sends.
"""

from __future__ import annotations

import re
from typing import Final

from acm_sip.errors import RemoteProtocolError

__all__ = [
    "GENERIC_VALUE",
    "LWS",
    "QUOTED_STRING",
    "TOKEN",
    "TOKEN_PATTERN",
    "Parameters",
    "format_parameters",
    "malformed",
    "parse_decimal",
    "quote",
    "read_parameters",
    "split_list",
    "unquote",
]

Parameters = tuple[tuple[str, str | None], ...]

MAX_UINT32: Final = 2**32 - 1

LWS: Final = r"[ \t]*+"
TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"  # noqa: S105 - a grammar
# quoted-string: qdtext, or a quoted-pair, which may quote any octet but CR and LF.
# Possessive here and in every pattern of this package are sets of characters alone: CPython before
# 3.11.5 (Debian 12 has 3.11.2) repeats a group possessively from the wrong place after a failed
# attempt. Alternatives that begin with different characters keep the others linear.
QUOTED_STRING: Final = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]++|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*"'
# gen-value = token / host / quoted-string; an IPv6 reference is the only host that is no token.
GENERIC_VALUE: Final = rf"(?:{TOKEN}|{QUOTED_STRING}|\[[0-9A-Fa-f:.]++\])"
TOKEN_PATTERN: Final = re.compile(TOKEN)

_ITEM: Final = re.compile(rf'(?:[^,"<]++|{QUOTED_STRING}|<[^<>]*+>)+')
_PARAMETER: Final = re.compile(
    rf";{LWS}({TOKEN}){LWS}(?:={LWS}((?:{QUOTED_STRING})|[^;, \t\"]++){LWS})?"
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def malformed(field: str, why: str = "") -> RemoteProtocolError:
    """Make the error whose text fits a reason phrase (RFC 3261 21.4.1)."""
    return RemoteProtocolError(f"Malformed {field} header field{why and f': {why}'}")


def parse_decimal(digits: str, maximum: int, field: str) -> int:
    """Read 1*DIGIT up to a maximum; leading zeros are allowed (RFC 4475 3.1.1.1).

    :raises RemoteProtocolError: no digits, other characters (``int`` alone takes signs,
        underscores and other alphabets), or too large.
    """
    if not (digits.isascii() and digits.isdigit()):
        raise malformed(field)
    significant = digits if len(digits) <= 10 else digits.lstrip("0")
    if len(significant) > 10 or (value := int(significant or "0")) > maximum:
        raise RemoteProtocolError(f"{field} header field out of range")
    return value


def split_list(text: str, field: str) -> list[str]:
    """Cut a comma separated list, commas inside quotes and angle brackets apart.

    Empty elements are malformed (RFC 4475 3.1.2.1).
    """
    if "," not in text:
        return [text]
    items: list[str] = []
    at = 0
    while True:
        match = _ITEM.match(text, at)
        if match is None:
            raise malformed(field)
        items.append(match[0].strip(" \t"))
        at = match.end()
        if at == len(text):
            return items
        if text[at] != ",":
            raise malformed(field)
        at += 1


def read_parameters(text: str, field: str) -> Parameters:
    """Read ``*(SEMI name [EQUAL value])`` that a pattern has already found well formed."""
    if not text:
        return ()
    parameters: Parameters
    if '"' in text or " " in text or "\t" in text:
        parameters = tuple([(match[1], match[2]) for match in _PARAMETER.finditer(text)])
    else:
        found: list[tuple[str, str | None]] = []
        for item in text[1:].split(";"):
            name, equals, value = item.partition("=")
            found.append((name, value if equals else None))
        parameters = tuple(found)
    if len(parameters) > 1 and len({name.lower() for name, _ in parameters}) < len(parameters):
        raise malformed(field, "repeated parameter")  # RFC 3261 7.3.1
    return parameters


def format_parameters(parameters: Parameters) -> str:
    """Write parameters, each with its semicolon."""
    return "".join(
        [f";{name}" if value is None else f";{name}={value}" for name, value in parameters]
    )


def unquote(text: str) -> str:
    """Undo quotes and quoted pairs; text without quotes comes back as it is."""
    if not text.startswith('"'):
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    r"""Write a quoted string; ``"`` and ``\`` become quoted pairs."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
