"""tshark as referee: what we write dissects as SIP without an option, and without a fault."""

from __future__ import annotations

import subprocess

import pytest

from acm_sip.capture.merge import merge
from acm_sip.capture.reading import read_messages
from acm_sip.capture.recorder import Recorder
from tests.capture import frames
from tests.capture.conversation import (
    P_TO_Q,
    A,
    B,
    P,
    Q,
    accepted_by_a_user,
    body,
    request,
    response,
)
from tests.harness.peers import require_program

CHECKSUMS = [
    option
    for protocol in ("ip", "tcp", "udp")
    for option in ("-o", f"{protocol}.check_checksum:TRUE")
]
ENDS = {
    "IPv4": (("192.0.2.1", 15970), ("192.0.2.2", 40001)),
    "IPv6": (("2001:db8::1", 15970), ("2001:db8::2", 40001)),
}


def tshark(path, *arguments: str) -> list[str]:
    program = require_program("tshark")
    command = [program, "-n", "-r", str(path), *CHECKSUMS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def sip_frames(path, *options: str) -> list[list[str]]:
    """Return frame number, method and status code of each message that tshark sees."""
    wanted = ("-e", "frame.number", "-e", "sip.Method", "-e", "sip.Status-Code")
    every = ("-Y", "sip.Method || sip.Status-Code", "-T", "fields", "-E", "occurrence=a", *wanted)
    messages = []
    for line in tshark(path, *options, *every):
        frame, methods, codes = line.split("\t")
        # One segment may complete several messages.
        messages += [[frame, method, ""] for method in methods.split(",") if method]
        messages += [[frame, "", code] for code in codes.split(",") if code]
    return messages


def our_messages(path) -> list[list[str]]:
    """Return the same of what our reader finds."""
    found = []
    for message in read_messages(path):
        first, second = message.octets.split(b" ", 2)[:2]
        kind = ["", second.decode()] if first == b"SIP/2.0" else [first.decode(), ""]
        found.append([str(message.frame_number), *kind])
    return found


def assert_no_fault(path) -> None:
    fault = "_ws.malformed || _ws.expert.severity >= 0x600000"  # warnings and errors
    bad_checksum = 'ip.checksum.status == "Bad" || tcp.checksum.status == "Bad"'
    assert tshark(path, "-Y", f'{fault} || {bad_checksum} || udp.checksum.status == "Bad"') == []


def test_the_fault_filter_sees_a_fault(tmp_path):
    """The referee's own check: a wrong checksum is reported by the filter used below."""
    octets = frames.ipv4(17, frames.udp(request(A, P, b"", "1")))
    path = frames.pcap(tmp_path / "x.pcap", [(1.0, octets)], frames.RAW)
    with pytest.raises(AssertionError):
        assert_no_fault(path)


@pytest.mark.parametrize("version", ENDS)
def test_every_transport_and_size_is_seen_as_sip(tmp_path, version):
    server, client = ENDS[version]
    recorder = Recorder(tmp_path / "x.pcapng")
    expected = []
    for turn, length in enumerate((0, 1, 3_000, 60_000)):
        asked = request(A, P, b"x" * length, f"{turn}", content_type="text/plain")
        recorder.record(turn, "UDP", server, client, False, asked)
        recorder.record(turn + 0.1, "UDP", server, client, True, response(asked))
        expected += [["MESSAGE", ""], ["", "202"]]
    for turn, length in enumerate((0, 1, 3_000, 70_000, 300_000, 20)):
        asked = request(A, P, b"x" * length, f"t{turn}", content_type="text/plain")
        recorder.record(10 + turn, "TCP", server, client, False, asked, 1)
        recorder.record(10.1 + turn, "TCP", server, client, True, response(asked), 1)
        expected += [["MESSAGE", ""], ["", "202"]]
    recorder.record_close(20, server, client, 1)
    recorder.close()
    assert [line[1:] for line in sip_frames(recorder.path)] == expected
    assert_no_fault(recorder.path)


def test_two_processes_merged_are_one_clean_stream(tmp_path):
    connecting = Recorder(tmp_path / "p.pcapng", only_sent=True)
    listening = Recorder(tmp_path / "q.pcapng", only_sent=True)
    for meeting in range(2):  # the second time from the same port
        for turn in range(10):
            at = 100.0 * meeting + turn
            asked = request(P, Q, body("f") + b" " * turn * 20_000, f"{meeting}-{turn}")
            connecting.record(at, "TCP", P_TO_Q, Q, True, asked, meeting)
            listening.record(at + 0.1, "TCP", Q, P_TO_Q, False, asked, meeting)
            listening.record(at + 0.2, "TCP", Q, P_TO_Q, True, response(asked), meeting)
            connecting.record(at + 0.3, "TCP", P_TO_Q, Q, False, response(asked), meeting)
        connecting.record_close(100.0 * meeting + 20, P_TO_Q, Q, meeting)
        listening.record_close(100.0 * meeting + 21, Q, P_TO_Q, meeting)
    connecting.close()
    listening.close()
    path = tmp_path / "merged.pcapng"
    assert merge([connecting.path, listening.path], path) == ()
    assert [line[1:] for line in sip_frames(path)] == [["MESSAGE", ""], ["", "202"]] * 20
    assert tshark(path, "-Y", "tcp.analysis.flags && !tcp.analysis.reused_ports") == []
    assert_no_fault(path)


def test_tshark_and_our_reader_agree_on_every_message(tmp_path):
    recorder = Recorder(tmp_path / "x.pcapng")
    for message in accepted_by_a_user():
        recorder.record(
            message.at, "TCP", message.source, message.destination, True, message.octets, 1
        )
    recorder.close()
    assert len(our_messages(recorder.path)) == 18
    assert sip_frames(recorder.path) == our_messages(recorder.path)


def test_fragments_and_segments_of_others_are_read_as_tshark_reads_them(tmp_path):
    datagram = frames.udp(request(A, B, b"x" * 3_000, "fragments", content_type="text/plain"))
    pieces = [
        frames.ipv4(17, datagram[start : start + 1480], offset=start, more=start + 1480 < 3_300)
        for start in range(0, len(datagram), 1480)
    ]
    stream = b"".join(request(A, P, body("f"), f"{turn}") for turn in range(3))
    parts = [(1 + start, stream[start : start + 400]) for start in range(0, len(stream), 400)]
    parts[1], parts[2] = parts[2], parts[1]
    parts.append(parts[0])
    octets = [frames.ipv4(6, frames.tcp(b"", 0, flags=frames.SYN))]
    octets += [frames.ipv4(6, frames.tcp(part, number)) for number, part in parts]
    packets = [(float(at), frames.ethernet(one)) for at, one in enumerate([*pieces[::-1], *octets])]
    path = frames.pcap(tmp_path / "x.pcap", packets, frames.ETHERNET, ">")
    # These frames carry no checksums, as in captures made before the network card writes them.
    options = ("-o", "tcp.reassemble_out_of_order:TRUE", "-o", "tcp.check_checksum:FALSE")
    assert len(our_messages(path)) == 4
    assert sip_frames(path, *options) == our_messages(path)
