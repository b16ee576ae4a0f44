"""The shell of an ACM entity: what a peer's answer may say, and what must not stop the rest."""

from __future__ import annotations

import pytest

from acm_sip.runtime.endpoint import SendResult
from acm_sip.runtime.node import retry_after_s
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Response


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), ("18000;duration=3600", 18_000.0), ("soon", None), ("-1", None), (None, None)],
)
def test_retry_after_that_cannot_be_read_is_none(value, seconds):
    fields = [] if value is None else [("Retry-After", value)]
    response = Response(503, "Service Unavailable", HeaderFields.from_canonical(fields))
    assert retry_after_s(SendResult(503, "", was_sent=True, response=response)) == seconds


def test_no_response_has_no_retry_after():
    assert retry_after_s(SendResult(408, "", was_sent=True)) is None
