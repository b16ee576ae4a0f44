"""A SIP peer made of a blocking socket: it can say anything, and reads answers by itself."""

from __future__ import annotations

import itertools
import socket
from dataclasses import dataclass
from typing import Self

__all__ = ["Answer", "RawPeer"]

_WITHIN_S = 15.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that came.

    :param fields: in order, names in lower case.
    """

    start_line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_code(self) -> int:
        """Of a response."""
        assert self.start_line.startswith("SIP/2.0 "), self.start_line
        return int(self.start_line.split(" ")[1])

    def field(self, name: str) -> str | None:
        """Return the first value of a header field."""
        return next((value for key, value in self.fields if key == name.lower()), None)


class RawPeer:
    """One socket towards a server.

    :param host: own address; another one of 127.0.0.0/8 is a stranger.
    """

    def __init__(
        self, transport: str, port: int, *, host: str = "127.0.0.1", receive_buffer: int = 0
    ) -> None:
        self.transport = transport
        kind = socket.SOCK_STREAM if transport == "TCP" else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.settimeout(_WITHIN_S)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))
        self._buffer = b""

    @property
    def address(self) -> str:
        """The own address as sent-by writes it."""
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def request(
        self,
        method: str,
        uri: str,
        body: bytes | str = b"",
        *fields: str,
        user: str = "alice",
        without: tuple[str, ...] = (),
        version: str = "SIP/2.0",
        content_type: str = "application/vnd.3gpp.mcs-acm-info+xml",
        content_length: str | None = None,
    ) -> bytes:
        """Write a request, right but for what the arguments make wrong.

        :param fields: whole field lines, added to the usual ones.
        :param without: usual fields that are left out.
        """
        octets = body.encode() if isinstance(body, str) else body
        number = next(_numbers)
        usual = {
            "Via": f"SIP/2.0/{self.transport} {self.address};branch=z9hG4bKraw{number};rport",
            "Max-Forwards": "70",
            "From": f"<sip:{user}@mc1.example>;tag=raw{number}",
            "To": f"<{uri}>" if method != "REGISTER" else f"<sip:{user}@mc1.example>",
            "Call-ID": f"raw-{number}@{self.address}",
            "CSeq": f"{number} {method}",
            "Content-Length": content_length or str(len(octets)),
        }
        if octets:
            usual["Content-Type"] = content_type
        lines = [f"{name}: {value}" for name, value in usual.items() if name not in without]
        head = "\r\n".join((f"{method} {uri} {version}", *lines, *fields))
        return head.encode() + b"\r\n\r\n" + octets

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.socket.sendall(octets)

    def receive(self) -> Answer:
        """Wait for the next message that came whole."""
        if self.transport == "UDP":
            return _read(self.socket.recv(65_536))[0]
        while True:
            if b"\r\n\r\n" in self._buffer:
                answer, octets = _read(self._buffer)
                if octets >= 0:
                    self._buffer = self._buffer[octets:]
                    return answer
            chunk = self.socket.recv(65_536)
            assert chunk, f"closed after {self._buffer!r}"
            self._buffer += chunk

    def is_closed_by_peer(self) -> bool:
        """Wait until the peer closes; False when it says something first."""
        return self.socket.recv(1) == b""

    def ask(self, octets: bytes) -> Answer:
        """Send a request and return its answer."""
        self.send(octets)
        return self.receive()

    def register(self, user: str = "alice") -> None:
        """Register; the contact is always the same, so that it never becomes many."""
        contact = f"Contact: <sip:{user}@raw.invalid>;expires=600"
        answer = self.ask(self.request("REGISTER", "sip:mc1.example", b"", contact, user=user))
        assert answer.status_code == 200, answer

    def assert_silent(self) -> None:
        """Demand that nothing more was said, and that the server still answers."""
        octets = self.request("OPTIONS", "sip:acm@mc1.example")
        answer = self.ask(octets)
        assert f"Call-ID: {answer.field('call-id')}\r\n".encode() in octets, answer
        assert answer.status_code == 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def _read(octets: bytes) -> tuple[Answer, int]:
    """Read one message; the number of its octets is -1 while some are missing."""
    head, _, rest = octets.partition(b"\r\n\r\n")
    start_line, *lines = head.decode().split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    fields = tuple((name.strip().lower(), value.strip()) for name, value in pairs)
    answer = Answer(start_line, fields, b"")
    length = int(answer.field("content-length") or "0")
    is_whole = len(rest) >= length
    return (
        Answer(start_line, fields, rest[:length]),
        len(head) + 4 + length if is_whole else -1,
    )
