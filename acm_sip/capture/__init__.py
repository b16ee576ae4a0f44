"""Captures of SIP: writing pcapng, reading any capture, and the ladder picture.

``pcapng`` and ``recorder`` write what a process sent and received, ``merge`` joins the files of
several processes, ``packets`` -> ``dissection`` -> ``reassembly`` -> ``reading`` is the way back
from any pcap or pcapng to SIP messages, ``entities`` -> ``ladder`` -> ``ladder_text`` is the way
from messages to the figure of the standard.
"""
