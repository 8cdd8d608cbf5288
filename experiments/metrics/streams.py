# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the captures of both ends together: what one end sent, and in which order it arrived.

A stream is what one flow sends in one direction. Each transmission counts, a retransmission too:
it has a number of its own, so it is not taken for a reordered packet (RFC 4737 §6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from experiments.metrics.pcap import Packets
from experiments.metrics.reordering import Flags, Numbers


@dataclass(frozen=True, slots=True)
class Stream:
    """One flow's transmissions, numbered from 0 in the order sent."""

    port: int
    """The sender's."""
    tcp: bool
    sent: Numbers
    """Nanoseconds at which each left."""
    sequence: Numbers
    """TCP: the first octet of each, counted on past 2^32. UDP: the datagram's number."""
    payload: Numbers
    """Octets of data in each."""
    timestamp: Numbers
    arrived: Numbers
    """Numbers in the order of arrival, each once."""
    arrival: Numbers
    """Nanoseconds at which each of ``arrived`` came."""
    duplicates: Numbers
    """Numbers that came once more, in order of arrival."""
    acknowledged: Numbers
    """TCP: of each acknowledgement that came back, the octet it waits for, counted as ``sequence``."""
    acknowledgement: Numbers
    """TCP: nanoseconds at which each of them came back."""
    echo: Numbers
    """TCP: the timestamp each of them echoes."""

    def received(self) -> Flags:
        """Of each transmission, whether it arrived."""
        flags = np.zeros(len(self.sent), dtype=np.bool_)
        flags[self.arrived] = True
        return flags

    def in_window(self, begin: int, end: int) -> tuple[int, int]:
        """First number sent at or after ``begin``, first one at or after ``end`` (nanoseconds)."""
        first, last = np.searchsorted(self.sent, (begin, end), side="left")
        return int(first), int(last)


def streams(
    at_sender: Packets, at_receiver: Packets, source: int, destination: int, port: int
) -> Iterator[Stream]:
    """Every flow from one end to the other, by its port at the sender.

    :param source: the sender's address as a number.
    :param port: the receiver's.
    """
    departures = at_sender.where(_data(at_sender, source, destination, port) & at_sender.outgoing)
    arrivals = at_receiver.where(_data(at_receiver, source, destination, port) & ~at_receiver.outgoing)
    back = at_sender.where(
        at_sender.tcp
        & ~at_sender.outgoing
        & (at_sender.source == destination)
        & (at_sender.destination == source)
        & (at_sender.source_port == port)
    )
    for number in np.unique(departures.source_port).tolist():
        yield _stream(
            number,
            departures.where(departures.source_port == number),
            arrivals.where(arrivals.source_port == number),
            back.where(back.destination_port == number),
        )


def _data(packets: Packets, source: int, destination: int, port: int) -> Flags:
    flags: Flags = (
        (packets.source == source)
        & (packets.destination == destination)
        & (packets.destination_port == port)
        & (packets.payload > 0)
    )
    return flags


def _stream(port: int, departures: Packets, arrivals: Packets, back: Packets) -> Stream:
    numbers = _match(_names(departures), _names(arrivals))
    known = numbers >= 0
    again = ~known & np.isin(_names(arrivals), _names(departures))
    sequence = departures.sequence
    acknowledged = back.acknowledgement
    if len(sequence) and bool(departures.tcp[0]):
        base = int(sequence[0])
        sequence, acknowledged = _unwrapped(sequence, base), _unwrapped(acknowledged, base)
    order = np.argsort(_names(departures), kind="stable")
    place = np.searchsorted(_names(departures)[order], _names(arrivals)[again])
    return Stream(
        port=port,
        tcp=bool(departures.tcp[0]),
        sent=departures.time,
        sequence=sequence,
        payload=departures.payload,
        timestamp=departures.timestamp,
        arrived=numbers[known],
        arrival=arrivals.time[known],
        duplicates=order[place],
        acknowledged=acknowledged,
        acknowledgement=back.time,
        echo=back.timestamp_echo,
    )


def _names(packets: Packets) -> Numbers:
    """What tells one transmission of a flow from another: TCP's sequence number and timestamp."""
    return packets.sequence << 32 | packets.timestamp


def _occurrences(names: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Names in order, where each stood before, and how many of the same stood before it."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    return ordered, order, np.arange(len(names)) - np.searchsorted(ordered, ordered, side="left")


def _match(sent: Numbers, arrived: Numbers) -> Numbers:
    """Of each arrival, the number of its transmission; -1 for one more than were sent.

    Should two transmissions bear one name, the first arrival is taken for the first of them.
    """
    ordered, order, _ = _occurrences(sent)
    ordered_arrivals, arrival_order, nth = _occurrences(arrived)
    place = np.searchsorted(ordered, ordered_arrivals, side="left") + nth
    inside = np.minimum(place, len(ordered) - 1)
    fits = (place < len(ordered)) & (ordered[inside] == ordered_arrivals)
    numbers = np.full(len(arrived), -1, dtype=np.int64)
    numbers[arrival_order] = np.where(fits, order[inside], -1)
    return numbers


def _unwrapped(numbers: Numbers, base: int) -> Numbers:
    """32-bit numbers counted on from ``base`` = 0; neighbours differ by less than 2^31."""
    steps = np.diff(numbers, prepend=base)
    signed = (steps + 2**31) % 2**32 - 2**31
    found: Numbers = np.cumsum(signed)
    return found
