"""Captures of SIP: writing pcapng, reading any capture, and the ladder picture.

``pcapng`` and ``recorder`` write what a process sent and received; ``merge`` joins the files of
several processes. ``packets`` (containers), ``dissection`` (links, IP), ``reassembly`` (TCP,
messages) and ``reading`` are the way back from any pcap or pcapng. ``summary`` and
``body_summary`` (one message), ``entities`` (who is who), ``ladder`` (the data) and
``ladder_text`` (the drawing) are the way from messages to the figure of the standard.
"""
