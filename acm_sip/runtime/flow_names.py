"""The name of a flow in the store: what a binding says about the way back to its client.

udp:LOCAL|REMOTE      outlives a restart; host:port each
tcp:NODE:NUMBER       a connection of one process; gone with it
"""

from __future__ import annotations

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.routing import Flow
from acm_sip.uri import parse_hostport

__all__ = ["format_hostport", "is_connection_of_other_node", "name_flow", "udp_flow"]


def name_flow(flow: Flow, node: str) -> str:
    """Return the name of a flow of this process."""
    if flow.connection is None:
        return f"udp:{format_hostport(*flow.local)}|{format_hostport(*flow.remote)}"
    return f"{flow.transport.lower()}:{node}:{flow.connection}"


def udp_flow(name: str) -> Flow | None:
    """Return the address pair that a name stands for; None for a connection."""
    kind, _, rest = name.partition(":")
    if kind != "udp":
        return None
    local, _, remote = rest.partition("|")
    return Flow("UDP", _address(local), _address(remote))


def is_connection_of_other_node(name: str, node: str) -> bool:
    """Return whether the flow is a connection that this process does not have."""
    kind, _, rest = name.partition(":")
    return kind != "udp" and rest.partition(":")[0] != node


def format_hostport(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(text: str) -> tuple[str, int]:
    host, port = parse_hostport(text)
    if port is None:
        raise RemoteProtocolError("a flow without a port")
    return host.strip("[]"), port
