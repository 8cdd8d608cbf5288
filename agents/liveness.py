# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether one tunnel still carries packets: a state machine per tunnel (FACTS G25).

Pure: the time and what was received come in, probes to send and a verdict come out.

* A probe goes out every ``interval``. It is *missing* when it is unanswered after the time-out,
  max(interval, SRTT + max(4 RTTVAR, granularity)), with SRTT and RTTVAR of RFC 6298 §2. So the
  time-out follows a queue that fills, and a loaded link is not called dead for being slow.
* With the first missing probe the tunnel is *suspected*. Probes then follow each other after
  ``quick_interval``, with a random part, or they would meet a periodic sender's packets at the same
  place in a queue again and again.
* ``unanswered`` missing in a row (6) and nothing received by the tunnel since the first: nothing
  comes through any more. With an interval of 0.1 s and a time-out of as much, that is known 0.28
  to 0.38 s after the last packet: up to one interval until the next probe, one time-out, four
  quick intervals, one time-out.
* ``unanswered_with_data`` missing in a row (10) although packets arrive: only what is sent is
  lost. More are asked for, because arriving packets make it likelier that mere congestion, which
  loses the small packets of a full queue with the large ones, took the probes.
* A queue that overflows loses four of five small packets where it loses one of two large ones: so
  many (93) must be missing that a live tunnel loses all of them only once in a thousand million times.
  What is sent and received tells what the link's queues may hold (agents/link_load.py): a probe
  whose answer may still wait in one is not missing, and 93 are asked for of those that one may have lost.
* Where the last answered probe took longer than the fastest by more than ``LOADED`` and the link's own
  traffic does not explain it, somebody else's queue was filling: twice as many (12) must be missing,
  and 93 while packets arrive.
* Where probes are lost all the time, more must be missing: so many that a live tunnel loses all of
  them only once in a thousand million times, judged by the loss before the suspicion (at 10 % 9,
  at 50 % 30, never more than 200).
* Where the time-out is longer than the interval (a full queue), the interval is halved: then the
  sixth probe is under way as early as on an idle link, and only the time-out itself comes on top.

Whether missing probes are this tunnel's fault or the home agent's is for the other tunnels to say:
:meth:`Prober.verdict` counts only the probes sent while another tunnel is known to have worked.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from agents.link_load import LinkLoad, Traffic
from agents.settings import Liveness

FIRST_TIME_OUT = 1.0
"""Seconds, until an answer has told the round-trip time (RFC 6298 §2.1)."""
GRANULARITY = 0.01
"""Least margin in seconds over the smoothed round-trip time: timers and queues are no finer."""
ODDS = 1e-9
"""How likely a live tunnel may be taken for a failed one, each time it is suspected."""
MOST_UNANSWERED = 200
"""Missing probes that suffice whatever the loss."""
LOADED = 0.02
"""Seconds over the shortest round trip that show a queue of somebody else."""
OVERFLOW_LOSS = 0.8
"""Share of small packets that a queue loses while large ones overflow it."""
UNANSWERED_CROWDED = math.ceil(math.log(ODDS, OVERFLOW_LOSS))
"""Missing probes that an overflowing queue may have lost: so many suffice."""
QUICK_SPREAD = 0.25
"""Quick probes come up to so much earlier or later, as a part of their interval."""
_LOSS_GAIN = 1 / 16
_LONGEST_GAP = 1.5
"""Intervals between two answered probes beyond which the tunnel may have been dead in between."""
_MOST_OUTSTANDING = 256
_EARLY = 1e-6
"""A timer may run so much too early."""


class State(StrEnum):
    """What is known of a tunnel."""

    UNPROVEN = "unproven"
    """No probe has been answered so far."""
    ALIVE = "alive"
    SUSPECTED = "suspected"
    """The latest probes are missing."""


class Reason(StrEnum):
    """Why a tunnel is given up."""

    SILENT = "silent"
    """Neither answers nor packets come by it."""
    ONE_WAY_UP = "one-way-up"
    """Packets come by it, answers do not: what is sent is lost."""
    LINK_DOWN = "link-down"
    """The interface has lost its carrier, or is gone."""
    CARE_OF_ADDRESS_GONE = "care-of-address-gone"
    """The interface has lost the address, or the foreign agent is no longer heard."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a tunnel is known to have worked, by when its answered probes were sent."""

    begin: float
    end: float

    def contains(self, moment: float) -> bool:
        """Whether a probe sent then would have been answered."""
        return self.begin - _EARLY <= moment <= self.end + _EARLY


@dataclass(slots=True)
class _Probe:
    sent: float
    octets: int
    """Sent by the tunnel before it."""
    waits: float
    """Seconds it may wait in the link's queue upward."""
    crowded: bool
    """An overflowing queue may have lost it, or its answer."""
    excused: bool = False
    """Overdue, but the answer may wait in the link's queue downward."""
    missing: bool = False


class Prober:
    """The probes of one tunnel, from its registration to its end."""

    def __init__(
        self, settings: Liveness, random: Random, identifier: int, now: float, load: LinkLoad | None = None
    ) -> None:
        """Begin; the first probe is due within an interval.

        :param identifier: of the echo requests, 16 bits, no other prober's.
        :param load: of the access link; None: its rates are not known.
        """
        self._settings = settings
        self._random = random
        self._load = load or LinkLoad(0, 0)
        self.identifier = identifier
        self.nonce = random.randbytes(8)
        """In every probe: whoever cannot see the probes cannot answer them."""
        self._sequence = random.getrandbits(16)
        self._probes: dict[int, _Probe] = {}
        """Unanswered, by sequence number, in the order of sending."""
        self._variation = 0.0
        self._shortest = math.inf
        self._unexplained = 0.0
        """Seconds the latest answer took longer than the fastest for no reason known here."""
        self._worked: Span | None = None
        self._received = 0
        self._needed = 0
        self._looked_at = now
        self.round_trip: float | None = None
        """Smoothed, in seconds."""
        self.loss = 0.0
        """Share of missing probes, smoothed."""
        self.sent = self.answered = 0
        self.suspected = False
        """The latest probes are missing."""
        self.since = now
        """Since when the state is what it is."""
        self.receiving = False
        """While suspected: whether packets have come by the tunnel since."""
        self._send_at = self._next_after(now)

    # ----- what is known -----

    @property
    def state(self) -> State:
        """In one word."""
        if self.suspected:
            return State.SUSPECTED
        return State.UNPROVEN if self.round_trip is None else State.ALIVE

    @property
    def time_out(self) -> float:
        """Seconds after which an unanswered probe is missing."""
        if self.round_trip is None:
            return max(FIRST_TIME_OUT, self._settings.interval)
        return max(self._settings.interval, self.round_trip + self._margin)

    @property
    def _margin(self) -> float:
        return max(4 * self._variation, GRANULARITY)

    def _due(self, probe: _Probe) -> float:
        """When the answer would have come if nothing waited in the link's queue downward."""
        if self.round_trip is None:
            return probe.sent
        return probe.sent + self._shortest + probe.waits + self._margin

    def _overdue(self, probe: _Probe) -> float:
        """From when on a probe is missing, unless its answer waits in the link's queue downward."""
        return max(probe.sent + self.time_out, self._due(probe))

    @property
    def worked(self) -> Span | None:
        """The latest time in which the tunnel worked without a gap; None: never so far."""
        return self._worked

    def verdict(self, others: Collection[Span]) -> Reason | None:
        """Why the tunnel must be given up, if it must.

        :param others: when each of the other tunnels worked.
        """
        missing = [probe for probe in self._row() if probe.missing]
        if not any(self._enough([p for p in missing if span.contains(p.sent)]) for span in others):
            return None
        return Reason.ONE_WAY_UP if self.receiving else Reason.SILENT

    @property
    def silent(self) -> bool:
        """Whether as many are missing as a failed tunnel's, whoever is to blame."""
        return self._enough([probe for probe in self._row() if probe.missing])

    def _enough(self, missing: Collection[_Probe]) -> bool:
        least = self._settings.unanswered_with_data if self.receiving else self._settings.unanswered
        if self._unexplained > LOADED:
            least = max(least, UNANSWERED_CROWDED) if self.receiving else 2 * least
        least = max(least, self._needed)
        crowded = sum(probe.crowded for probe in missing)
        of_crowded = max(least, UNANSWERED_CROWDED)
        counted = (len(missing) - crowded) * of_crowded + crowded * least
        return self.suspected and counted >= least * of_crowded

    def _row(self) -> list[_Probe]:
        """The unanswered probes since the last answered one."""
        return [probe for probe in self._probes.values() if self._in_row(probe)]

    def _in_row(self, probe: _Probe) -> bool:
        return self._worked is None or probe.sent > self._worked.end

    # ----- inputs -----

    def deadline(self) -> float:
        """When :meth:`tick` has something to do."""
        look = self._looked_at + self._settings.quick_interval
        waiting = [look if p.excused else self._overdue(p) for p in self._probes.values() if not p.missing]
        return min(self._send_at, min(waiting, default=math.inf))

    def tick(self, traffic: Traffic, now: float) -> int | None:
        """Let time pass; the sequence number of the probe to send now, if one is due.

        :param traffic: what the tunnel has carried so far.
        """
        self._looked_at = now
        self._load.observe(traffic, now)
        self._find_missing(traffic.received_packets, now)
        if now + _EARLY < self._send_at:
            return None
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._probes[self._sequence] = self._new_probe(now)
        if len(self._probes) > _MOST_OUTSTANDING:
            del self._probes[next(iter(self._probes))]
        self.sent += 1
        self._send_at = self._next_after(now)
        return self._sequence

    def _new_probe(self, now: float) -> _Probe:
        load = self._load
        return _Probe(now, load.sent_octets, load.sending_delay, load.overflows)

    def _next_after(self, now: float) -> float:
        quick = self._settings.quick_interval
        excused = any(probe.excused for probe in self._row())
        if excused or (self.suspected and not self.silent):
            quick = max(quick, self._load.pace) if excused else quick
            return now + quick * self._random.uniform(1 - QUICK_SPREAD, 1 + QUICK_SPREAD)
        interval = self._settings.interval
        if self.round_trip is not None and self.time_out > interval:
            interval /= 2
        # All tunnels at the same moments: one waking of the process, one look at the counters.
        return (math.floor((now + _EARLY) / interval) + 1) * interval

    def _find_missing(self, received: int, now: float) -> None:
        loss = self.loss
        for probe in self._probes.values():
            if probe.missing:
                continue
            due, overdue = self._due(probe), now + _EARLY >= self._overdue(probe)
            # What is overtaken waits no more.
            probe.excused = overdue and self._in_row(probe) and self._load.waits(due, now)
            if overdue and not probe.excused:
                probe.missing = True
                probe.crowded = probe.crowded or self._load.busy(due)
                self.loss += (1 - self.loss) * _LOSS_GAIN
        if self.suspected:
            self.receiving = self.receiving or received > self._received
        elif any(probe.missing for probe in self._row()):
            self.suspected = True
            self.since = now
            self._received = received
            # By the loss before: that of a dead tunnel must not ask for more probes.
            self._needed = min(MOST_UNANSWERED, math.ceil(math.log(ODDS, loss))) if 0 < loss < 1 else 0
            self._send_at = min(self._send_at, now)

    def take_answer(self, sequence: int, now: float) -> bool:
        """An answer has come by the tunnel; False if it answers no probe still waited for."""
        probe = self._probes.pop(sequence, None)
        if probe is None:
            return False
        self.answered += 1
        if self.round_trip is None:
            self.since = now
        self._measure(now - probe.sent)
        waited = now - probe.sent - self._shortest
        explained = math.inf if self._load.busy(self._due(probe)) else probe.waits
        self._unexplained = max(0.0, waited - explained)
        self._load.waited(waited, probe.sent, probe.octets)
        if not probe.missing:
            self.loss -= self.loss * _LOSS_GAIN
        former = self._worked
        if former is None or probe.sent > former.end:
            gap = _LONGEST_GAP * self._settings.interval
            unbroken = former is not None and probe.sent - former.end <= gap
            self._worked = Span(former.begin if former and unbroken else probe.sent, probe.sent)
        for later in self._row():
            # The time-out may have grown with this answer.
            later.missing = later.missing and now + _EARLY >= self._overdue(later)
        if self.suspected and not any(probe.missing for probe in self._row()):
            self.suspected = self.receiving = False
            self.since = now
            self._send_at = self._next_after(now)
        return True

    def _measure(self, round_trip: float) -> None:
        self._shortest = min(round_trip, self._shortest)
        if self.round_trip is None:
            self.round_trip, self._variation = round_trip, round_trip / 2
        else:
            self._variation += (abs(self.round_trip - round_trip) - self._variation) / 4
            self.round_trip += (round_trip - self.round_trip) / 8


class PathProber:
    """The probes of the bare path of a failed tunnel: it must answer before it is used again.

    A registration over a path that works in one direction only would put a dead tunnel back into
    the home agent's table (the request arrives, the reply does not).
    """

    def __init__(self, settings: Liveness, random: Random, identifier: int, now: float) -> None:
        self._settings = settings
        self.identifier = identifier
        self.nonce = random.randbytes(8)
        self._sequence = random.getrandbits(16)
        self._waiting = False
        self._answers = 0
        self.send_at = now + settings.interval
        """When the next probe is due."""

    @property
    def proven(self) -> bool:
        """Whether enough probes in a row have been answered."""
        return self._answers >= self._settings.recovery_answers

    def tick(self, now: float) -> int | None:
        """The sequence number of the probe to send now, if one is due."""
        if now + _EARLY < self.send_at:
            return None
        if self._waiting:
            self._answers = 0
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._waiting = True
        self.send_at = now + self._settings.recovery_interval
        return self._sequence

    def take_answer(self, sequence: int, now: float) -> bool:
        """An answer has come by the path; False if it does not answer the latest probe."""
        if not self._waiting or sequence != self._sequence:
            return False
        self._waiting = False
        self._answers += 1
        self.send_at = now + self._settings.interval
        return True
