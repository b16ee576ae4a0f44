"""The recorder: coherent streams, bounds, and a disk that fails."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys

import pytest

from acm_sip.capture import recorder as recorder_module
from acm_sip.capture.merge import merge
from acm_sip.capture.reading import read_messages
from acm_sip.capture.recorder import Recorder

from .conversation import P_TO_Q, A, P, Q, body, request, response

LARGE = request(P, Q, b"x" * 200_000, "large", content_type="text/plain")


def test_both_sides_of_every_transport_are_read_back(tmp_path):
    asked = request(A, P, body("f"), "1", transport="UDP")
    answered = response(asked)
    with_six = (("::1", 5060), ("::1", 40000))
    recorder = Recorder(tmp_path / "x.pcapng")
    recorder.record(1.0, "UDP", A, P, True, asked)
    recorder.record(2.0, "UDP", A, P, False, answered)
    recorder.record(3.0, "TCP", *with_six, False, LARGE, 7)
    recorder.record(4.0, "TCP", *with_six, True, response(LARGE), 7)
    recorder.record_close(5.0, *with_six, 7)
    recorder.close()
    found = [
        (message.at, message.transport, message.source, message.destination, message.octets)
        for message in read_messages(recorder.path)
    ]
    assert found == [
        (1.0, "UDP", A, P, asked),
        (2.0, "UDP", P, A, answered),
        (3.0, "TCP", ("::1", 40000), ("::1", 5060), LARGE),
        (4.0, "TCP", ("::1", 5060), ("::1", 40000), response(LARGE)),
    ]
    assert recorder.written_packets == 4
    assert recorder.dropped_packets == 0


def test_captures_of_two_processes_that_write_only_what_they_sent_are_one_stream(tmp_path):
    connecting = Recorder(tmp_path / "p.pcapng", only_sent=True)
    listening = Recorder(tmp_path / "q.pcapng", only_sent=True)
    expected = []
    for turn in range(5):
        at = 10.0 + turn
        asked = request(P, Q, b"x" * (turn * 30_000), f"{turn}")
        answered = response(asked)
        connecting.record(at, "TCP", P_TO_Q, Q, True, asked, 1)
        listening.record(at + 0.1, "TCP", Q, P_TO_Q, False, asked, 9)
        listening.record(at + 0.2, "TCP", Q, P_TO_Q, True, answered, 9)
        connecting.record(at + 0.3, "TCP", P_TO_Q, Q, False, answered, 1)
        expected += [asked, answered]
    connecting.close()
    listening.close()
    merged = tmp_path / "merged.pcapng"
    assert merge([connecting.path, listening.path], merged) == ()
    assert [message.octets for message in read_messages(merged)] == expected


def test_a_connection_made_again_from_the_same_port_is_a_new_stream(tmp_path):
    recorder = Recorder(tmp_path / "x.pcapng")
    asked = [request(P, Q, b"x" * 10, f"{turn}") for turn in range(2)]
    for connection, octets in enumerate(asked):
        recorder.record(1.0 + connection, "TCP", P_TO_Q, Q, True, octets, connection)
        recorder.record_close(1.5 + connection, P_TO_Q, Q, connection)
    recorder.close()
    assert [message.octets for message in read_messages(recorder.path)] == asked


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_QUEUED_OCTETS", 0)
    recorder = Recorder(tmp_path / "x.pcapng")
    recorder.record(1.0, "UDP", A, P, True, b"MESSAGE")
    recorder.close()
    recorder.record(2.0, "UDP", A, P, True, b"MESSAGE")
    assert recorder.dropped_packets == 2
    assert recorder.written_packets == 0


def test_what_cannot_be_a_packet_is_counted_and_the_rest_is_written(tmp_path):
    recorder = Recorder(tmp_path / "x.pcapng")
    recorder.record(1.0, "UDP", A, P, True, b"x" * 70_000)
    recorder.record(1.0, "UDP", ("nobody.example", 1), P, True, b"x")
    recorder.record(2.0, "UDP", A, P, True, request(A, P, b"", "1"))
    recorder.close()
    assert recorder.dropped_packets == 2
    assert recorder.failure is None
    assert len(list(read_messages(recorder.path))) == 1


class FullDisk:
    """A stream that takes the file's head and then has no room."""

    def __init__(self) -> None:
        self.room = 1

    def write(self, octets: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        return len(octets)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_full_disk_ends_the_recording_and_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module.Path, "open", lambda *_: FullDisk())
    recorder = Recorder(tmp_path / "x.pcapng")
    for at in (1.0, 2.0, 3.0):
        recorder.record(at, "UDP", A, P, True, b"x")
    recorder.close()
    assert recorder.dropped_packets == 3
    assert "No space left" in (recorder.failure or "")


def test_the_connections_remembered_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_CONNECTIONS", 2)
    recorder = Recorder(tmp_path / "x.pcapng")
    for connection in range(4):
        recorder.record(1.0, "TCP", ("::1", connection), ("::1", 5060), True, b"x", connection)
    recorder.close()
    assert len(recorder._connections) == 2


def test_a_missing_directory_is_an_error_at_once(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Recorder(tmp_path / "nowhere" / "x.pcapng")


KILLED = """
import os, signal, sys
from acm_sip.capture.recorder import Recorder
recorder = Recorder(sys.argv[1])
recorder.record(1.0, "UDP", ("::1", 1), ("::1", 2), True, b"OPTIONS sip:a@b SIP/2.0\\r\\n\\r\\n")
while os.path.getsize(sys.argv[1]) < 200:
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_readable_file(tmp_path):
    path = tmp_path / "x.pcapng"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(read_messages(path))) == 1
