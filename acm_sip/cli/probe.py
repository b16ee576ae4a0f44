"""``acm-sip probe``: OPTIONS to a peer, which says whether it does ACM (RFC 3261 11)."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Final

import click

from acm_sip.cli.parameters import Seconds
from acm_sip.cli.printing import printable
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.codec import names
from acm_sip.errors import RemoteProtocolError
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.endpoint import ListenAddress, Peer, SendResult, SipEndpoint
from acm_sip.runtime.flow_names import format_hostport
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow
from acm_sip.sip.transaction.key import ServerTransactionKey
from acm_sip.uri import SipUri, parse_hostport

__all__ = ["probe"]

_DEFAULT_PORT: Final = 5060  # RFC 3261 19.1.2
_SHOWN: Final = ("Allow", "Accept", "Supported", "Server")


@dataclass(frozen=True, slots=True)
class _Target:
    peer: Peer
    request_uri: str


def _peer_type(value: str) -> _Target:
    """Read ``udp:host:port``, ``tcp:host:port`` or a SIP URI."""
    try:
        return _read_target(value)
    except RemoteProtocolError as error:
        raise click.BadParameter(f"{value!r}: {error.text}") from None


def _read_target(text: str) -> _Target:
    kind, _, address = text.partition(":")
    if kind.lower() in {"udp", "tcp"}:
        host, port = parse_hostport(address)
        parameter = ";transport=tcp" if kind.lower() == "tcp" else ""
        return _target(kind, host, port, f"sip:{address}{parameter}")
    uri = SipUri.parse(text)
    if uri.scheme != "sip":
        raise RemoteProtocolError("TLS is not there yet; use a sip: URI")
    transport = (uri.parameter("transport") or "udp").lower()
    if transport not in {"udp", "tcp"}:
        raise RemoteProtocolError(f"transport {transport} is neither udp nor tcp")
    return _target(transport, uri.host, uri.port, text)


def _target(transport: str, host: str, port: int | None, request_uri: str) -> _Target:
    kind: Final = "TCP" if transport.lower() == "tcp" else "UDP"
    return _Target(Peer(kind, host.strip("[]"), port or _DEFAULT_PORT), request_uri)


@click.command()
@click.argument("peer", metavar="PEER", type=_peer_type)
@click.option(
    "--within",
    "within_s",
    type=Seconds(0.1, 32),
    default=5.0,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the answer.",
)
@click.pass_context
def probe(ctx: click.Context, peer: _Target, within_s: float) -> None:
    """Send OPTIONS to a peer; report what it accepts and supports, and whether it does ACM.

    PEER is udp:HOST:PORT, tcp:HOST:PORT or a SIP URI; of a host name the address is asked for,
    not the services (RFC 3263 NAPTR and SRV).

    \b
    Exit status: 0 it does ACM, 1 it does not or does not answer.

    \b
    Example:
        acm-sip probe udp:127.0.0.1:5060
        acm-sip probe "sip:acm@mc2.example;transport=tcp"
    """  # noqa: D301 - \b is for click
    try:
        result, rtt_s = run(_probe(peer, within_s))
    except StoppedBySignal:
        ctx.exit(130)
    ctx.exit(_report(peer.peer, result, rtt_s))


def _report(peer: Peer, result: SendResult, rtt_s: float) -> int:
    place = f"{peer.transport.lower()}:{format_hostport(peer.host, peer.port)}"
    response = result.response
    if response is None:
        click.echo(f"{place}: no answer: {printable(result.text)}")
        return 1
    phrase = printable(f"{response.status_code} {response.reason_phrase}")
    click.echo(f"{place}: {phrase} in {rtt_s * 1000:.1f} ms")
    for name in _SHOWN:
        values = response.headers.get_all(name)
        if values or name != "Server":
            click.echo(f"{name}: {printable(', '.join(values)) if values else '(not there)'}")
    accepted = [
        value.partition(";")[0].strip(" \t").lower()
        for line in response.headers.get_all("Accept")
        for value in line.split(",")
    ]
    does_acm = 200 <= response.status_code < 300 and names.MEDIA_TYPE in accepted
    click.echo("ACM: yes" if does_acm else f"ACM: no ({names.MEDIA_TYPE} is not accepted)")
    return 0 if does_acm else 1


async def _probe(target: _Target, within_s: float) -> tuple[SendResult, float]:
    peer = await _resolve(target.peer)
    if isinstance(peer, str):
        return SendResult(503, peer, was_sent=False), 0.0
    host = "::" if ":" in peer.host else "0.0.0.0"  # noqa: S104 - an ephemeral port to be answered at
    listen = [ListenAddress("UDP", host, 0)] if peer.transport == "UDP" else []
    endpoint = SipEndpoint(listen, Clock())
    await endpoint.start(_Nobody())
    done: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
    started_at = time.monotonic()
    try:
        endpoint.send(
            _options(target.request_uri),
            peer,
            lambda result: None if done.done() else done.set_result(result),
        )
        async with asyncio.timeout(within_s):
            return await done, time.monotonic() - started_at
    except TimeoutError:
        return SendResult(408, f"nothing within {within_s:g} s", was_sent=True), within_s
    finally:
        await endpoint.stop(0.0)


async def _resolve(peer: Peer) -> Peer | str:
    """Return the peer by address, or why there is none."""
    kind = socket.SOCK_DGRAM if peer.transport == "UDP" else socket.SOCK_STREAM
    try:
        found = await asyncio.get_running_loop().getaddrinfo(peer.host, peer.port, type=kind)
    except OSError as error:
        return f"{peer.host}: {error.strerror or error}"
    return Peer(peer.transport, str(found[0][4][0]), peer.port)


def _options(request_uri: str) -> Request:
    return Request(
        "OPTIONS",
        request_uri,
        HeaderFields.from_canonical(
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:probe@anonymous.invalid>;tag={secrets.token_hex(8)}"),
                ("To", f"<{request_uri}>"),
                ("Call-ID", secrets.token_hex(16)),
                ("CSeq", "1 OPTIONS"),
                ("Accept", names.MEDIA_TYPE),
            ]
        ),
    )


class _Nobody:
    """The transaction user of a probe: it serves nothing and leaves requests unanswered."""

    def request_received(
        self, key: ServerTransactionKey | None, request: Request, flow: Flow
    ) -> None:
        """Leave it to its sender's timers."""

    def flow_closed(self, flow: Flow) -> None:
        """Nothing rests on a flow here: the transaction reports the loss."""
