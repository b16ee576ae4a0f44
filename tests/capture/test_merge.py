"""Merging: order, link types, cut inputs."""

from __future__ import annotations

import pytest

from acm_sip.capture.merge import merge
from acm_sip.capture.packets import open_capture, read_packets

from . import frames


def packets_of(path):
    with open_capture(path) as stream:
        return [
            (packet.time_ns, packet.link_type, packet.octets)
            for packet in read_packets(stream, "x")
        ]


def test_packets_of_every_link_come_in_order_of_time(tmp_path):
    one = frames.pcap(tmp_path / "1", [(1.0, b"a"), (4.0, b"d")], frames.ETHERNET)
    other = frames.pcap(tmp_path / "2", [(2.0, b"b"), (3.0, b"c")], frames.RAW)
    assert merge([one, other], tmp_path / "out") == ()
    assert packets_of(tmp_path / "out") == [
        (1_000_000_000, frames.ETHERNET, b"a"),
        (2_000_000_000, frames.RAW, b"b"),
        (3_000_000_000, frames.RAW, b"c"),
        (4_000_000_000, frames.ETHERNET, b"d"),
    ]


def test_a_cut_and_a_foreign_input_are_reported_and_the_rest_is_there(tmp_path):
    good = frames.pcap(tmp_path / "good", [(3.0, b"c")], frames.RAW)
    cut = frames.pcap(tmp_path / "cut", [(1.0, b"a"), (2.0, b"b")], frames.RAW)
    cut.write_bytes(cut.read_bytes()[:-1])
    foreign = tmp_path / "foreign"
    foreign.write_text("hello")
    faults = merge([good, cut, foreign, tmp_path / "missing"], tmp_path / "out")
    assert [octets for _, _, octets in packets_of(tmp_path / "out")] == [b"a", b"c"]
    assert sorted(str(fault).removeprefix(f"{tmp_path}/") for fault in faults) == [
        "cut is cut short after packet 1",
        "foreign is neither pcap nor pcapng",
        "missing: No such file or directory",
    ]


def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path):
    good = frames.pcap(tmp_path / "good", [(3.0, b"c")], frames.RAW)
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="directory"):
        merge([good], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "out"]
