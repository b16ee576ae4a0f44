"""Keeping an ACM client registered: RFC 3261 10.2, RFC 5626 4.4 and 4.5.

    disconnected  -> connect (TCP), REGISTER
    registered    -> REGISTER again at half the granted time; CRLFCRLF between
    refused, connection lost, no pong -> disconnected, after a pause of RFC 5626 4.5

The first attempt after the loss of a registration that had lasted comes at once; each failure
doubles the longest pause, half of which is random, so that the clients of a server that restarts
do not come as one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from acm_sip.codec.names import ICSI_REF_FEATURE_TAG, McService
from acm_sip.errors import AcmSipError
from acm_sip.procedures.capabilities import SUPPORTED
from acm_sip.procedures.wire_names import WireNames
from acm_sip.runtime.configuration import ClientSection
from acm_sip.runtime.endpoint import Peer, SendResult, SipEndpoint
from acm_sip.runtime.flow_names import format_hostport
from acm_sip.runtime.log import get_logger
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow

__all__ = ["RegistrationKeeper", "recovery_pause_s"]

_LONGEST_PAUSE_S: Final = 1800.0  # RFC 5626 4.5: max-time
_PONG_WITHIN_S: Final = 10.0  # RFC 5626 4.4.1
_LEAVE_WITHIN_S: Final = 2.0  # ours: a server that is gone must not hold up the end by Timer F

log = get_logger("acm_sip.registration")


def recovery_pause_s(base_s: float, failures: int, chance: float) -> float:
    """Return how long to wait after this many failures in a row (RFC 5626 4.5).

    :param chance: a uniformly random number from 0 to 1.
    """
    if failures == 0:
        return 0.0
    longest_s = min(_LONGEST_PAUSE_S, base_s * 2.0 ** min(failures, 16))
    return longest_s * (0.5 + chance / 2)


class RegistrationKeeper:
    """Registers a client at its server, and again whenever that is lost.

    :param instance: names the client across restarts (RFC 5626 4.1).
    :param wire_names: whose ICSI the Contact names.
    :param on_found: called with the address of the server, before it is sent a REGISTER.
    :param on_change: called with the flow when registered, with None when that is lost.
    """

    def __init__(
        self,
        section: ClientSection,
        instance: uuid.UUID,
        endpoint: SipEndpoint,
        on_found: Callable[[str], None],
        on_change: Callable[[Flow | Peer | None], None],
        wire_names: WireNames,
    ) -> None:
        self._names = wire_names
        self._section = section
        self._instance = instance
        self._endpoint = endpoint
        self._on_found = on_found
        self._on_change = on_change
        self._call_id = secrets.token_hex(16)
        self._cseq = 0
        self._lost = asyncio.Event()
        self._flow: Flow | Peer | None = None
        self._granted_s = 0.0
        self._has_outbound = False
        self._task: asyncio.Task[None] | None = None
        self.last_refusal: str | None = None

    def start(self) -> None:
        """Begin to register."""
        self._task = asyncio.get_running_loop().create_task(self._keep_whatever_comes())

    async def stop(self) -> None:
        """De-register where that is possible, and end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        flow = self._flow
        self._set(None)  # first: nothing may leave on a binding that is going
        if flow is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await self._register(flow, 0)

    def register_again(self) -> None:
        """Learn that the server has no binding of this client any more."""
        self._lost.set()

    def flow_closed(self, flow: Flow) -> None:
        """Learn that a connection is gone."""
        if isinstance(self._flow, Flow) and self._flow.connection == flow.connection:
            self._lost.set()

    async def _keep_whatever_comes(self) -> None:
        """Go on after a bug of ours too: a client that is silently away helps nobody."""
        while True:
            try:
                await self._keep()
            except Exception as error:  # the boundary of one registration
                log.exception("registration failed")
                self.last_refusal = str(error)
                self._set(None)
                await asyncio.sleep(self._section.recovery_base_s)

    async def _keep(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(
                recovery_pause_s(self._section.recovery_base_s, failures, random.random())  # noqa: S311 - spreads load
            )
            self._lost.clear()
            refusal = await self._register_once()
            is_failure = True
            if refusal is None:
                self.last_refusal = None
                since = asyncio.get_running_loop().time()
                await self._stay()
                # One that did not last is a failure too, else a server that hangs up would be
                # called without a pause.
                lasted_s = asyncio.get_running_loop().time() - since
                is_failure = lasted_s < self._section.recovery_base_s
                refusal = "the registration was lost"
            failures = failures + 1 if is_failure else 0
            self._set(None)
            self.last_refusal = refusal
            log.warning("not registered", reason=refusal, server=str(self._section.server))

    async def _register_once(self) -> str | None:
        """Connect and register; return why that failed."""
        try:
            to = await self._find_server()
            if isinstance(to, str):
                return to
            # Before the REGISTER: what the server kept may arrive together with its answer.
            self._on_found(to.remote[0] if isinstance(to, Flow) else to.host)
            result = await self._register(to, self._section.registration_s)
        except (OSError, UnicodeError, AcmSipError) as error:  # no route, no such host
            return str(error)
        if not 200 <= result.status_code < 300:
            return f"{result.status_code} {result.text}"
        self._granted_s = self._granted(result)
        # RFC 5626 4.2.1: only a registrar that says so keeps flows, and answers pings.
        self._has_outbound = result.response is not None and "outbound" in result.response.require
        self._set(to)
        log.info("registered", identity=str(self._section.public_identity))
        return None

    async def _find_server(self) -> Flow | Peer | str:
        """Return the way to the server, by its address; or why there is none."""
        hop = self._section.peer
        if hop.transport == "TCP":
            return await self._connect(hop)
        found = await asyncio.get_running_loop().getaddrinfo(
            hop.host, hop.port, type=socket.SOCK_DGRAM
        )
        return replace(hop, host=str(found[0][4][0]))

    async def _connect(self, hop: Peer) -> Flow | str:
        done: asyncio.Future[Flow | str] = asyncio.get_running_loop().create_future()
        self._endpoint.connect(
            hop.host, hop.port, lambda flow: None if done.done() else done.set_result(flow)
        )
        return await done

    async def _stay(self) -> None:
        """Refresh and keep alive until the registration is lost."""
        loop = asyncio.get_running_loop()
        assert self._flow is not None
        while not self._lost.is_set():
            refresh_at = loop.time() + self._granted_s / 2
            while (left_s := refresh_at - loop.time()) > 0 and not self._lost.is_set():
                await self._wait_lost(min(left_s, self._keep_alive_s()))
                if isinstance(self._flow, Flow) and not self._lost.is_set():
                    await self._ping(self._flow)
            if self._lost.is_set():
                return
            result = await self._register(self._flow, self._section.registration_s)
            if not 200 <= result.status_code < 300:
                if isinstance(self._flow, Flow):
                    self._endpoint.close_flow(self._flow)
                return
            self._granted_s = self._granted(result)

    async def _ping(self, flow: Flow) -> None:
        """Send a keep-alive; give up a flow without a pong where the server promised one."""
        before = self._endpoint.pongs(flow)
        self._endpoint.ping(flow)
        if not self._has_outbound:
            return
        await self._wait_lost(_PONG_WITHIN_S)
        if not self._lost.is_set() and self._endpoint.pongs(flow) == before:
            self._endpoint.close_flow(flow)  # RFC 5626 4.4.1: the flow has failed
            await self._lost.wait()

    def _keep_alive_s(self) -> float:
        # RFC 5626 4.4.1: between 80 and 100 % of the time, so that clients do not beat together.
        return self._section.keep_alive_s * (0.8 + random.random() / 5)  # noqa: S311

    async def _wait_lost(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._lost.wait()
        except TimeoutError:
            return

    def _set(self, flow: Flow | Peer | None) -> None:
        if flow is not self._flow:
            self._flow = flow
            self._on_change(flow)

    async def _register(self, to: Flow | Peer, expires_s: int) -> SendResult:
        done: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        self._endpoint.send(
            self._request(to, expires_s),
            to,
            lambda result: None if done.done() else done.set_result(result),
        )
        return await done

    def _request(self, to: Flow | Peer, expires_s: int) -> Request:
        section = self._section
        self._cseq += 1
        identity = section.public_identity.text
        return Request(
            "REGISTER",
            f"sip:{section.server.domain}",
            HeaderFields.from_canonical(
                [
                    ("Max-Forwards", "70"),
                    ("From", f"<{identity}>;tag={secrets.token_hex(8)}"),
                    ("To", f"<{identity}>"),
                    ("Call-ID", self._call_id),
                    ("CSeq", f"{self._cseq} REGISTER"),
                    ("Contact", self._contact(to)),
                    ("Expires", str(expires_s)),
                    SUPPORTED,
                ]
            ),
        )

    def _granted(self, result: SendResult) -> float:
        """Return the seconds until our binding ends, as the registrar said (RFC 3261 10.2.4)."""
        own = f"<{self._instance.urn}>"
        contacts = () if result.response is None else result.response.contacts
        for contact in contacts:
            text = contact.parameter("expires") or ""
            is_own = contact.parameter("+sip.instance") == own
            if is_own and text.isascii() and text.isdigit() and len(text) < 9:
                return max(1.0, float(text))
        return float(self._section.registration_s)

    def _contact(self, to: Flow | Peer) -> str:
        service = McService(self._section.service)
        if isinstance(to, Flow):
            address, parameter = format_hostport(*to.local), ";transport=tcp"
        else:
            address, parameter = format_hostport(*self._endpoint.local_address(to)), ""
        user = self._section.public_identity.text.partition(":")[2].partition("@")[0]
        return (
            f"<sip:{user}@{address}{parameter}>"
            f';+sip.instance="<{self._instance.urn}>";reg-id=1'
            f';+{service.feature_tag};+{ICSI_REF_FEATURE_TAG}="{self._names.icsi_ref(service.value)}"'
        )
