"""AcmServer and AcmClient with real sockets, on both event loops and both IP versions."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from pydantic import ValidationError

from acm_sip import AcmClient, AcmServer, LocalProtocolError, McServiceId, StoreError
from acm_sip.procedures.binding import Addressing, write_message
from acm_sip.runtime.configuration import ClientConfiguration, ServerConfiguration
from acm_sip.runtime.registration_keeper import recovery_pause_s
from acm_sip.sip.message import Request, Response, create_response
from acm_sip.sip.stream import StreamParser
from tests.codec.bodies import request_body
from tests.codec.ue_init_config_particles import BASE
from tests.harness.processes import free_port

pytestmark = pytest.mark.asyncio

BOB = McServiceId("sip:bob.mcptt@mc2.example")
CAROL = McServiceId("sip:carol@mc1.example")
REQUEST = "update-mc-service-ue-initial-configuration-request"
WITHIN_S = 20.0


class Systems:
    """Two MC systems in one process: their configurations, on ports of their own."""

    def __init__(self, directory, host="127.0.0.1", **partner):
        self.directory = directory
        self.host = f"[{host}]" if ":" in host else host
        self.plain_host = host
        self.ports = {"mc1": free_port(host), "mc2": free_port(host)}
        self.partner = partner
        self.sip = {}

    def server(self, name):
        other = {"mc1": "mc2", "mc2": "mc1"}[name]
        user = {"mc1": "alice", "mc2": "bob"}[name]
        return AcmServer(
            ServerConfiguration.model_validate(
                {
                    "system": {
                        "name": name,
                        "psi": f"sip:acm@{name}.example",
                        "mc_service_id": f"sip:acm-server@{name}.example",
                        "domains": [f"{name}.example"],
                    },
                    "sip": {
                        "listen": [f"{t}:{self.host}:{self.ports[name]}" for t in ("udp", "tcp")],
                        "client_authentication": "none",
                        **self.sip,
                    },
                    "store": {"path": str(self.directory / f"{name}.db")},
                    "users": [
                        {
                            "public_identity": f"sip:{user}@{name}.example",
                            "mc_service_ids": [f"sip:{user}.mcptt@{name}.example"],
                            "may_request": [REQUEST],
                            "may_answer": [REQUEST],
                        }
                    ],
                    "partners": [
                        {
                            "name": other,
                            "psi": f"sip:acm@{other}.example",
                            "domains": [f"{other}.example"],
                            "next_hop": f"tcp:{self.host}:{self.ports[other]}",
                            "addresses": [self.plain_host],
                            "migrating_users": [str(CAROL)] if name == "mc2" else [],
                            **(self.partner if name == "mc2" else {}),
                        }
                    ],
                }
            )
        )

    def client(self, user, *, port=None, **section):
        name = {"alice": "mc1", "bob": "mc2"}[user]
        return AcmClient(
            ClientConfiguration.model_validate(
                {
                    "client": {
                        "public_identity": f"sip:{user}@{name}.example",
                        "mc_service_ids": [f"sip:{user}.mcptt@{name}.example"],
                        "server": f"sip:acm@{name}.example",
                        "next_hop": f"tcp:{self.host}:{port or self.ports[name]}",
                        "recovery_base_s": 0.05,
                        **section,
                    },
                    "store": {"path": str(self.directory / f"{user}.db")},
                }
            )
        )


class Relay:
    """Between a client and its server: breaks connections when told."""

    def __init__(self, host, port):
        self._address = host, port
        self._writers = set()
        self._tasks = set()
        self.connections = 0
        self.is_open = True

    async def start(self):
        self._server = await asyncio.start_server(self._accept, self._address[0], 0)
        return self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader, writer):
        if not self.is_open:
            writer.close()
            return
        self.connections += 1
        other_reader, other_writer = await asyncio.open_connection(*self._address)
        self._writers |= {writer, other_writer}
        for way in ((reader, other_writer), (other_reader, writer)):
            self._tasks.add(asyncio.create_task(self._copy(*way)))

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while octets := await reader.read(65_536):
                writer.write(octets)
        writer.close()

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self):
        self.cut()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def ask(alice):
    return await alice.update_ue_initial_configuration([CAROL], BASE, target=BOB, expires_s=60.0)


async def next_request(bob):
    async with asyncio.timeout(WITHIN_S):
        return await anext(bob.requests())


async def wait_not_registered(client):
    async with asyncio.timeout(WITHIN_S):
        while client.is_registered:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("is_accepted", [True, False])
async def test_the_ten_steps(tmp_path, host, is_accepted):
    systems = Systems(tmp_path, host)
    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        systems.client("alice") as alice,
        systems.client("bob") as bob,
    ):
        id_ = await ask(alice)
        transaction = await next_request(bob)
        assert transaction.acm_transaction_id == id_
        if is_accepted:
            await bob.accept(transaction)
        else:
            await bob.reject(transaction, "made-up", "not today")
        outcome = await alice.wait_outcome(id_, WITHIN_S)
        assert outcome is not None
        assert outcome.outcome == ("success" if is_accepted else "failure")
        assert outcome.cause == (None if is_accepted else "made-up")
        assert str(outcome.handling_mc_service_id) == str(BOB)
        with pytest.raises(LocalProtocolError, match="decided"):
            await bob.accept(transaction)


async def test_a_client_that_knows_its_server_by_name_believes_it(tmp_path):
    systems = Systems(tmp_path)

    def client(user, name):
        return systems.client(user, next_hop=f"tcp:localhost:{systems.ports[name]}")

    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        client("alice", "mc1") as alice,
        client("bob", "mc2") as bob,
    ):
        id_ = await ask(alice)
        await bob.accept(await next_request(bob))
        assert await alice.wait_outcome(id_, WITHIN_S) is not None


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".invalid"])
async def test_a_server_that_cannot_be_found_is_said_and_looked_for_again(
    tmp_path, transport, host
):
    systems = Systems(tmp_path)
    section = {"next_hop": f"{transport}:{host}:5060", "accepts_large_datagrams": True}
    try:
        client = systems.client("alice", **section)
    except ValidationError:
        return  # no host can have this name
    async with client:
        async with asyncio.timeout(WITHIN_S):
            while client.last_refusal is None:
                await asyncio.sleep(0)
        assert not client.is_registered


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_clients_over_udp_where_both_sides_take_large_datagrams(tmp_path, host):
    systems = Systems(tmp_path, host)
    systems.sip["clients_accept_large_datagrams"] = True

    def client(user, name):
        next_hop = f"udp:{systems.host}:{systems.ports[name]}"
        return systems.client(user, next_hop=next_hop, accepts_large_datagrams=True)

    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        client("alice", "mc1") as alice,
        client("bob", "mc2") as bob,
    ):
        id_ = await ask(alice)
        await bob.accept(await next_request(bob))
        outcome = await alice.wait_outcome(id_, WITHIN_S)
        assert outcome is not None
        assert outcome.outcome == "success"


async def test_an_outcome_that_takes_too_long_is_none_and_comes_later(tmp_path):
    systems = Systems(tmp_path, handling="accept")
    async with systems.server("mc1"), systems.client("alice") as alice:
        id_ = await ask(alice)
        assert await alice.wait_outcome(id_, 0.05) is None
        async with systems.server("mc2"):
            outcome = await alice.wait_outcome(id_, WITHIN_S)
            assert outcome is not None
            assert outcome.outcome == "success"


async def test_a_caller_that_gives_up_hurts_nobody(tmp_path):
    systems = Systems(tmp_path, handling="accept")
    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        systems.client("alice") as alice,
    ):
        tasks = [asyncio.create_task(ask(alice)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        outcome = await alice.wait_outcome(await ask(alice), WITHIN_S)
        assert outcome is not None


async def test_a_client_whose_connection_breaks_registers_again_and_gets_what_was_kept(tmp_path):
    systems = Systems(tmp_path)
    relay = Relay("127.0.0.1", systems.ports["mc2"])
    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        systems.client("alice") as alice,
        systems.client("bob", port=await relay.start()) as bob,
    ):
        assert await bob.wait_registered(WITHIN_S)
        relay.is_open = False
        relay.cut()
        await wait_not_registered(bob)
        id_ = await ask(alice)
        assert await alice.wait_outcome(id_, 0.3) is None
        assert bob._requests.empty()
        relay.is_open = True
        transaction = await next_request(bob)
        assert transaction.acm_transaction_id == id_
        assert relay.connections == 2
        await bob.accept(transaction)
        assert await alice.wait_outcome(id_, WITHIN_S) is not None
    await relay.stop()


async def test_a_decision_made_while_away_leaves_at_the_next_log_on(tmp_path):
    systems = Systems(tmp_path)
    relay = Relay("127.0.0.1", systems.ports["mc2"])
    async with (
        systems.server("mc1"),
        systems.server("mc2"),
        systems.client("alice") as alice,
        systems.client("bob", port=await relay.start()) as bob,
    ):
        id_ = await ask(alice)
        transaction = await next_request(bob)
        relay.is_open = False
        relay.cut()
        await wait_not_registered(bob)
        await bob.accept(transaction)
        relay.is_open = True
        outcome = await alice.wait_outcome(id_, WITHIN_S)
        assert outcome is not None
        assert outcome.outcome == "success"
    await relay.stop()


async def test_a_client_that_may_not_register_says_why_and_tries_on(tmp_path):
    systems = Systems(tmp_path)
    async with (
        systems.server("mc1"),
        systems.client("alice", public_identity="sip:mallory@mc1.example") as client,
    ):
        async with asyncio.timeout(WITHIN_S):
            while client.last_refusal is None:
                await asyncio.sleep(0.005)
        assert client.last_refusal.startswith("404 ")
        assert not await client.wait_registered(0.05)


@pytest.mark.parametrize("kind", ["server", "client"])
async def test_a_store_that_is_in_use_is_refused(tmp_path, kind):
    systems = Systems(tmp_path)
    make, name = (systems.server, "mc1") if kind == "server" else (systems.client, "alice")
    async with make(name):
        with pytest.raises(StoreError):
            async with make(name):
                pass


@pytest.mark.parametrize(
    ("failures", "chance", "pause_s"),
    [(0, 1.0, 0.0), (1, 0.0, 30.0), (1, 1.0, 60.0), (3, 1.0, 240.0), (99, 1.0, 1800.0)],
)
async def test_the_pause_of_rfc_5626_4_5(failures, chance, pause_s):
    assert recovery_pause_s(30.0, failures, chance) == pause_s


async def test_what_the_server_kept_may_arrive_together_with_the_answer_to_register(tmp_path):
    believed = []
    answered = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        parser = StreamParser()
        while octets := await reader.read(65_536):
            for message in parser.receive_data(octets):
                if isinstance(message, Response):
                    answered.set_result(message.status_code)
                elif isinstance(message, Request):
                    # Believed by now, however late the engine or the loop reads what follows.
                    believed.append(set(client._role.server_hosts))
                    kept = kept_message() if len(believed) == 1 else b""
                    writer.write(create_response(message, 200, to_tag="t").encode() + kept)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Systems(tmp_path).client("bob", port=server.sockets[0].getsockname()[1])
    async with client, asyncio.timeout(WITHIN_S):
        assert await answered == 200
    assert believed[0] == {"127.0.0.1"}
    server.close()


def kept_message():
    addressing = Addressing("sip:bob@127.0.0.1", "sip:acm@mc2.example", is_asserted=True)
    message = write_message(
        addressing,
        request_body(),
        service="mcptt",
        at=0.0,
        expires_at=None,
        call_id="kept",
        from_tag="k",
    )
    message.headers.prepend("Via", "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKkept")
    return message.encode()
