"""The configuration: every section, and an error with the dotted key for everything wrong."""

from __future__ import annotations

import re
import tomllib

import pytest

from acm_sip.errors import ConfigurationError
from acm_sip.procedures.wire_names import WireNames
from acm_sip.runtime.configuration import load_client_configuration, load_server_configuration
from acm_sip.runtime.endpoint import ListenAddress, Peer
from tests.harness.processes import ROOT

SERVER = """
[system]
name = "mc1"
psi = "sip:acm@mc1.example"
mc_service_id = "sip:acm-server@mc1.example"
domains = ["mc1.example", "mc1.test"]
alias_domains = ["alias.mc1.example"]
alias_choice = "round-robin"

[sip]
listen = ["udp:127.0.0.1:0", "tcp:[::1]:5060"]
client_authentication = "none"
trusted_proxies = ["192.0.2.7"]
transaction_capacity = 1000

[store]
path = "a.db"
synchronous = "full"

[registration]
shortest_s = 10
usual_s = 60
longest_s = 600

[transactions]
request_expiry_s = 60
longest_expiry_s = 600
response_deadline_s = 60
retention_s = 90000
document_mode = "report"
both_targets = "refuse"

[capture]
path = "a.pcapng"
only_sent = true

[log]
level = "debug"
format = "json"

[[users]]
public_identity = "sip:alice@mc1.example"
mc_service_ids = ["sip:alice.mcptt@mc1.example"]
may_request = ["update-mc-service-ue-initial-configuration-request"]
may_answer = ["update-mc-service-ue-initial-configuration-request"]

[[users]]
public_identity = "sip:eve@mc1.example"
mc_service_ids = ["sip:eve.mcptt@mc1.test"]

[[partners]]
name = "mc2"
psi = "sip:acm@mc2.example"
domains = ["mc2.example"]
alias_domains = ["alias.mc2.example"]
next_hop = "tcp:127.0.0.1:5062"
accepts_large_datagrams = true
addresses = ["127.0.0.1", "192.0.2.1"]
window = 4
migrating_users = ["sip:carol@mc2.example"]
handling = "reject"
reject_cause = "made-up"

[[partners]]
name = "mc3"
psi = "sip:acm@mc3.example"
domains = ["mc3.example"]
next_hop = "udp:192.0.2.3:5060"

[functional_aliases]
"sip:dispatcher@mc1.example" = ["sip:alice.mcptt@mc1.example"]
"""
CLIENT = """
[client]
public_identity = "sip:alice@mc1.example"
mc_service_ids = ["sip:alice.mcptt@mc1.example"]
service = "mcdata"
server = "sip:acm@mc1.example"
next_hop = "tcp:127.0.0.1:5060"
registration_s = 60
keep_alive_s = 10.5
recovery_base_s = 0.5

[store]
path = "a.db"

[capture]
path = "a.pcapng"

[log]
level = "error"
"""


def load(tmp_path, text, kind="server"):
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    return (load_server_configuration if kind == "server" else load_client_configuration)(path)


def faults(tmp_path, text, kind="server"):
    """Return the faults without the name of the file."""
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, text, kind)
    lines = str(raised.value).splitlines()
    prefix = f"{tmp_path / 'x.toml'}: "
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


def with_line(text, section, old, new, which=0):
    """Replace the line of a key below a section header; an empty ``old`` adds the line."""
    lines = text.splitlines()
    start = [i for i, line in enumerate(lines) if line.strip("[]") == section][which]
    if not old:
        lines.insert(start + 1, new)
    else:
        at = next(i for i in range(start, len(lines)) if lines[i].startswith(f"{old} ="))
        lines[at] = new
    return "\n".join(lines)


def test_every_key_of_a_server_is_read(tmp_path):
    configuration = load(tmp_path, SERVER)
    assert configuration.sip.listen == (
        ListenAddress("UDP", "127.0.0.1", 0),
        ListenAddress("TCP", "::1", 5060),
    )
    assert configuration.sip.transaction_capacity == 1000
    assert configuration.capture is not None
    assert configuration.capture.only_sent
    assert configuration.log.format == "json"
    assert configuration.partners[0].peer == Peer("TCP", "127.0.0.1", 5062, True)
    limits = configuration.registration_limits()
    assert (limits.shortest_s, limits.usual_s, limits.longest_s) == (10, 60, 600)
    system = configuration.mc_system()
    assert system.domains == {"mc1.example", "mc1.test"}
    assert system.alias_domains == {"alias.mc1.example"}
    assert system.trusted_proxies == {"192.0.2.7"}
    assert (system.request_expiry_s, system.longest_expiry_s) == (60, 600)
    assert (system.document_mode, system.refuses_both_targets) == ("report", True)
    mc2, mc3 = system.partners
    assert mc2.addresses == {"127.0.0.1", "192.0.2.1"}
    assert (mc2.handling.value, mc2.reject_cause) == ("reject", "made-up")
    assert mc3.addresses == {"192.0.2.3"}  # where none is named, the next hop
    assert mc3.alias_domains == {"mc3.example"}  # likewise its domains


def test_every_key_of_a_client_is_read(tmp_path):
    section = load(tmp_path, CLIENT, "client").client
    assert section.next_hop == Peer("TCP", "127.0.0.1", 5060)
    assert (section.service, section.registration_s) == ("mcdata", 60)
    assert (section.keep_alive_s, section.recovery_base_s) == (10.5, 0.5)


@pytest.mark.parametrize("name", ["primary", "partner", "alice", "bob"])
def test_the_shipped_configurations_are_right(name):
    path = ROOT / "tools" / "lab" / f"{name}.toml"
    is_server = "system" in tomllib.loads(path.read_text(encoding="utf-8"))
    assert is_server is (name in {"primary", "partner"})
    (load_server_configuration if is_server else load_client_configuration)(path)


SERVER_SECTIONS = ["system", "sip", "store", "registration", "transactions", "capture", "log"]


@pytest.mark.parametrize("section", SERVER_SECTIONS)
def test_an_unknown_key_is_named(tmp_path, section):
    text = with_line(SERVER, section, "", "frobnicate = 1")
    assert faults(tmp_path, text) == [f"{section}.frobnicate: unknown key"]


@pytest.mark.parametrize("section", ["users", "partners"])
def test_an_unknown_key_of_an_entry_is_named_with_its_number(tmp_path, section):
    text = with_line(SERVER, section, "", "frobnicate = 1", which=1)
    assert faults(tmp_path, text) == [f"{section}[1].frobnicate: unknown key"]


@pytest.mark.parametrize("section", ["client", "store", "capture", "log"])
def test_an_unknown_key_of_a_client_is_named(tmp_path, section):
    text = with_line(CLIENT, section, "", "frobnicate = 1")
    assert faults(tmp_path, text, "client") == [f"{section}.frobnicate: unknown key"]


def test_an_unknown_section_is_named(tmp_path):
    assert faults(tmp_path, SERVER + "\n[frobnicate]\n") == ["frobnicate: unknown key"]


REQUIRED = [
    ("system", "name"),
    ("system", "psi"),
    ("system", "mc_service_id"),
    ("system", "domains"),
    ("sip", "listen"),
    ("sip", "client_authentication"),
    ("store", "path"),
]


@pytest.mark.parametrize(("section", "key"), REQUIRED, ids=".".join)
def test_a_missing_key_is_named(tmp_path, section, key):
    text = with_line(SERVER, section, key, "")
    assert faults(tmp_path, text) == [f"{section}.{key}: is missing"]


WRONG = [
    ("system", "psi", '"acm@mc1.example"', "system.psi: "),
    ("system", "psi", '"tel:+491234"', "system.psi: "),
    ("system", "psi", "7", "system.psi: a SIP URI in quotes is expected"),
    ("system", "psi", '"sip:a:secret@mc1.example"', "system.psi: "),
    (
        "system",
        "mc_service_id",
        '"sip:server@mc2.example"',
        "system.mc_service_id: sip:server@mc2.example is not of system.domains",
    ),
    ("system", "domains", "[]", "system.domains: "),
    ("system", "domains", '["MC1.example"]', "system.domains[0]: "),
    ("system", "alias_choice", '"any"', "system.alias_choice: "),
    ("sip", "listen", "[]", "sip.listen: "),
    ("sip", "listen", '["127.0.0.1:5060"]', "sip.listen[0]: "),
    ("sip", "listen", '["sctp:127.0.0.1:5060"]', "sip.listen[0]: "),
    ("sip", "listen", '["udp:127.0.0.1"]', "sip.listen[0]: "),
    ("sip", "listen", '["udp:127.0.0.1:99999"]', "sip.listen[0]: "),
    ("sip", "listen", "[5060]", "sip.listen[0]: "),
    ("sip", "client_authentication", '"some"', "sip.client_authentication: "),
    ("sip", "trusted_proxies", '["edge.test"]', "sip.trusted_proxies[0]: an IP address"),
    ("sip", "transaction_capacity", "0", "sip.transaction_capacity: "),
    ("store", "synchronous", '"normal"', "store.synchronous: "),
    ("registration", "shortest_s", "-1", "registration.shortest_s: "),
    ("registration", "usual_s", "9", "registration: shortest_s, usual_s and longest_s"),
    ("registration", "longest_s", "59", "registration: shortest_s, usual_s and longest_s"),
    ("transactions", "request_expiry_s", "0", "transactions.request_expiry_s: "),
    ("transactions", "document_mode", '"lax"', "transactions.document_mode: "),
    ("transactions", "both_targets", '"both"', "transactions.both_targets: "),
    ("transactions", "retention_s", "86459", "transactions: retention_s must be at least"),
    ("log", "level", '"loud"', "log.level: "),
    ("log", "format", '"xml"', "log.format: "),
    ("users", "public_identity", '"alice"', "users[0].public_identity: "),
    ("users", "mc_service_ids", "[]", "users[0].mc_service_ids: "),
    ("users", "mc_service_ids", '["x"]', "users[0].mc_service_ids[0]: "),
    ("users", "may_request", '["process-indication"]', "users[0].may_request[0]: "),
    ("users", "may_answer", '["x"]', "users[0].may_answer[0]: no ACM request"),
    ("partners", "name", '"a b"', "partners[0].name: "),
    ("partners", "psi", '"x"', "partners[0].psi: "),
    ("partners", "domains", "[]", "partners[0].domains: "),
    ("partners", "next_hop", '"127.0.0.1"', "partners[0].next_hop: "),
    ("partners", "next_hop", '"tcp:127.0.0.1:0"', "partners[0].next_hop: "),
    ("partners", "next_hop", '"udp:127.0.0.1:5062"', "partners[0]: window above 1 needs"),
    ("partners", "addresses", '["mc2.example"]', "partners[0].addresses[0]: an IP address"),
    (
        "partners",
        "alias_domains",
        '["alias.mc1.example"]',
        "partners[0].alias_domains: alias.mc1.example",
    ),
    ("partners", "window", "0", "partners[0].window: "),
    ("partners", "handling", '"maybe"', "partners[0].handling: "),
    ("partners", "reject_cause", '"two  spaces"', "partners[0].reject_cause: "),
    ("partners", "migrating_users", '["x"]', "partners[0].migrating_users[0]: "),
    ("partners", "domains", '["mc1.test"]', "partners[0].domains: mc1.test belongs to system"),
    ("partners", "domains", '["mc3.example"]', "partners[1].domains: mc3.example belongs to"),
    ("partners", "name", '"mc3"', "partners[1].name: the same as in partners[0]"),
    (
        "users",
        "public_identity",
        '"sip:eve@MC1.example"',
        "users[1].public_identity: the same as in users[0]",
    ),
    (
        "users",
        "mc_service_ids",
        '["sip:alice@mc2.example"]',
        "users[0].mc_service_ids: sip:alice@mc2.example is not of system.domains",
    ),
]


@pytest.mark.parametrize(
    ("section", "key", "value", "fault"),
    WRONG,
    ids=[f"{section}.{key}={value}" for section, key, value, _ in WRONG],
)
def test_a_wrong_value_is_named(tmp_path, section, key, value, fault):
    found = faults(tmp_path, with_line(SERVER, section, key, f"{key} = {value}"))
    assert len(found) == 1, found
    assert found[0].startswith(fault), found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public_identity", '"x"'),
        ("mc_service_ids", "[]"),
        ("service", '"poc"'),
        ("server", '"tel:1"'),
        ("next_hop", '"x"'),
        ("registration_s", "0"),
        ("next_hop", '"udp:127.0.0.1:5060"'),
        ("keep_alive_s", "-1"),
        ("recovery_base_s", "0"),
    ],
)
def test_a_wrong_value_of_a_client_is_named(tmp_path, key, value):
    found = faults(tmp_path, with_line(CLIENT, "client", key, f"{key} = {value}"), "client")
    assert len(found) == 1
    assert found[0].startswith("client")
    assert key in found[0], found


def test_a_functional_alias_that_is_none_is_named(tmp_path):
    text = SERVER.replace('"sip:dispatcher@mc1.example"', '"dispatcher"')
    (fault,) = faults(tmp_path, text)
    assert fault.startswith('functional_aliases."dispatcher": ')


def test_every_fault_is_told_at_once(tmp_path):
    text = with_line(SERVER, "log", "level", 'level = "loud"')
    text = with_line(text, "store", "", "frobnicate = 1")
    assert {fault.partition(":")[0] for fault in faults(tmp_path, text)} == {
        "log.level",
        "store.frobnicate",
    }


@pytest.mark.parametrize(
    ("octets", "fault"), [(b"[system", "not TOML"), (b"\xff\xfe", "not TOML"), (b"", "is missing")]
)
def test_what_is_no_configuration_is_one_line_each(tmp_path, octets, fault):
    path = tmp_path / "x.toml"
    path.write_bytes(octets)
    with pytest.raises(ConfigurationError, match=fault):
        load_server_configuration(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=re.escape(f"{tmp_path}/none: No such file")):
        load_server_configuration(tmp_path / "none")


def test_the_provisional_names_can_be_replaced(tmp_path):
    names = '[names]\nmedia_type = "application/acm+xml"\nicsi = { mcptt = "urn:urn-7:acm" }\n'
    expected = WireNames("application/acm+xml", (("mcptt", "urn:urn-7:acm"),))
    assert load(tmp_path, f"{SERVER}\n{names}").mc_system().wire_names == expected
    assert load(tmp_path, f"{CLIENT}\n{names}", "client").names.wire_names() == expected
    (fault,) = faults(tmp_path, f'{SERVER}\n[names]\nmedia_type = "acm"\n')
    assert fault.startswith("names.media_type: ")
