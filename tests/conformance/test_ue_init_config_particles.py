"""TS 24.484 7.2.2.3: each particle accepts one document and refuses one, by two validators.

tests/vectors/ue-init-config/verdicts.txt holds what 3GPP's own schema says of every document;
it is written by this module's ``write_verdicts`` from the file that the environment variable
ACM_SIP_3GPP_UE_INIT_CONFIG_XSD names. That file is not part of the project.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from acm_sip.codec.explain import is_valid_by_xmlschema
from acm_sip.codec.schemas import SchemaName, get_schema, schema_path
from tests.codec.ue_init_config_particles import BASE, PARTICLES, XMLSCHEMA_IS_LENIENT, Particle

VERDICTS = Path(__file__).parents[1] / "vectors" / "ue-init-config" / "verdicts.txt"
VARIABLE = "ACM_SIP_3GPP_UE_INIT_CONFIG_XSD"


def load_3gpp_schema(path: Path) -> etree.XMLSchema:
    """Load 3GPP's file, its one import led to our own xml.xsd."""
    document = etree.parse(path)
    for statement in document.getroot().iter("{http://www.w3.org/2001/XMLSchema}import"):
        local = schema_path(SchemaName.UE_INIT_CONFIG).with_name("xml.xsd")
        statement.set("schemaLocation", local.as_uri())
    return etree.XMLSchema(document)


def verdicts_on(document: bytes) -> tuple[bool, bool]:
    """Return what lxml and what xmlschema says."""
    root = etree.fromstring(document)
    name = SchemaName.UE_INIT_CONFIG
    return get_schema(name).validate(root), is_valid_by_xmlschema(root, name)


def read_verdicts() -> dict[str, bool]:
    lines = VERDICTS.read_text(encoding="utf-8").splitlines()
    return {name: word == "valid" for word, name in (line.split(" ", 1) for line in lines)}


def write_verdicts(path: Path) -> None:
    """Write 3GPP's verdict on every document."""
    theirs = load_3gpp_schema(path)
    lines = [
        f"{'valid' if theirs.validate(etree.fromstring(document)) else 'invalid'} "
        f"{particle.name}-{label}\n"
        for particle in PARTICLES
        for document, label in zip(particle.documents(), ("accept", "refuse"), strict=True)
    ]
    VERDICTS.write_text("".join(lines), encoding="utf-8")


@pytest.mark.parametrize("particle", PARTICLES, ids=lambda particle: particle.name)
def test_particle_accepts(particle: Particle) -> None:
    assert verdicts_on(particle.documents()[0]) == (True, True)


@pytest.mark.parametrize("particle", PARTICLES, ids=lambda particle: particle.name)
def test_particle_refuses(particle: Particle) -> None:
    expected = (False, particle.name in XMLSCHEMA_IS_LENIENT)
    assert verdicts_on(particle.documents()[1]) == expected


def test_the_base_document_is_valid() -> None:
    assert get_schema(SchemaName.UE_INIT_CONFIG).validate(etree.fromstring(BASE))


def test_particle_names_are_unique() -> None:
    names = [particle.name for particle in PARTICLES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("particle", PARTICLES, ids=lambda particle: particle.name)
def test_verdict_is_that_of_3gpp(particle: Particle) -> None:
    accepted, refused = particle.documents()
    path = os.environ.get(VARIABLE)
    if path is None:
        verdicts = read_verdicts()
        theirs = verdicts[f"{particle.name}-accept"], verdicts[f"{particle.name}-refuse"]
    else:
        schema = load_3gpp_schema(Path(path))
        theirs = (
            schema.validate(etree.fromstring(accepted)),
            schema.validate(etree.fromstring(refused)),
        )
    ours = get_schema(SchemaName.UE_INIT_CONFIG)
    assert theirs == (
        ours.validate(etree.fromstring(accepted)),
        ours.validate(etree.fromstring(refused)),
    )
