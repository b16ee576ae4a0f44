"""One ACM entity as a process that a test steers line by line.

    python -m tests.harness.entity server CONFIG [LOOP]
    python -m tests.harness.entity client CONFIG [LOOP]

LOOP is ``asyncio`` or ``uvloop`` (the default). A server says ``serving``. A client says what
happens, one line each, and does what it reads:

    registered | not registered
    asked ID REQUESTER             answered by:  accept ID | reject ID CAUSE
    outcome ID OUTCOME CAUSE       request TARGET USER [USER ...] -> requested ID

SIGTERM stops both cleanly; then they say ``stopped``.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from acm_sip import (
    AcmClient,
    AcmServer,
    AcmTransaction,
    McServiceId,
    Side,
    load_client_configuration,
    load_server_configuration,
)
from acm_sip.runtime.log import configure_logging
from tests.codec.ue_init_config_particles import BASE

DOCUMENT = BASE


def say(*words: object) -> None:
    print(*words, flush=True)


async def until_terminated() -> None:
    terminated = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    await terminated.wait()


async def serve(path: Path) -> None:
    configuration = load_server_configuration(path)
    configure_logging(configuration.log.level, configuration.log.format)
    async with AcmServer(configuration) as server:
        say("serving", *server.bound)
        await until_terminated()
    say("stopped")


class SteeredClient:
    def __init__(self, client: AcmClient) -> None:
        self._client = client
        self._asked: dict[str, AcmTransaction] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._client.on_told(self._told)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        tasks = [
            asyncio.create_task(task)
            for task in (self._follow_registration(), self._follow_requests(), self._obey(reader))
        ]
        await until_terminated()
        for task in tasks:
            task.cancel()

    def _told(self, transaction: AcmTransaction) -> None:
        if transaction.side is Side.REQUESTER:
            id_ = transaction.acm_transaction_id
            say("outcome", id_, transaction.outcome, transaction.cause, transaction.text)

    async def _follow_registration(self) -> None:
        while True:
            await self._client.wait_registered()
            say("registered")
            while self._client.is_registered:
                await asyncio.sleep(0.01)
            say("not registered", self._client.last_refusal)

    async def _follow_requests(self) -> None:
        async for transaction in self._client.requests():
            self._asked[str(transaction.acm_transaction_id)] = transaction
            say("asked", transaction.acm_transaction_id, transaction.requesting_mc_service_id)

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        commands: dict[str, Callable[..., object]] = {
            "request": self._request,
            "accept": self._accept,
            "reject": self._reject,
        }
        while line := await reader.readline():
            command, *arguments = line.decode().split()
            await commands[command](*arguments)  # type: ignore[misc]

    async def _request(self, target: str, *users: str) -> None:
        id_ = await self._client.update_ue_initial_configuration(
            [McServiceId(user) for user in users],
            DOCUMENT,
            target=McServiceId(target),
            expires_s=600.0,
        )
        say("requested", id_)

    async def _accept(self, id_: str) -> None:
        await self._client.accept(self._asked.pop(id_))
        say("decided", id_)

    async def _reject(self, id_: str, cause: str) -> None:
        await self._client.reject(self._asked.pop(id_), cause)
        say("decided", id_)


async def be_client(path: Path) -> None:
    configuration = load_client_configuration(path)
    configure_logging(configuration.log.level, configuration.log.format)
    async with AcmClient(configuration) as client:
        await SteeredClient(client).run()
    say("stopped")


def main() -> None:
    kind, path = sys.argv[1], Path(sys.argv[2])
    loop = sys.argv[3] if len(sys.argv) > 3 else "uvloop"
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run((serve if kind == "server" else be_client)(path))


if __name__ == "__main__":
    main()
