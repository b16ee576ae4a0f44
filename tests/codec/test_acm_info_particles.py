"""mcs-acm-info.xsd: each particle accepts one body and refuses one, by two validators.

The bodies are also kept as files in tests/vectors/acm-info, for tools that send them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from acm_sip.codec.explain import is_valid_by_xmlschema
from acm_sip.codec.schemas import SchemaName, get_schema
from tests.codec.acm_info_particles import PARTICLES, XMLSCHEMA_IS_LENIENT, Particle
from tests.codec.bodies import NS

VECTORS = Path(__file__).parents[1] / "vectors" / "acm-info"
_NAMED = {"accept": True, "refuse": False}


def verdicts(octets: bytes) -> tuple[bool, bool]:
    root = etree.fromstring(octets)
    name = SchemaName.ACM_INFO
    return get_schema(name).validate(root), is_valid_by_xmlschema(root, name)


def write_vectors() -> None:
    """Write every body as a file."""
    for particle in PARTICLES:
        for verdict in _NAMED:
            path = VECTORS / f"{particle.name}.{verdict}.xml"
            path.write_bytes(getattr(particle, verdict) + b"\n")


@pytest.mark.parametrize("particle", PARTICLES, ids=lambda particle: particle.name)
def test_particle_accepts(particle: Particle) -> None:
    assert verdicts(particle.accept) == (True, True)


@pytest.mark.parametrize("particle", PARTICLES, ids=lambda particle: particle.name)
def test_particle_refuses(particle: Particle) -> None:
    assert verdicts(particle.refuse) == (False, particle.name in XMLSCHEMA_IS_LENIENT)


def test_vector_files_are_those_of_the_table() -> None:
    expected = {
        f"{particle.name}.{verdict}.xml": getattr(particle, verdict) + b"\n"
        for particle in PARTICLES
        for verdict in _NAMED
    }
    assert {path.name: path.read_bytes() for path in VECTORS.iterdir()} == expected


def test_acm_data_holds_flows() -> None:
    flow = etree.fromstring(PARTICLES[0].accept)[0]
    data = etree.Element(f"{{{NS}}}acm-data")
    assert verdicts(etree.tostring(data)) == (True, True)
    data.append(flow)
    assert verdicts(etree.tostring(data)) == (True, True)
    etree.SubElement(data, f"{{{NS}}}unknown")
    assert verdicts(etree.tostring(data)) == (False, False)
