# SPDX-License-Identifier: GPL-2.0-or-later
"""The probers of all tunnels of a mobile node, and what follows from them (FACTS G25, G51).

A tunnel fails only while another one works. If all are silent at once, the home agent or the way
to it is gone and giving up tunnels would help nobody: the bindings are registered again instead,
each by its own link, which also mends a home agent that has lost them, or a NAT its mappings.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import AccessLink, SendProbe, StartTimer, StopTimer, Tunnel
from agents.link_load import LinkLoad, Traffic
from agents.liveness import PathProber, Prober, Reason, State
from agents.mobile_node_link import Attachment, Link
from agents.mobile_node_outbox import Outbox
from agents.settings import Liveness, MobileNodeSettings
from agents.wire import EchoReply, EchoRequest, WireError

PROBES = "probes"
"""Key of the timer; when it runs out, ``MobileNode.probe`` wants to know what was carried."""
Carried = Mapping[Tunnel | AccessLink, Traffic]
"""What each way has carried so far."""
SILENCE_MINIMUM = 1.0
SILENCE_MAXIMUM = 60.0
"""Seconds between two attempts to register a silent tunnel again: doubling, within these."""


_SOON = 0.001
"""Seconds until the timer runs out if something is overdue, as when an answer shortens a time-out."""


@dataclass(slots=True)
class _Watched:
    """A tunnel, or an access link without one, and its prober."""

    way: Tunnel | AccessLink
    prober: Prober
    renewals: int = 0
    """How often the binding was registered again because all tunnels were silent."""
    renew_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class _Path:
    """The bare path of a failed tunnel."""

    address: IPv4Address
    prober: PathProber


class Watch:
    """Watches all tunnels; ``Link.recovering`` says which links must not be registered yet."""

    def __init__(self, settings: MobileNodeSettings, random: random.Random, outbox: Outbox) -> None:
        self._settings = settings
        self._random = random
        self._outbox = outbox
        self._watched: dict[Link, _Watched] = {}
        self._paths: dict[Link, _Path] = {}
        self._wake = math.inf
        self.silent = False
        """Whether no tunnel answers at all."""
        self.answers_discarded = 0
        """Answers that came by another way than asked, or a second time."""

    # ----- what is to be probed -----

    def follow(self, links: Iterable[Link], now: float) -> None:
        """Have a prober for each tunnel there is, and one for the path of each that has failed."""
        if not self._settings.liveness.enabled:
            return
        links = list(links)
        alone = all(link.binding is None for link in links)
        for link in links:
            way = None if link.binding is None else link.binding.way
            watched = self._watched.get(link)
            if way != (None if watched is None else watched.way):
                self._watched.pop(link, None)
                link.doubtful = False
                if way is not None:
                    load = LinkLoad(link.settings.downlink_kbit, link.settings.uplink_kbit)
                    self._watched[link] = _Watched(way, Prober(*self._seed(), now, load))
            self._follow_path(link, alone, now)
        self._arm(now)

    def _follow_path(self, link: Link, alone: bool, now: float) -> None:
        path = self._paths.pop(link, None)
        if not link.recovering:
            return
        attachment = link.attachment(refused_too=True)
        if alone or (attachment is not None and self._works_again(link, attachment, path)):
            link.recovering = False
        elif attachment is not None and attachment.foreign_agent is None:
            if path is None or path.address != attachment.care_of_address:
                path = _Path(attachment.care_of_address, PathProber(*self._seed(), now))
            self._paths[link] = path

    @staticmethod
    def _works_again(link: Link, attachment: Attachment, path: _Path | None) -> bool:
        """Whether a registration by a failed link may do more good than harm."""
        agent = link.agent(attachment)
        if agent is not None:  # its reply would come the same way as its advertisements
            return agent.heard > link.failed_at
        return path is not None and path.address == attachment.care_of_address and path.prober.proven

    def _seed(self) -> tuple[Liveness, random.Random, int]:
        """Settings, randomness and a free identifier for a new prober."""
        taken = {watched.prober.identifier for watched in self._watched.values()}
        taken |= {path.prober.identifier for path in self._paths.values()}
        identifier = self._random.getrandbits(16)
        while identifier in taken:
            identifier = self._random.getrandbits(16)
        return self._settings.liveness, self._random, identifier

    # ----- inputs -----

    def tick(self, carried: Carried, now: float) -> None:
        """The timer has run out: send what is due."""
        self._wake = math.inf
        for link, watched in self._watched.items():
            sequence = watched.prober.tick(carried.get(watched.way, Traffic()), now)
            if sequence is not None:
                self._send(link, watched.prober, sequence, self._settings.home_address, watched.way)
            link.doubtful = watched.prober.state is State.SUSPECTED
        for link, path in self._paths.items():
            sequence = path.prober.tick(now)
            if sequence is not None:
                self._send(link, path.prober, sequence, path.address, None)
        self._arm(now)

    def take_answer(
        self, payload: bytes, source: IPv4Address, way: Tunnel | AccessLink | None, interface: str, now: float
    ) -> bool:
        """An ICMP message has come that may answer a probe; whether something is to be judged anew.

        An answer counts for the tunnel by which it came and no other, once, and only with what
        nobody knows who has not seen the probe.

        :param way: by which it came; None: bare by ``interface``.
        """
        try:
            reply = EchoReply.decode(payload)
        except WireError:
            return False
        key = (self._settings.home_agent, reply.identifier, reply.data)
        for link, watched in self._watched.items():
            prober = watched.prober
            if key == (source, prober.identifier, prober.nonce):
                if way != watched.way or not prober.take_answer(reply.sequence, now):
                    self.answers_discarded += 1
                    return False
                return self._answered(link, watched, now)
        for link, path in self._paths.items():
            if key == (source, path.prober.identifier, path.prober.nonce):
                if interface != link.settings.name or not path.prober.take_answer(reply.sequence, now):
                    self.answers_discarded += 1
                    return False
                self._arm(now)
                return path.prober.proven
        return False

    def _answered(self, link: Link, watched: _Watched, now: float) -> bool:
        link.doubtful = watched.prober.state is State.SUSPECTED
        link.probe_round_trip = watched.prober.round_trip or 0.0
        if not link.doubtful:
            watched.renewals, watched.renew_at = 0, -math.inf
            if self.silent:
                self.silent = False
                self._outbox.report("home-agent-answers")
        self._arm(now)
        return any(other.doubtful for other in self._watched)

    # ----- judgement -----

    def failed(self) -> list[tuple[Link, Reason]]:
        """The tunnels to give up."""
        spans = {link: watched.prober.worked for link, watched in self._watched.items()}
        found = []
        for link, watched in self._watched.items():
            if link.doubtful:
                others = [span for other, span in spans.items() if other is not link and span is not None]
                reason = watched.prober.verdict(others)
                if reason is not None:
                    found.append((link, reason))
        return found

    @property
    def recovered(self) -> bool:
        """Whether the path of a failed tunnel works again."""
        return any(path.prober.proven for path in self._paths.values())

    def to_renew(self, now: float) -> list[Link]:
        """If no tunnel answers: those whose binding is to be registered again now.

        One that has never answered is left alone: perhaps the home agent answers no echo requests.
        """
        if not self._watched or not all(watched.prober.silent for watched in self._watched.values()):
            return []
        if not self.silent:
            self.silent = True
            self._outbox.report("home-agent-silent", warning=True)
        due = []
        for link, watched in self._watched.items():
            if watched.prober.round_trip is not None and now >= watched.renew_at:
                doublings = min(watched.renewals, 10)
                watched.renew_at = now + min(SILENCE_MINIMUM * 2.0**doublings, SILENCE_MAXIMUM)
                watched.renewals += 1
                due.append(link)
        return due

    # ----- views -----

    def row(self, link: Link, now: float) -> dict[str, str | float | int | None]:
        """What is known of a link's tunnel, in JSON's types: milliseconds, shares and seconds."""
        watched = self._watched.get(link)
        if watched is None:
            failed = link.failure is not None
            return {
                "state": None if not failed else "recovering" if link.recovering else "failed",
                "why": None if link.failure is None else str(link.failure),
                "since": round(now - link.failed_at, 3) if failed else None,
            }
        prober = watched.prober
        return {
            "state": str(prober.state),
            "why": None if link.failure is None else str(link.failure),
            "since": round(now - prober.since, 3),
            "round_trip_ms": None if prober.round_trip is None else round(1000 * prober.round_trip, 3),
            "time_out_ms": round(1000 * prober.time_out, 3),
            "loss": round(prober.loss, 4),
            "probes_sent": prober.sent,
            "probes_answered": prober.answered,
        }

    # ----- effects -----

    def _send(
        self,
        link: Link,
        prober: Prober | PathProber,
        sequence: int,
        source: IPv4Address,
        way: Tunnel | AccessLink | None,
    ) -> None:
        request = EchoRequest(prober.identifier, sequence, prober.nonce)
        self._outbox.emit(
            SendProbe(request.encode(), source, self._settings.home_agent, link.settings.name, way)
        )

    def _arm(self, now: float) -> None:
        """Have the timer run out in time. Too early does no harm, and spares most changes."""
        deadlines = [watched.prober.deadline() for watched in self._watched.values()]
        deadlines += [path.prober.send_at for path in self._paths.values()]
        deadline = min(deadlines, default=math.inf)
        if deadline == math.inf:
            if self._wake < math.inf:
                self._outbox.emit(StopTimer(PROBES))
            self._wake = math.inf
        elif deadline < self._wake:
            self._wake = max(deadline, now + _SOON)
            self._outbox.emit(StartTimer(PROBES, self._wake))
