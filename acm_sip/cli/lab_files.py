"""The configurations of a lab: two MC systems on this machine, one user in each.

alice@mc1.example is client A, of the primary MC system mc1 with server P; bob@mc2.example is
client B, of the partner MC system mc2 with server Q. carol and dave are users of mc1 who may
migrate to mc2.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

__all__ = [
    "ENTITIES",
    "MIGRATING_USERS",
    "TARGET",
    "default_document",
    "write_client_file",
    "write_partner_file",
    "write_primary_file",
]

MIGRATING_USERS: Final = ("sip:carol@mc1.example", "sip:dave@mc1.example")
TARGET: Final = "sip:bob.mcptt@mc2.example"
# The letter of each entity, and the identity by which its messages are told.
ENTITIES: Final = {
    "A": "alice@mc1.example",
    "P": "acm@mc1.example",
    "Q": "acm@mc2.example",
    "B": "bob@mc2.example",
}
_REQUEST: Final = "update-mc-service-ue-initial-configuration-request"

_SERVER: Final = """\
[system]
name = "{system}"
psi = "sip:acm@{system}.example"
mc_service_id = "sip:acm-server@{system}.example"
domains = ["{system}.example"]

[sip]
listen = ["tcp:127.0.0.1:{port}"]
client_authentication = "none"

[store]
path = {store}

[capture]
path = {capture}
only_sent = true

[[users]]
public_identity = "sip:{user}@{system}.example"
mc_service_ids = ["sip:{user}.mcptt@{system}.example"]
{right}

[[partners]]
name = "{partner}"
psi = "sip:acm@{partner}.example"
domains = ["{partner}.example"]
next_hop = "tcp:127.0.0.1:{partner_port}"
addresses = ["127.0.0.1"]
"""

_CLIENT: Final = """\
[client]
public_identity = "sip:{user}@{system}.example"
mc_service_ids = ["sip:{user}.mcptt@{system}.example"]
server = "sip:acm@{system}.example"
next_hop = "tcp:127.0.0.1:{port}"
recovery_base_s = 0.2

[store]
path = {store}

[capture]
path = {capture}
only_sent = true
"""


def default_document() -> bytes:
    """Return the UE initial configuration document of MC system mc1, with a label at its home."""
    return (files("acm_sip.cli") / "data" / "ue-initial-configuration.xml").read_bytes()


def write_primary_file(path: Path, port: int, partner_port: int, *, may_request: bool) -> None:
    """Write the configuration of server P.

    :param may_request: whether alice may trigger the procedure.
    """
    right = f'may_request = ["{_REQUEST}"]' if may_request else "may_request = []"
    path.write_text(_server(path, "mc1", "mc2", "alice", right, port, partner_port))


def write_partner_file(path: Path, port: int, partner_port: int, *, handling: str) -> None:
    """Write the configuration of server Q.

    :param handling: ``ask``, ``accept`` or ``reject``.
    """
    right = f'may_answer = ["{_REQUEST}"]'
    text = _server(path, "mc2", "mc1", "bob", right, port, partner_port)
    users = ", ".join(f'"{user}"' for user in MIGRATING_USERS)
    path.write_text(text + f'handling = "{handling}"\nmigrating_users = [{users}]\n')


def write_client_file(path: Path, user: str, system: str, port: int) -> None:
    """Write the configuration of a client."""
    path.write_text(
        _CLIENT.format(
            user=user,
            system=system,
            port=port,
            store=_quoted(path.with_suffix(".db")),
            capture=_quoted(path.with_suffix(".pcapng")),
        )
    )


def _server(
    path: Path, system: str, partner: str, user: str, right: str, port: int, partner_port: int
) -> str:
    return _SERVER.format(
        system=system,
        partner=partner,
        user=user,
        right=right,
        port=port,
        partner_port=partner_port,
        store=_quoted(path.with_suffix(".db")),
        capture=_quoted(path.with_suffix(".pcapng")),
    )


def _quoted(path: Path) -> str:
    # A JSON string is a basic string of TOML too.
    return json.dumps(str(path.resolve()), ensure_ascii=False)
