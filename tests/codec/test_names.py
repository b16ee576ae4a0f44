"""The names on the wire."""

from __future__ import annotations

import pytest

from acm_sip.codec.names import McService


def test_the_names_of_a_service() -> None:
    service = McService.MCPTT
    assert service.icsi == "urn:urn-7:3gpp-service.ims.icsi.mcptt"
    assert service.feature_tag == "g.3gpp.mcptt"
    assert service.accept_contacts == (
        "*;+g.3gpp.mcptt;require;explicit",
        '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mcptt";require;explicit',
    )


@pytest.mark.parametrize("service", list(McService))
def test_a_service_is_known_by_its_icsi(service: McService) -> None:
    assert McService.from_icsi(service.icsi) is service
    assert McService.from_icsi(f" {service.icsi_ref.upper()} ") is service


@pytest.mark.parametrize(
    ("icsi", "service"),
    [
        ("urn:urn-7:3gpp-service.ims.icsi.mcdata.sds", McService.MCDATA),
        ("urn:urn-7:3gpp-service.ims.icsi.mcdatax", None),
        ("urn:urn-7:3gpp-service.ims.icsi.mmtel", None),
        ("", None),
    ],
)
def test_sub_services_and_foreign_services(icsi: str, service: McService | None) -> None:
    assert McService.from_icsi(icsi) is service
