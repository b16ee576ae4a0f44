"""WIRE: media type and ICSI can be set by configuration; what is not set stays as it is."""

from __future__ import annotations

import dataclasses

import pytest

from acm_sip.codec import names
from acm_sip.procedures.wire_names import WireNames
from tests.harness.interworking import World, make_world
from tests.procedures import examples
from tests.procedures.examples import P_SYSTEM, Q_SYSTEM, request

ICSI = "urn:urn-7:3gpp-service.ims.icsi.mcptt.acm"
OTHER = WireNames("application/vnd.example.acm+xml", (("mcptt", ICSI),))


def other_world() -> World:
    return make_world(
        p_system=dataclasses.replace(P_SYSTEM, wire_names=OTHER),
        q_system=dataclasses.replace(Q_SYSTEM, wire_names=OTHER),
    )


def test_every_message_carries_the_names_that_were_set() -> None:
    world = other_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    assert len(world.network.attempts) == 7
    for attempt in world.network.attempts:
        headers = attempt.request.headers
        assert headers.get("Content-Type") == OTHER.media_type
        kind = "Preferred" if attempt.sender in {world.alice, world.bob} else "Asserted"
        assert headers.get(f"P-{kind}-Service") == ICSI
        by_tag, by_icsi = headers.get_all("Accept-Contact")
        assert by_tag == names.McService.MCPTT.accept_contacts[0]
        assert f'"{ICSI.replace(":", "%3A")}"' in by_icsi
    assert not [log for log in world.q.logs if log.event == "no MC service named"]


def test_the_usual_media_type_is_a_foreign_one_then() -> None:
    """The parts of 3GPP's own tree beside an ACM part are passed over: there is no ACM part."""
    world = other_world()
    written = examples.message(request(), examples.P_PSI.text, "sip:alice@mc1.example")
    assert world.p.receive(written, world.alice.source).status_code == 403
    written.headers.set("Content-Type", "text/plain")
    answer = world.p.receive(written, world.alice.source)
    assert answer.status_code == 415
    assert dict(answer.headers)["Accept"].startswith(OTHER.media_type + ", ")


@pytest.mark.parametrize("service", list(names.McService))
def test_what_is_not_set_is_that_of_3gpp(service: names.McService) -> None:
    usual = WireNames()
    assert usual.icsi(service.value) == service.icsi
    assert usual.accept_contacts(service.value) == service.accept_contacts
    assert usual.service_of(service.icsi.replace(":", "%3A")) == service.value
    assert usual.service_of("urn:urn-7:3gpp-service.ims.icsi.mmtel") is None


def test_an_icsi_that_was_set_is_read_in_any_spelling() -> None:
    assert OTHER.service_of(ICSI.replace(":", "%3a").upper()) == "mcptt"
    assert OTHER.icsi("mcdata") == names.McService.MCDATA.icsi
