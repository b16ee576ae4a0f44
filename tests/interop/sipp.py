"""SIPp as a peer: its scenarios are in ``sipp/``, what it saw is read from its message trace.

SIPp exits with 0 although a MESSAGE that should have come has not, so nothing is believed but the
trace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.codec.ue_init_config_particles import BASE
from tests.harness.peers import require_program
from tests.harness.processes import Process, wait_until

NAMESPACE = "urn:3gpp:ns:mcsAcmInfo:1.0"
SCENARIOS = Path(__file__).parent / "sipp"
_RULE = re.compile(r"^-{20,} .*\n", re.MULTILINE)
_HEAD = re.compile(r"^(?:UDP|TCP) message (sent|received) (?:\[\d+\] bytes|\(\d+ bytes\)) ?:\n\n?")


@dataclass(frozen=True, slots=True)
class Traced:
    """One message that SIPp saw."""

    is_sent: bool
    text: str

    @property
    def start_line(self) -> str:
        """The first line."""
        return self.text.partition("\n")[0].strip()

    def field(self, name: str) -> str | None:
        """Return the value of a header field."""
        match = re.search(rf"^{name}: *(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return None if match is None else match[1]

    def element(self, name: str) -> str | None:
        """Return the text of an element of the body."""
        match = re.search(rf"<(?:\w+:)?{name}[^>]*>([^<]*)<", self.text)
        return None if match is None else match[1]


def request_body(
    id_: str,
    *,
    requester: str = "sip:alice.mcptt@mc1.example",
    target: str = "sip:bob.mcptt@mc2.example",
    users: tuple[str, ...] = ("sip:carol@mc1.example", "sip:dave@mc1.example"),
    document: str = BASE.decode(),
) -> str:
    """Write a request as another implementation would: with prefixes, white space and comments."""
    listed = "\n".join(
        f"<a:mc-service-id><a:mcsURI>{user}</a:mcsURI></a:mc-service-id>" for user in users
    )
    name = "update-mc-service-ue-initial-configuration-request"
    return f"""<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<a:acm-info xmlns:a="{NAMESPACE}">
<a:{name}>
<a:acm-transaction-id>{id_}</a:acm-transaction-id>
<a:requesting-mc-service-id type="Normal">
<a:mcsURI>{requester}</a:mcsURI>
</a:requesting-mc-service-id>
<a:target-mc-service-id type="Normal"><!-- who decides --><a:mcsURI>{target}</a:mcsURI>
</a:target-mc-service-id>
<a:mc-service-id-list>{listed}</a:mc-service-id-list>
<a:mc-service-ue-initial-configuration-data>
{document}
</a:mc-service-ue-initial-configuration-data>
</a:{name}>
</a:acm-info>"""


class Sipp:
    """One SIPp process; a context manager.

    :param scenario: name of a file in ``sipp/``.
    :param remote_port: where to send; None for a scenario that waits.
    :param out_of_call: scenario for requests that begin something new.
    :param calls: how often the scenario runs, None for without end.
    :param values: what stands for ``@name@`` in the scenario.
    """

    def __init__(
        self,
        directory: Path,
        scenario: str,
        transport: str,
        *,
        local_port: int,
        remote_port: int | None = None,
        out_of_call: str | None = None,
        calls: int | None = 1,
        **values: str,
    ) -> None:
        name = f"{scenario}-{local_port}"
        text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        path = directory / f"{name}.xml"
        path.write_text(text, encoding="utf-8")
        self._trace = directory / f"{name}.log"
        arguments = ["-sf", path, "-i", "127.0.0.1", "-p", str(local_port), "-nostdin"]
        arguments += ["-t", {"UDP": "u1", "TCP": "t1"}[transport]]
        arguments += ["-trace_msg", "-message_file", self._trace, "-message_overwrite", "false"]
        if calls is not None:
            arguments += ["-m", str(calls)]
        if out_of_call is not None:
            arguments += ["-oocsf", SCENARIOS / f"{out_of_call}.xml"]
        if remote_port is not None:
            arguments.append(f"127.0.0.1:{remote_port}")
        self.process = Process(
            require_program("sipp"),
            *arguments,
            name=f"sipp {scenario}",
            environment={"TERM": "dumb"},
            cwd=directory,
        )

    def messages(self) -> list[Traced]:
        """Return what it has sent and received so far."""
        if not self._trace.exists():
            return []
        traced = []
        for entry in _RULE.split(self._trace.read_text(encoding="utf-8", errors="replace")):
            head = _HEAD.match(entry)
            if head is not None:
                traced.append(Traced(head[1] == "sent", entry[head.end() :]))
        return traced

    def received(self, start: str, element: str = "") -> list[Traced]:
        """Return the messages that came, by start line and by what they hold."""
        return [
            message
            for message in self.messages()
            if not message.is_sent
            and message.start_line.startswith(start)
            and element in message.text
        ]

    def sent(self, start: str) -> list[Traced]:
        """Return the messages that it sent, by start line."""
        return [m for m in self.messages() if m.is_sent and m.start_line.startswith(start)]

    def wait_received(self, start: str, element: str = "") -> Traced:
        """Wait for a message."""
        return wait_until(
            lambda: self.received(start, element) or self._check(start), what=f"{start} at SIPp"
        )[0]

    def wait_sent(self, start: str, count: int = 1) -> list[Traced]:
        """Wait until it has sent so many messages."""
        return wait_until(
            lambda: self.sent(start)[count - 1 :] and self.sent(start), what=f"{start} from SIPp"
        )

    def _check(self, start: str) -> list[Traced]:
        if not self.process.is_running and not self.received(start):
            raise AssertionError(f"SIPp ended without {start}\n{self.process.said()}")
        return []

    def __enter__(self) -> Sipp:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            for message in self.messages():
                print(">" if message.is_sent else "<", message.text[:600], sep="\n")
        self.process.__exit__(None, None, None)
