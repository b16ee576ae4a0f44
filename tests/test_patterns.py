"""Patterns mean the same on every Python that is supported.

CPython before 3.11.5 goes on from the wrong place when the body of a possessive group fails after
it had begun to match: ``(?:;a(?:b|c)++)*+`` takes the ``;`` of ``;x``. A set of characters has no
such body.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser
from typing import Any

import pytest

import acm_sip

SETS = {_constants.IN, _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY}


def patterns() -> list[Any]:
    found = {}
    for module in pkgutil.walk_packages(acm_sip.__path__, "acm_sip."):
        if "__main__" in module.name or "migrations" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            pattern = getattr(value, "__self__", value)
            if isinstance(pattern, re.Pattern):
                found[pattern] = pytest.param(pattern, id=f"{module.name}.{name}")
    return list(found.values())


def possessive_groups(tree: Any) -> Iterator[Any]:
    for part in tree if isinstance(tree, (list, tuple, _parser.SubPattern)) else ():
        if isinstance(part, tuple) and part and part[0] is _constants.POSSESSIVE_REPEAT:
            body = part[1][2]
            if len(body) != 1 or body[0][0] not in SETS:
                yield body
        yield from possessive_groups(part)


@pytest.mark.parametrize("pattern", patterns())
def test_only_sets_of_characters_are_possessive(pattern):
    assert not list(possessive_groups(_parser.parse(pattern.pattern, pattern.flags)))


def test_a_possessive_group_is_found():
    assert list(possessive_groups(_parser.parse("x(?:y|(?:;[a-z]++)*+)")))
    assert not list(possessive_groups(_parser.parse("x(?:y|(?:;[a-z]++)*)")))
