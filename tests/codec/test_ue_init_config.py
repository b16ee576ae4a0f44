"""The UE initial configuration document: rules, typed reading, comparison."""

from __future__ import annotations

import pytest
from lxml import etree

from acm_sip.codec.explain import explain
from acm_sip.codec.faults import InvalidXml
from acm_sip.codec.ue_init_config import (
    RULES,
    describe_changes,
    find_faults,
    is_equal,
    read_ue_initial_configuration,
    without_labels,
)
from tests.codec import bodies
from tests.codec import ue_init_config_particles as particles
from tests.codec.ue_init_config_particles import BASE, Edit, edited

HOME = "on-network/HPLMN"
IMEI = "mcptt-UE-id/IMEI-range"
BROKEN: list[tuple[str, Edit]] = [
    ("domain-usable", particles.attribute(".", "domain", "")),
    ("domain-usable", particles.attribute(".", "domain", "not a host")),
    ("default-user-profile-present", particles.remove("Default-user-profile")),
    ("on-network-present", particles.remove("on-network")),
    ("on-network-at-most-one", particles.repeat("on-network")),
    ("off-network-at-most-one", particles.repeat("off-network")),
    ("plmn-usable", particles.attribute(HOME, "PLMN", "1234")),
    ("plmn-usable", particles.attribute(f"{HOME}/VPLMN", "PLMN", "26201\n")),
    ("vplmn-distinct", particles.repeat(f"{HOME}/VPLMN")),
    ("connection-reference-usable", particles.text(f"{HOME}/service/MC-ID-to-con-ref", " ")),
    ("server-uri-usable", particles.text("on-network/App-Server-Info/kms", "")),
    ("server-uri-usable", particles.text("on-network/GMS-URI", "server.example")),
    ("serial-number-range-ordered", particles.text(f"{IMEI}/SNR-range/Low-SNR", "200")),
    ("imei-digits", particles.text(f"{IMEI}/TAC", "-1")),
    ("imei-digits", particles.text(f"{IMEI}/SNR", "1.5")),
]
DECISIVE_IN_REPORT: list[tuple[str, Edit]] = [
    ("on-network-complete", particles.remove("on-network/App-Server-Info")),
    ("on-network-complete", particles.remove("on-network/App-Server-Info/gms")),
    ("on-network-complete", particles.remove("on-network/CMS-XCAP-root-URI")),
    ("plmn-usable", particles.attribute(HOME, "PLMN", None)),
]


def test_the_base_document_has_no_fault() -> None:
    assert find_faults(BASE) == find_faults(BASE, "report") == explain(BASE) == ()


@pytest.mark.parametrize(("rule", "edit"), BROKEN)
def test_a_rule_that_the_schema_does_not_have(rule: str, edit: Edit) -> None:
    octets = edited(edit)
    for mode in ("strict", "report"):
        faults = find_faults(octets, mode)  # type: ignore[arg-type]
        assert [fault.rule for fault in faults] == [rule]
        assert faults[0].path.startswith("/mcptt-UE-initial-configuration")
        assert faults[0].line is not None
    assert [fault.rule for fault in explain(octets)] == [rule]


@pytest.mark.parametrize(("rule", "edit"), DECISIVE_IN_REPORT)
def test_what_decides_where_the_schema_is_only_reported(rule: str, edit: Edit) -> None:
    assert [fault.rule for fault in find_faults(edited(edit), "report")] == [rule]
    assert find_faults(edited(edit))[0].rule.startswith(("xsd-", "cvc-"))


def test_every_rule_has_a_case() -> None:
    cases = {rule for rule, _ in BROKEN + DECISIVE_IN_REPORT}
    assert cases | {"root"} == set(RULES)
    assert "root" in {fault.rule for fault in find_faults(b"<x/>")}


@pytest.mark.parametrize(
    "edit",
    [
        particles.text("on-network/App-Server-Info/http-proxy", ""),
        particles.attribute(".", "domain", "192.0.2.1"),
        particles.attribute(HOME, "PLMN", "310410"),
        particles.remove("off-network"),
        particles.remove("mcptt-UE-id"),
    ],
)
def test_what_is_usable(edit: Edit) -> None:
    assert find_faults(edited(edit)) == ()


def test_faults_are_bounded() -> None:
    def edit(root: etree._Element) -> None:
        for _ in range(500):
            particles.append("mcptt-UE-id", "<IMEI-range><TAC>-1</TAC></IMEI-range>")(root)

    assert len(find_faults(edited(edit))) == 20


def test_typed_reading() -> None:
    details = (
        "<anyExt><MCPTT-Service-Details><IPv6-Required>1</IPv6-Required>"
        "<Server-URI>sip:pf@mc.example</Server-URI></MCPTT-Service-Details>"
        "<mcServiceUELabel>Engine 7</mcServiceUELabel><lms>https://lms.example/</lms></anyExt>"
    )
    document = read_ue_initial_configuration(edited(particles.append("on-network", details)))
    assert document.domain == "mc.example"
    assert [(name.text, name.language) for name in document.names] == [("Fire brigade", "en")]
    assert document.ue_ids == (
        "urn:uuid:00000000-0000-4000-8000-000000000001",
        "IMEI 35182900 000001, 000100-000199",
    )
    assert document.default_user_profiles[0].user_id == "default"
    assert document.labels == ("Engine 7",)
    assert len(document.off_network) == 36
    network = document.on_network
    assert network is not None
    assert network.home_network is not None
    assert network.home_network.plmn == "00101"
    assert [visited.plmn for visited in network.home_network.visited] == ["26201"]
    assert network.home_network.service.mcptt == "internet.example"
    assert network.integrity_protection_enabled is True
    assert network.timers[0] == ("T100", "5")
    assert network.app_server_info is not None
    assert network.app_server_info.gms == "https://server.example/"
    assert network.app_server_info.mutual_authentication is False
    assert network.app_server_info.lms == "https://lms.example/"
    assert network.service_details[0].service == "MCPTT"
    assert network.service_details[0].ipv6_required is True


@pytest.mark.parametrize("particle", particles.PARTICLES, ids=lambda particle: particle.name)
def test_reading_never_fails_on_a_faulty_document(particle: particles.Particle) -> None:
    for octets in particle.documents():
        document = read_ue_initial_configuration(octets)
        assert document.octets is octets
        assert describe_changes(document, document) == ()


def test_changes_in_words() -> None:
    def edit(root: etree._Element) -> None:
        particles.text("on-network/App-Server-Info/kms", "https://kms2.example/")(root)
        particles.text("on-network/integrity-protection-enabled", "0")(root)
        particles.remove(f"{HOME}/VPLMN")(root)
        particles.text(f"{HOME}/service/MCPTT-to-con-ref", "mcptt.example")(root)

    old = read_ue_initial_configuration(BASE)
    changes = describe_changes(old, read_ue_initial_configuration(edited(edit)))
    assert [str(change) for change in changes] == [
        "MC services connection at home: internet.example -> mcptt.example",
        "key management server: https://server.example/ -> https://kms2.example/",
        "integrity protection: on -> off",
        "network that may be visited, 26201: yes (removed)",
        "MC services connection in 26201: internet.example (removed)",
        "MC common core connection in 26201: internet.example (removed)",
        "MC identity connection in 26201: internet.example (removed)",
    ]
    assert changes[1].path == "/on-network/App-Server-Info/kms"


def test_changes_for_a_user_without_a_configuration() -> None:
    changes = describe_changes(None, read_ue_initial_configuration(BASE))
    assert str(changes[0]) == "domain of the MC system: mc.example (new)"
    assert all(change.old is None for change in changes)


def test_a_change_that_is_not_read_is_still_named() -> None:
    old = read_ue_initial_configuration(BASE)
    new = read_ue_initial_configuration(edited(particles.append("on-network", "<f:x/>")))
    changes = describe_changes(old, new)
    assert [change.what for change in changes] == ["content that is not read here"]


def test_equality_is_canonical_and_may_forget_labels() -> None:
    labelled = edited(
        particles.append("on-network", "<anyExt><mcServiceUELabel>x</mcServiceUELabel></anyExt>")
    )
    blank = labelled.replace(b">x<", b"><")
    assert is_equal(BASE, b"<?xml version='1.0'?>\n" + BASE.replace(b' domain="', b'  domain="'))
    assert not is_equal(labelled, blank)
    assert is_equal(labelled, blank, ignore_labels=True)
    assert b">x<" not in without_labels(labelled)
    with pytest.raises(InvalidXml):
        is_equal(BASE, b"<broken")


def test_a_fault_inside_a_body_is_shown_where_it_is() -> None:
    octets = bodies.request_body().replace(b"<T100>5", b"<T100>999").replace(b"26201", b"x")
    faults = explain(octets)
    assert [fault.rule for fault in faults][-1] == "plmn-usable"
    assert {fault.path.split("/")[1] for fault in faults} == {"acm-info"}
    assert faults[0].path.endswith("/Timers/T100")
    lines = octets.splitlines()
    assert all(fault.line is not None for fault in faults)
    assert b"T100" in lines[(faults[0].line or 0) - 1]


def test_explain_lists_what_xmlschema_finds() -> None:
    octets = bodies.request_body("requesting-mc-service-id", "mc-service-id-list")
    assert explain(octets)
    assert [fault.rule for fault in explain(b"<html/>")] == ["root"]
    assert [fault.rule for fault in explain(b"<html>")] == ["well-formed"]


def test_explain_names_what_only_the_procedure_refuses() -> None:
    element = '<target-mc-service-id type="Encrypted"><f:x/></target-mc-service-id>'
    (fault,) = explain(bodies.request_body(target_mc_service_id=element))
    assert fault.rule == "envelope"
    assert fault.path.endswith("/target-mc-service-id")
    assert fault.line is not None


def test_explain_gives_lxmls_word_where_xmlschema_is_lenient() -> None:
    octets = edited(particles.text("on-network/GMS-URI", "sip:a:b:c:[]#x#y"))
    assert "cvc-datatype-valid-1-2-1" in {fault.rule for fault in explain(octets)}
    assert "validators-disagree" not in {fault.rule for fault in explain(octets)}
