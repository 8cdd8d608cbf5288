# SPDX-License-Identifier: GPL-2.0-or-later
"""The access links: what they are like, how a person writes one, and what netem makes of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

ETHERNET_HEADER = 14
"""Octets that netem counts in front of each IP packet."""
MINIMUM_QUEUE = 50


class LinkError(ValueError):
    """A link that cannot be; one line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class AccessLink:
    """One access network: a shaped layer-2 segment between the internet and the mobile node."""

    name: str
    down: float
    """Mbit/s towards the mobile node, counted as Ethernet frames."""
    up: float
    """Mbit/s from the mobile node."""
    delay: float
    """One-way delay in milliseconds, the same both ways."""
    access_technology: int = 0
    """If-Type of the Multiple Tunnel Request (RFC 5213's registry, FACTS §18)."""
    loss: float = 0.0
    """Per cent of the packets lost at random, each way."""
    jitter: float = 0.0
    """Largest deviation from the delay in milliseconds, evenly distributed; may reorder."""
    queue: int | None = None
    """Packets each shaper holds, those in flight included; None: as :func:`shaper` says."""
    mtu: int = 1500
    """Octets of the largest IP packet."""

    def rate(self, direction: str) -> float:
        """Mbit/s in a direction, ``down`` or ``up``."""
        return self.down if direction == "down" else self.up


DEFAULT_LINKS = (
    AccessLink("wifi", 20, 20, 5, access_technology=4),
    AccessLink("evdo", 3.1, 1.8, 40, access_technology=10),
    AccessLink("wimax", 10, 4, 25, access_technology=5),
    AccessLink("lte", 40, 20, 15, access_technology=8),
)
"""The four links of the draft's Figure 1, in the order of their binding identifiers."""


@dataclass(frozen=True, slots=True)
class Shaper:
    """What netem does to one direction of a link."""

    rate: float
    """Mbit/s, counted with the Ethernet header."""
    delay: float
    """Milliseconds."""
    jitter: float
    """Milliseconds."""
    loss: float
    """Per cent."""
    limit: int
    """Packets held, those merely in flight included."""


def shaper(link: AccessLink, direction: str, links: Iterable[AccessLink]) -> Shaper:
    """The shaper of one direction, ``down`` or ``up``, of ``link``.

    The queue holds what the delay keeps in flight plus one bandwidth-delay product at the
    largest base round-trip time among ``links``, all links of the figure.
    """
    rate = link.rate(direction)
    largest_round_trip = 2 * max(other.delay for other in links) / 1000
    packet_bits = 8 * (link.mtu + ETHERNET_HEADER)
    in_packets = rate * 1e6 * (link.delay / 1000 + largest_round_trip) / packet_bits
    limit = link.queue if link.queue is not None else max(MINIMUM_QUEUE, math.ceil(in_packets))
    return Shaper(rate, link.delay, link.jitter, link.loss, limit)


_FORM = re.compile(r"(?P<name>[^=]*)=(?P<down>[^/]*)/(?P<up>[^:]*):(?P<delay>[^,]*)(?P<options>(,[^,]*)*)")
_SYNTAX = "NAME=DOWN/UP:DELAY[,loss=PERCENT][,jitter=MS][,queue=PACKETS][,mtu=OCTETS]"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "down": (0.01, 1000, "a rate of 0.01 to 1000 Mbit/s"),
    "up": (0.01, 1000, "a rate of 0.01 to 1000 Mbit/s"),
    "delay": (0, 10_000, "a delay of 0 to 10000 ms"),
    "loss": (0, 99, "a loss of 0 to 99 per cent"),
    "jitter": (0, 10_000, "a jitter of 0 to 10000 ms"),
    "queue": (1, 1_000_000, "a queue of 1 to 1000000 packets"),
    "mtu": (576, 1500, "an MTU of 576 to 1500 octets"),
}
_WHOLE = frozenset({"queue", "mtu"})
_OPTIONS = tuple(field.name for field in fields(AccessLink) if field.name in _LIMITS)[3:]


def _value(text: str, key: str, word: str, problems: list[str]) -> float | int:
    low, high, allowed = _LIMITS[key]
    text = text.strip().removesuffix("ms") if key in {"delay", "jitter"} else text.strip()
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        problems.append(f"--link {word}: {key} is {text!r}; allowed is {allowed}")
        return low
    if key in _WHOLE and "." in text:
        problems.append(f"--link {word}: {key} is {text!r}; allowed is a whole number, {allowed}")
    return int(float(text)) if key in _WHOLE else float(text)


def parse_links(words: Iterable[str], base: Iterable[AccessLink] = DEFAULT_LINKS) -> tuple[AccessLink, ...]:
    """The links of a run: ``base``, with those changed that ``--link`` names.

    :raises LinkError: with every problem of every word.
    """
    links = {link.name: link for link in base}
    problems: list[str] = []
    seen: set[str] = set()
    for word in words:
        form = _FORM.fullmatch(word)
        if form is None:
            problems.append(f"--link {word}: the form is {_SYNTAX}")
            continue
        name = form["name"]
        if name not in links:
            problems.append(f"--link {word}: there is no link {name!r}; there are {', '.join(links)}")
        elif name in seen:
            problems.append(f"--link {word}: {name} is given twice")
        seen.add(name)
        changes = {key: _value(form[key], key, word, problems) for key in ("down", "up", "delay")}
        for option in form["options"].split(",")[1:]:
            key, _, text = option.partition("=")
            if key not in _OPTIONS:
                problems.append(f"--link {word}: there is no option {key!r}; there are {', '.join(_OPTIONS)}")
            elif key in changes:
                problems.append(f"--link {word}: {key} is given twice")
            else:
                changes[key] = _value(text, key, word, problems)
        if name in links:
            links[name] = replace(links[name], **changes)  # type: ignore[arg-type]
    if problems:
        raise LinkError(problems)
    return tuple(links.values())
