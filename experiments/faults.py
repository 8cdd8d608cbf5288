# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of ``failover``: what goes wrong, when it is mended, what must hold.

A case of your own is one more :class:`Disturbance` in :data:`FAULTS`: its steps are functions of
a :class:`Site`, each with its moment in seconds after the first. *The busiest link* is the one
that has carried most in the second before the fault, in the direction of the stream. After the
last step every tunnel must come back; a step that checks something else raises ``BrokenError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from experiments.disturbed.disturbance import CO_LOCATED, FOREIGN_AGENT, NAT, Disturbance, Step
from experiments.disturbed.site import Site, co_located, other_address

DEAD = 2.0
"""Seconds a fault lasts that is mended by hand: several times what detection takes."""
RESTART = 0.5
"""Seconds between an agent's death and its next start: as a service manager does it."""
REBOOT = 1.0
"""Seconds the NAT is down."""
FLAPS, FLAP = 4, 0.5
"""A flapping link is dead and alive for ``FLAP`` seconds each, ``FLAPS`` times."""
_SIGNALLING = "mip-signalling-lost"
"""Name of the nft table that drops registrations."""
_REBOOT = "rebooting"
"""Name of the nft table that drops everything at the NAT."""


def _lose(*directions: str, rank: int = 0) -> Callable[[Site], None]:
    return lambda site: site.lose(site.busiest(rank), directions)


def _mend(*directions: str, rank: int = 0) -> Callable[[Site], None]:
    return lambda site: site.lose(site.busiest(rank), directions, percent=0)


def _both(*steps: Callable[[Site], None]) -> Callable[[Site], None]:
    def do(site: Site) -> None:
        for step in steps:
            step(site)

    return do


def _flapping() -> Iterator[Step]:
    for flap in range(FLAPS):
        yield Step(2 * flap * FLAP, _lose("down", "up"))
        yield Step((2 * flap + 1) * FLAP, _mend("down", "up"))


def _kill_home_agent(site: Site) -> None:
    site.note_bindings()
    site.kill("ha")


def _launch_home_agent(site: Site) -> None:
    site.launch("ha")
    site.check_bindings_kept()


def _lose_signalling(site: Site) -> None:
    """Drop registration messages where all of them pass; Tunnel Data on the same port goes on."""
    site.node("internet").namespace.nft(
        f"table ip {_SIGNALLING} {{\nchain forward {{\ntype filter hook forward priority 0\n"
        "udp dport 434 @th,64,8 { 1, 3 } drop\nudp sport 434 @th,64,8 { 1, 3 } drop\n}\n}\n"
    )


def _let_signalling_pass(site: Site) -> None:
    site.node("internet").namespace.nft(f"delete table ip {_SIGNALLING}\n")


def _reregister(site: Site) -> None:
    site.agents.ask("mn", "reregister", bulk=False)


def _cut_nat_off(site: Site) -> None:
    """The NAT is down: it forwards nothing."""
    site.affected |= {access.binding_id for access in site.topology.accesses}
    site.node("nat").namespace.nft(
        f"table ip {_REBOOT} {{\nchain forward {{\n"
        "type filter hook forward priority -400; policy drop\n}\n}\n"
    )


def _boot_nat(site: Site) -> None:
    """The NAT is up again and knows no mapping: the first to send takes the port that another had."""
    namespace = site.node("nat").namespace
    namespace.forget_flows()
    namespace.nft(f"delete table ip {_REBOOT}\n")


def _renumber(site: Site) -> None:
    """The busiest co-located care-of address is replaced in one go."""
    access = site.busiest(among=co_located)
    old = site.care_of_address(access)
    site.remove_address(access, old)
    site.add_address(access, other_address(access, old))


FAULTS = (
    Disturbance(
        "silent-loss",
        "the busiest link loses everything both ways, carrier stays",
        (Step(0, _lose("down", "up")), Step(DEAD, _mend("down", "up"))),
    ),
    Disturbance(
        "one-way-up",
        "the busiest link loses everything from the mobile node",
        (Step(0, _lose("up")), Step(DEAD, _mend("up"))),
    ),
    Disturbance(
        "one-way-down",
        "the busiest link loses everything to the mobile node",
        (Step(0, _lose("down")), Step(DEAD, _mend("down"))),
    ),
    Disturbance(
        "carrier-loss",
        "the mobile node's interface on the busiest link loses its carrier",
        (
            Step(0, lambda site: site.set_carrier(site.busiest(), False)),
            Step(DEAD, lambda site: site.set_carrier(site.busiest(), True)),
        ),
    ),
    Disturbance(
        "flapping",
        f"the busiest link is silently dead for {FLAP:g} s in each of {FLAPS * 2 * FLAP:g} s",
        tuple(_flapping()),
    ),
    Disturbance(
        "fa-killed",
        f"the foreign agent is killed and started again after {DEAD:g} s",
        (Step(0, lambda site: site.kill("fa")), Step(DEAD, lambda site: site.launch("fa"))),
        needs=(FOREIGN_AGENT,),
    ),
    Disturbance(
        "ha-restart",
        f"the home agent is killed and started again after {RESTART:g} s; no binding may be lost",
        (Step(0, _kill_home_agent), Step(RESTART, _launch_home_agent)),
    ),
    Disturbance(
        "mn-restart",
        f"the mobile node's agent is killed and started again after {RESTART:g} s",
        (Step(0, lambda site: site.kill("mn")), Step(RESTART, lambda site: site.launch("mn"))),
    ),
    Disturbance(
        "nat-reboot",
        f"the NAT forwards nothing for {REBOOT:g} s and has forgotten every mapping",
        (Step(0, _cut_nat_off), Step(REBOOT, _boot_nat)),
        needs=(NAT,),
    ),
    Disturbance(
        "nat-expiry",
        "the NAT forgets the mapping of the busiest co-located care-of address",
        (Step(0, lambda site: site.forget_mapping(site.busiest(among=co_located))),),
        needs=(NAT,),
    ),
    Disturbance(
        "renumber",
        "the busiest co-located care-of address is replaced by another",
        (Step(0, _renumber),),
        needs=(CO_LOCATED,),
    ),
    Disturbance(
        "signalling-loss",
        f"every registration is due, and for {DEAD:g} s no registration message gets through",
        (Step(0, _both(_lose_signalling, _reregister)), Step(DEAD, _let_signalling_pass)),
    ),
    Disturbance(
        "double",
        "the two busiest links lose everything both ways at once, carriers stay",
        (
            Step(0, _both(_lose("down", "up"), _lose("down", "up", rank=1))),
            Step(DEAD, _both(_mend("down", "up"), _mend("down", "up", rank=1))),
        ),
    ),
)
"""In the order in which results list them."""
