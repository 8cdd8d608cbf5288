# SPDX-License-Identifier: GPL-2.0-or-later
"""What may wait in the two queues of an access link, as far as one of its users can tell.

A queue delays probes, and an overflowing one loses them: neither is a failure. The rates of the link
are known (they are announced to the home agent), and so is what is sent and received by it:

* *Upward* the own packets make the queue. It grows by what is sent and shrinks at the link's rate, so
  how long a packet waits that is sent now follows. What the queue had no room for is counted too; a
  probe's round trip, in which it waited no longer, mends that.
* *Downward* only what has left the queue is seen. A queue that is not empty sends at the link's full
  rate. So while less is received, it is empty, or was a moment ago; and an answer that was due
  before the present busy time began is lost, and not late. One that was due later may still wait,
  but for no longer than it takes to empty the longest queue.

A link that another user fills, or whose rates are not known, explains nothing by this.
"""

from __future__ import annotations

from dataclasses import dataclass

PACKET = 1514
"""Octets of a full packet with its Ethernet header."""
QUEUE_PACKETS, QUEUE_SECONDS = 64, 0.15
"""A queue is taken to hold so many full packets, or what the link sends in so many seconds if that is
more. The default links' hold 50, or 0.08 s (topologies/links.py)."""
BUSY = 0.85
"""Share of the rate from which on a link is busy: some packets are lost on the air, some are another's."""
ALLOWANCE = 4 * PACKET
"""Octets that a busy link may have sent too few: packets come whole, and some are lost."""
CROWD = 4
"""While a queue explains what is missing, a probe goes out for each so many full packets at most."""
_OCTETS_PER_KBIT = 125


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of a way since some moment; octets as its access link carries them, with all headers."""

    received_packets: int = 0
    received_octets: int = 0
    sent_octets: int = 0


class LinkLoad:
    """The two queues of one link."""

    def __init__(self, down_kbit: int, up_kbit: int) -> None:
        """Nothing waits.

        :param down_kbit: kbit/s towards this node, counted with the Ethernet header; 0: unknown.
        :param up_kbit: the same from this node.
        """
        self._down, self._up = down_kbit * _OCTETS_PER_KBIT, up_kbit * _OCTETS_PER_KBIT
        self._counted: Traffic | None = None
        self._looked_at = 0.0
        self._queued = 0.0
        """Octets upward."""
        self._shortfall = 0.0
        """Octets that have come too few for a busy link."""
        self._busy_since = 0.0

    def observe(self, traffic: Traffic, now: float) -> None:
        """A look at the counters."""
        before, elapsed = self._counted or traffic, now - self._looked_at
        first = self._counted is None
        self._counted, self._looked_at = traffic, now
        if first:
            self._busy_since = now
            return
        sent = max(0, traffic.sent_octets - before.sent_octets)
        self._queued = min(max(0.0, self._queued + sent - self._up * elapsed), _capacity(self._up))
        received = max(0, traffic.received_octets - before.received_octets)
        self._shortfall = max(0.0, self._shortfall + BUSY * self._down * elapsed - received)
        if self._down and self._shortfall > ALLOWANCE:
            self._shortfall = ALLOWANCE
            # At the full rate, what has come cannot have taken longer.
            self._busy_since = max(self._busy_since, now - received / (BUSY * self._down))

    @property
    def sent_octets(self) -> int:
        """What had been sent at the latest look."""
        return 0 if self._counted is None else self._counted.sent_octets

    def waited(self, seconds: float, sent: float, octets: int) -> None:
        """What was sent at a moment has waited no longer than that; ``octets`` had been sent before it."""
        since = self.sent_octets - octets - self._up * (self._looked_at - sent)
        self._queued = max(0.0, min(self._queued, self._up * seconds + since))

    @property
    def sending_delay(self) -> float:
        """Seconds that what is sent now waits in the queue upward."""
        return self._queued / self._up if self._up else 0.0

    @property
    def overflows(self) -> bool:
        """Whether what is sent now may be lost for want of room upward: real queues may be half as long."""
        return bool(self._up) and self._queued >= _capacity(self._up) / 2

    def busy(self, due: float) -> bool:
        """Whether the link has been busy downward all the time since an answer was due."""
        return bool(self._down) and self._busy_since <= due

    def waits(self, due: float, now: float) -> bool:
        """Whether an answer that was due may still be in the queue downward."""
        return self.busy(due) and now < due + _capacity(self._down) / self._down

    @property
    def pace(self) -> float:
        """Seconds between two probes at least while they compete with what fills the link."""
        return CROWD * PACKET / min(rate for rate in (self._down, self._up, PACKET * 1e6) if rate)


def _capacity(rate: float) -> float:
    """Octets the queue of a link of this rate (octets/s) may hold."""
    return max(QUEUE_PACKETS * PACKET, QUEUE_SECONDS * rate)
