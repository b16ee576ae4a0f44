"""What the constructors of the flows refuse, and what is kept per thread."""

from __future__ import annotations

import dataclasses
import threading
from datetime import datetime
from typing import Any

import pytest

from acm_sip.codec import xml
from acm_sip.codec.explain import explain
from acm_sip.codec.flows import FLOWS, Outcome, Result
from acm_sip.codec.schemas import SchemaName, get_schema
from acm_sip.codec.ue_init_config import find_faults
from acm_sip.errors import LocalProtocolError
from tests.codec import bodies


@pytest.mark.parametrize(
    "change",
    [
        {"mc_service_id_list": ()},
        {"mc_service_id_list": (bodies.CAROL, bodies.CAROL)},
        {"expires_at": datetime(2027, 1, 1)},
        {"target_mc_service_id": None},
    ],
)
def test_a_request_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        dataclasses.replace(bodies.REQUEST, **change)


@pytest.mark.parametrize(
    "fields",
    [
        {"cause": " two  spaces "},
        {"language": "de"},
        {"text": "nein", "language": "not a tag"},
        {"mc_service_ids": (bodies.CAROL, bodies.CAROL)},
    ],
)
def test_a_result_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        Result(outcome=Outcome.FAILURE, **fields)


def test_every_flow_is_in_the_catalogue_by_its_element_name() -> None:
    for flow in (bodies.REQUEST, bodies.RESPONSE, bodies.INDICATION):
        assert FLOWS[flow.element_name] is type(flow)


def test_each_thread_has_its_own_schema() -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(get_schema(SchemaName.ACM_INFO)))
    thread.start()
    thread.join()
    assert seen[0] is not get_schema(SchemaName.ACM_INFO)
    assert get_schema(SchemaName.ACM_INFO) is get_schema(SchemaName.ACM_INFO)


def test_only_documents_without_a_fault_are_remembered_and_not_for_ever() -> None:
    remembered = xml.PER_THREAD.approved_documents
    faulty = bodies.DOCUMENT.replace(b"26201", b"x")
    assert find_faults(faulty)
    assert faulty not in remembered
    assert find_faults(bodies.DOCUMENT) == ()
    assert bodies.DOCUMENT in remembered
    for number in range(100):
        assert find_faults(bodies.DOCUMENT.replace(b"26201", b"%05d" % number)) == ()
    assert len(remembered) == 64
    assert bodies.DOCUMENT not in remembered
    large = bodies.DOCUMENT.replace(b"Fire", b"Fire" * 5000)
    assert find_faults(large) == ()
    assert large not in remembered


def test_explain_in_mode_report() -> None:
    later = bodies.DOCUMENT.replace(b"<service>", b"<service><of-release-25/>")
    assert explain(later, document_mode="report") == ()
    assert explain(later)
    body = bodies.request_body().replace(b"26201", b"x")
    assert [fault.rule for fault in explain(body, document_mode="report")] == ["plmn-usable"]
