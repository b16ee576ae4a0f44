"""The SIP endpoint with real sockets, on both event loops and both IP versions."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from acm_sip.errors import ConfigurationError
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.endpoint import ListenAddress, Peer, SipEndpoint
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.sip.timers import TimerValues
from tests.harness.processes import free_port

pytestmark = pytest.mark.asyncio

HOSTS = ["127.0.0.1", "::1"]
WITHIN_S = 15.0
QUICK = TimerValues(t1_s=0.01, t2_s=0.04, t4_s=0.05)


class User:
    """Answers what it gets with ``status``, at once or when told; None: never by itself."""

    def __init__(self, status=200):
        self.status = status
        self.requests = asyncio.Queue()
        self.closed = asyncio.Queue()
        self.endpoint = None

    def request_received(self, key, request, flow):
        self.requests.put_nowait((key, request, flow))
        if self.status is not None:
            self.endpoint.respond(key, request, flow, self.status)

    def flow_closed(self, flow):
        self.closed.put_nowait(flow)


@contextlib.asynccontextmanager
async def endpoint(host="127.0.0.1", *, status=200, transports=("UDP", "TCP"), port=0, **options):
    """Give an endpoint that listens on one port for all transports, and its user."""
    user = User(status)
    if len(transports) == 2 and not port:
        port = free_port(host)
    listen = [ListenAddress(transport, host, port) for transport in transports]
    served = SipEndpoint(listen, Clock(), **options)
    user.endpoint = served
    await served.start(user)
    try:
        yield served, user
    finally:
        await served.stop(0.0)


def peer_of(served, transport="UDP", **options):
    address = next(a for a in served.bound if a.transport == transport)
    return Peer(transport, address.host, address.port, **options)


def message(octets=b"", call_id="1"):
    fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:a@mc1.example>;tag=1"),
        ("To", "<sip:b@mc2.example>"),
        ("Call-ID", call_id),
        ("CSeq", "1 MESSAGE"),
    ]
    if octets:
        fields.append(("Content-Type", "text/plain"))
    return Request("MESSAGE", "sip:b@mc2.example", HeaderFields.from_canonical(fields), octets)


async def send(served, request, to):
    done = asyncio.get_running_loop().create_future()
    served.send(request, to, done.set_result)
    async with asyncio.timeout(WITHIN_S):
        return await done


async def get(queue):
    async with asyncio.timeout(WITHIN_S):
        return await queue.get()


@contextlib.asynccontextmanager
async def connect(served):
    """Give a plain TCP connection to an endpoint."""
    address = next(a for a in served.bound if a.transport == "TCP")
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_head(reader):
    async with asyncio.timeout(WITHIN_S):
        return (await reader.readuntil(b"\r\n\r\n")).decode()


def raw(method="MESSAGE", branch="1", sent_by="127.0.0.1:9", extra="", body=b""):
    return (
        f"{method} sip:b@mc2.example SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP {sent_by};branch=z9hG4bK{branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:a@mc1.example>;tag=1\r\nTo: <sip:b@mc2.example>\r\n"
        f"Call-ID: {branch}\r\nCSeq: 1 {method}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait(data)


@contextlib.asynccontextmanager
async def datagrams(served):
    """Give a plain UDP socket that is connected to an endpoint."""
    peer = peer_of(served)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, remote_addr=(peer.host, peer.port)
    )
    try:
        yield transport, protocol.received
    finally:
        transport.close()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_request_and_its_answer(host, transport):
    async with endpoint(host, status=202) as (server, user), endpoint(host) as (client, _):
        result = await send(client, message(b"hello"), peer_of(server, transport))
        assert (result.status_code, result.was_sent) == (202, True)
        _, request, flow = await get(user.requests)
        assert flow.transport == request.via.transport == transport
        assert request.body == b"hello"
        assert user.requests.empty()


@pytest.mark.parametrize("host", HOSTS)
async def test_a_large_request_leaves_over_tcp_with_its_via_changed(host):
    """RFC 3261 18.1.1."""
    async with endpoint(host) as (server, user), endpoint(host) as (client, _):
        result = await send(client, message(b"x" * 2000), peer_of(server, "UDP"))
        assert result.status_code == 200
        _, request, flow = await get(user.requests)
        assert flow.transport == request.via.transport == "TCP"
        tcp = next(a.port for a in client.bound if a.transport == "TCP")
        assert request.via.sent_by_port == tcp  # where the answer may come when this one breaks


async def test_a_large_request_goes_over_udp_to_who_is_configured_for_it():
    async with endpoint() as (server, user), endpoint() as (client, _):
        peer = peer_of(server, "UDP", accepts_large_datagrams=True)
        assert (await send(client, message(b"x" * 3000), peer)).status_code == 200
        _, _, flow = await get(user.requests)
        assert flow.transport == "UDP"


async def test_a_large_request_never_falls_back_to_udp():
    async with endpoint(transports=("UDP",)) as (server, user), endpoint() as (client, _):
        result = await send(client, message(b"x" * 2000), peer_of(server, "UDP"))
        assert (result.status_code, result.was_sent) == (503, False)
        assert user.requests.empty()


async def test_nobody_listens_is_503_and_not_sent():
    async with endpoint() as (client, _):
        port = free_port("127.0.0.1")
        result = await send(client, message(), Peer("TCP", "127.0.0.1", port))
        assert (result.status_code, result.was_sent) == (503, False)
        assert f"127.0.0.1:{port}" in result.text


async def test_no_answer_is_408():
    """RFC 3261 17.1.2 and 8.1.3.1: Timer F."""
    async with endpoint(status=None) as (server, user), endpoint(timers=QUICK) as (client, _):
        result = await send(client, message(), peer_of(server, "UDP"))
        assert (result.status_code, result.was_sent) == (408, True)
        assert user.requests.qsize() == 1  # what was repeated was recognised


async def test_requests_at_the_same_time_share_one_connection_and_so_do_later_ones():
    async with endpoint() as (server, user), endpoint() as (client, _):
        peer = peer_of(server, "TCP")
        results = await asyncio.gather(
            *(send(client, message(call_id=str(number)), peer) for number in range(10))
        )
        results.append(await send(client, message(call_id="later"), peer))
        assert {result.status_code for result in results} == {200}
        assert len({user.requests.get_nowait()[2] for _ in results}) == 1


async def test_a_request_goes_back_on_the_connection_that_the_peer_opened():
    async with endpoint() as (server, user), endpoint(transports=("UDP",)) as (client, other):
        await send(client, message(), peer_of(server, "TCP"))
        _, _, flow = await get(user.requests)
        assert (await send(server, message(call_id="back"), flow)).status_code == 200
        assert (await get(other.requests))[1].call_id == "back"


async def test_a_connection_that_breaks_fails_what_waits_on_it_and_is_told():
    async with endpoint(status=None) as (server, user), endpoint() as (client, own):
        sending = asyncio.create_task(send(client, message(), peer_of(server, "TCP")))
        _, _, flow = await get(user.requests)
        server.close_flow(flow)
        result = await sending
        assert (result.status_code, result.was_sent) == (503, True)
        assert (await get(own.closed)).connection is not None
        assert (await get(user.closed)) == flow
        assert (await send(server, message(), flow)).status_code == 430


async def test_the_answer_takes_a_new_connection_when_the_old_one_is_gone():
    """RFC 3261 18.2.2: to the source address and the port of sent-by."""
    came = asyncio.Queue()

    async def accept(reader, writer):
        came.put_nowait(await read_head(reader))
        writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, endpoint(status=None) as (server, user):
        async with connect(server) as (_, writer):
            writer.write(raw(sent_by=f"127.0.0.1:{port}"))
            key, request, flow = await get(user.requests)
        await get(user.closed)
        server.respond(key, request, flow, 202)
        assert (await get(came)).startswith("SIP/2.0 202 ")


async def test_keep_alives_are_answered_and_counted():
    """RFC 5626 4.4.1."""
    async with endpoint() as (server, _), endpoint() as (client, _):
        done = asyncio.get_running_loop().create_future()
        peer = peer_of(server, "TCP")
        client.connect(peer.host, peer.port, done.set_result)
        flow = await done
        assert client.ping(flow)
        async with asyncio.timeout(WITHIN_S):
            while client.pongs(flow) == 0:
                await asyncio.sleep(0)
        assert client.pongs(flow) == 1


class TestMalformed:
    """What cannot be read is answered once, to its source."""

    async def test_a_datagram(self):
        async with endpoint() as (server, user), datagrams(server) as (transport, received):
            local = transport.get_extra_info("sockname")
            bad = raw(sent_by=f"127.0.0.1:{local[1]}").replace(b"CSeq: 1", b"CSeq: x")
            transport.sendto(bad.replace(b"TCP", b"UDP"))
            assert (await get(received)).startswith(b"SIP/2.0 400 ")
            good = raw("OPTIONS", "2", f"127.0.0.1:{local[1]}").replace(b"TCP", b"UDP")
            transport.sendto(good)
            assert b"z9hG4bK2" in await get(received)
            assert received.empty()
            assert user.requests.qsize() == 1

    async def test_in_a_stream_that_can_be_read_on(self):
        async with endpoint() as (server, user), connect(server) as (reader, writer):
            writer.write(raw(body=b"x").replace(b"CSeq: 1", b"CSeq: x") + raw(branch="2"))
            assert (await read_head(reader)).startswith("SIP/2.0 400 ")
            assert (await read_head(reader)).startswith("SIP/2.0 200 ")
            assert user.requests.qsize() == 1

    async def test_in_a_stream_whose_framing_is_lost(self):
        async with endpoint() as (server, user), connect(server) as (reader, writer):
            bad = raw().replace(b"Content-Length: 0", b"Content-Length: 1_0")
            writer.write(bad + raw(branch="2"))
            assert (await read_head(reader)).startswith("SIP/2.0 400 ")
            assert await reader.read() == b""  # closed, and what followed was not executed
            assert user.requests.empty()

    async def test_a_body_that_is_too_large_is_413_and_the_connection_lives(self):
        async with endpoint() as (server, user), connect(server) as (reader, writer):
            writer.write(raw(body=b"x" * 1_100_000))
            assert (await read_head(reader)).startswith("SIP/2.0 413 ")
            await writer.drain()
            writer.write(raw(branch="2"))
            assert (await read_head(reader)).startswith("SIP/2.0 200 ")
            assert user.requests.qsize() == 1


class TestSlowPeers:
    """They cost themselves and nobody else."""

    async def test_a_message_that_comes_octet_by_octet(self):
        async with endpoint() as (server, user), connect(server) as (reader, writer):
            for octet in raw(body=b"hello"):
                writer.write(bytes((octet,)))
                await asyncio.sleep(0)
            assert (await read_head(reader)).startswith("SIP/2.0 200 ")
            assert (await get(user.requests))[1].body == b"hello"

    async def test_many_that_have_said_half_a_message(self):
        async with endpoint() as (server, user), contextlib.AsyncExitStack() as halves:
            for _ in range(200):
                _, writer = await halves.enter_async_context(connect(server))
                writer.write(raw(body=b"x" * 100)[:-50])
            async with connect(server) as (reader, writer):
                writer.write(raw(branch="whole"))
                assert (await read_head(reader)).startswith("SIP/2.0 200 ")
            assert user.requests.qsize() == 1

    async def test_one_that_never_reads_is_dropped(self):
        """Its answers pile up to a limit; then its connection is gone, and others are served."""
        async with endpoint() as (server, user):
            async with connect(server) as (_, writer):
                writer.transport.pause_reading()
                padding = f"Timestamp: 1\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{'x' * 12_000}\r\n"
                with contextlib.suppress(OSError):
                    for number in range(4000):
                        writer.write(raw(branch=str(number), extra=padding))
                        await asyncio.sleep(0)
                        if writer.is_closing() or not user.closed.empty():
                            break
                assert (await get(user.closed)).connection is not None
            async with connect(server) as (reader, writer):
                writer.write(raw(branch="good"))
                assert (await read_head(reader)).startswith("SIP/2.0 200 ")


class TestStop:
    """A stop answers what was accepted."""

    async def test_it_waits_for_answers_and_refuses_what_is_new(self):
        async with endpoint(status=None) as (server, user), connect(server) as (reader, writer):
            writer.write(raw())
            key, request, flow = await get(user.requests)
            stopping = asyncio.create_task(server.stop(WITHIN_S))
            await asyncio.sleep(0)
            writer.write(raw(branch="2"))
            refused = await read_head(reader)
            assert refused.startswith("SIP/2.0 503 ")
            assert "Retry-After: " in refused
            server.respond(key, request, flow, 202)
            await stopping
            assert (await read_head(reader)).startswith("SIP/2.0 202 ")
            assert await reader.read() == b""

    async def test_it_ends_although_nobody_answers(self):
        async with endpoint(status=None) as (server, user), connect(server) as (reader, writer):
            writer.write(raw())
            await get(user.requests)
            await server.stop(0.05)
            assert await reader.read() == b""


# uvloop does not close the transport whose bind fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_an_address_that_is_taken_is_a_configuration_error(transport):
    async with endpoint(transports=(transport,)) as (server, _):
        (taken,) = server.bound
        with pytest.raises(ConfigurationError, match=f"sip.listen: {transport.lower()}:"):
            async with endpoint(transports=(transport,), port=taken.port):
                pass


async def test_a_host_that_is_none_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match=r"sip\.listen: tcp:192\.0\.2\.1:"):
        async with endpoint("192.0.2.1", transports=("TCP",), port=20_000):
            pass


async def test_at_capacity_a_request_gets_503_without_a_transaction():
    async with (
        endpoint(status=None, capacity=1) as (server, user),
        connect(server) as (reader, writer),
    ):
        writer.write(raw(branch="1") + raw(branch="2"))
        refused = await read_head(reader)
        assert refused.startswith("SIP/2.0 503 ")
        assert "Retry-After: " in refused
        assert user.requests.qsize() == 1
