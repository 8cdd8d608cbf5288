# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP tunnelling by the table of FACTS §10 (RFC 3519 §4.6), half-bound tunnels and GRE keys."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import AddTunnel, Encapsulation, RemoveTunnel, Tunnel
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    FOREIGN_AGENT,
    HOME,
    HOME_AGENT,
    LTE,
    NAT,
    OTHER_HOME,
    WIFI,
    D,
    G,
    Lab,
    M,
    Reply,
    T,
    gre_key,
    multiple,
    udp_request,
)

PRIVATE = IPv4Address("192.168.1.2")


def udp_tunnel(remote: IPv4Address, port: int) -> Tunnel:
    return Tunnel(Encapsulation.UDP, HOME_AGENT, remote, local_port=434, remote_port=port)


def answer(reply: Reply) -> tuple[int, bool, int] | None:
    """Reply Code, F and Keepalive Interval of the UDP Tunnel Reply."""
    for kind, data in reply.extensions:
        if kind == 44:
            sub_type, code, flags, keepalive = struct.unpack("!BBHH", data)
            assert (sub_type, flags & 0x7FFF) == (0, 0)
            return code, bool(flags), keepalive
    return None


def register(lab: Lab, source: IPv4Address, port: int = 434, request: bytes = b"", **fields: Any) -> Reply:
    fields.setdefault("care_of_address", PRIVATE)
    return lab.register(1, source=source, source_port=port, more=request, **fields)


class TestTable:
    def test_nat_assent(self) -> None:
        lab = Lab()
        reply = register(lab, NAT, 40001, udp_request())
        assert (reply.code, reply.lifetime, answer(reply)) == (0, 60, (0, False, 110))
        assert reply.types == [44, 32], "protected by the Mobile-Home Authentication"
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 40001)]
        row = lab.rows()[1]
        assert (row["care_of_address"], row["end_point"], row["end_point_port"]) == (
            str(PRIVATE),
            str(NAT),
            40001,
        )

    @pytest.mark.parametrize("changes", [{"udp": {"allowed": False}}, {"encapsulations": {"ipip"}}])
    @pytest.mark.parametrize("request_", [udp_request(), udp_request(required=True)])
    def test_nat_not_allowed(self, changes: dict[str, Any], request_: bytes) -> None:
        lab = Lab(**changes)
        assert register(lab, NAT, 40001, request_).code == 129
        assert lab.rows() == {}

    def test_nat_without_extension(self) -> None:
        """Treated as usual: the tunnel goes to the care-of address."""
        lab = Lab()
        reply = register(lab, NAT, 40001)
        assert (reply.code, answer(reply)) == (0, None)
        assert lab.rows()[1]["end_point"] == str(PRIVATE)

    @pytest.mark.parametrize("allowed", [True, False])
    def test_no_nat_declined(self, allowed: bool) -> None:
        lab = Lab(udp={"allowed": allowed})
        reply = register(lab, WIFI, 434, udp_request(), care_of_address=WIFI)
        assert (reply.code, reply.lifetime, answer(reply)) == (0, 600, (64, False, 0))
        assert lab.rows()[1]["encapsulation"] == "ipip"

    def test_no_nat_forced(self) -> None:
        lab = Lab()
        reply = register(lab, WIFI, 434, udp_request(force=True), care_of_address=WIFI)
        assert (reply.code, answer(reply)) == (0, (0, True, 110))
        assert list(lab.kernel.tunnels) == [udp_tunnel(WIFI, 434)]

    @pytest.mark.parametrize("udp", [{"allowed": False}, {"forced_allowed": False}])
    def test_no_nat_forced_not_allowed(self, udp: dict[str, Any]) -> None:
        lab = Lab(udp=udp)
        assert register(lab, WIFI, 434, udp_request(force=True), care_of_address=WIFI).code == 129

    def test_nat_and_forced(self) -> None:
        """F in the reply means that no NAT was the reason."""
        lab = Lab(udp={"forced_allowed": False})
        reply = register(lab, NAT, 40001, udp_request(force=True))
        assert answer(reply) == (0, False, 110)

    @pytest.mark.parametrize("encapsulation", [47, 55, 200])
    @pytest.mark.parametrize("source", [NAT, PRIVATE])
    def test_bad_encapsulation(self, encapsulation: int, source: IPv4Address) -> None:
        lab = Lab()
        assert register(lab, source, 434, udp_request(encapsulation=encapsulation)).code == 142

    @pytest.mark.parametrize("flags", [D | T | M, D | T | G])
    def test_encapsulation_by_flags(self, flags: int) -> None:
        """Encapsulation 0 follows M and G, which UDP cannot carry here; 4 overrides them."""
        lab = Lab()
        assert register(lab, NAT, 40001, udp_request(), flags=flags).code == 142
        assert register(lab, NAT, 40001, udp_request(encapsulation=4), flags=flags).code == 0
        assert lab.rows()[1]["encapsulation"] == "udp"

    def test_gre_key_inside_udp(self) -> None:
        assert register(Lab(), NAT, 40001, udp_request() + gre_key(5)).code == 142

    def test_flags_count_when_declined(self) -> None:
        lab = Lab()
        register(lab, WIFI, 434, udp_request(), care_of_address=WIFI, flags=D | G | T)
        assert lab.rows()[1]["encapsulation"] == "gre"

    def test_reserved_3_is_skipped(self) -> None:
        """FACTS §24.4."""
        reply = register(Lab(), NAT, 40001, udp_request(reserved3=1))
        assert (reply.code, answer(reply)) == (0, None)

    def test_foreign_agent_behind_a_nat(self) -> None:
        lab = Lab()
        payload = lab.request(multiple(1), udp_request(), flags=T, care_of_address=PRIVATE)
        reply = lab.send(payload, NAT, 40005)
        assert reply is not None
        assert (reply.code, answer(reply)) == (0, (0, False, 110))
        assert reply.types == [32, 44], "for the foreign agent only"
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 40005)]

    def test_foreign_agent_without_nat(self) -> None:
        lab = Lab()
        payload = lab.request(multiple(1), udp_request(required=True), flags=T, care_of_address=FOREIGN_AGENT)
        reply = lab.send(payload, FOREIGN_AGENT, 434)
        assert reply is not None
        assert (reply.code, answer(reply), reply.types) == (0, (64, False, 0), [32, 44])

    def test_deregistration_ignores_it(self) -> None:
        lab = Lab()
        register(lab, NAT, 40001, udp_request())
        assert lab.deregister(1, PRIVATE, source=NAT, more=udp_request()).types == [32]
        assert lab.rows() == {}

    @pytest.mark.parametrize("source", [HOME_AGENT, OTHER_HOME])
    def test_end_point_inside(self, source: IPv4Address) -> None:
        assert register(Lab(), source, 40001, udp_request()).code == 129

    def test_settings(self) -> None:
        lab = Lab(udp={"keepalive": 20, "maximum_lifetime": 300})
        reply = register(lab, NAT, 40001, udp_request(), lifetime=400)
        assert (reply.lifetime, answer(reply)) == (300, (0, False, 20))

    def test_general_maximum_holds_too(self) -> None:
        assert register(Lab(maximum_lifetime=30), NAT, 40001, udp_request()).lifetime == 30


class TestBehindOneNat:
    """Figure 6 (G29): bindings are told apart by the port."""

    def test_two_bindings(self) -> None:
        lab = Lab()
        lab.register(1, PRIVATE, source=NAT, source_port=40001, more=udp_request())
        lab.register(2, PRIVATE, source=NAT, source_port=40002, more=udp_request())
        assert set(lab.kernel.tunnels) == {udp_tunnel(NAT, 40001), udp_tunnel(NAT, 40002)}
        assert set(lab.rows()) == {1, 2}

    def test_same_port_is_the_same_interface(self) -> None:
        lab = Lab()
        lab.register(1, PRIVATE, source=NAT, source_port=40001, more=udp_request())
        lab.register(2, PRIVATE, source=NAT, source_port=40001, more=udp_request())
        assert set(lab.rows()) == {2}

    def test_nat_gives_another_port(self) -> None:
        lab = Lab()
        register(lab, NAT, 40001, udp_request())
        register(lab, NAT, 40009, udp_request())
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 40009)]
        assert [type(e) for e in lab.effects if isinstance(e, AddTunnel | RemoveTunnel)] == [
            AddTunnel,
            RemoveTunnel,
        ]

    def test_mixed_with_plain_tunnels(self) -> None:
        """G44."""
        lab = Lab()
        register(lab, NAT, 40001, udp_request())
        lab.register(2, LTE)
        lab.register(3, EVDO, flags=D | G | T)
        assert {t.encapsulation for t in lab.kernel.tunnels} == {
            Encapsulation.UDP,
            Encapsulation.IPIP,
            Encapsulation.GRE,
        }


def keepalive(
    source: IPv4Address = HOME,
    destination: IPv4Address = HOME_AGENT,
    *,
    icmp: int = 8,
    protocol: int = 1,
    version: int = 0x45,
    next_header: int = 4,
    fragment: int = 0,
    total: int = 28,
) -> bytes:
    """Tunnel Data with an ICMP echo request (RFC 3519 §3.3, §4.9); checksums are the kernel's affair."""
    header = struct.pack("!BBHHHBBH", version, 0, total, 1, fragment, 64, protocol, 0)
    packet = header + source.packed + destination.packed + struct.pack("!BBHHH", icmp, 0, 0, 1, 1)
    return bytes([4, next_header, 0, 0]) + packet


class TestHalfBound:
    """R: registered through a foreign agent, tunnelled from elsewhere (RFC 3519 §4.6, §4.11)."""

    def half_bound(self) -> Lab:
        lab = Lab()
        reply = register(lab, NAT, 40001, udp_request(required=True))
        assert (reply.code, reply.lifetime, answer(reply)) == (0, 60, (0, False, 110))
        return lab

    def test_no_tunnel_before_the_keepalive(self) -> None:
        lab = self.half_bound()
        assert lab.kernel.tunnels == {}
        row = lab.rows()[1]
        assert (row["end_point"], row["end_point_port"], row["encapsulation"]) == (None, None, None)

    def test_completed(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), NAT, 50123)
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 50123)]
        assert lab.weights() == {str(NAT): 1.0}
        assert lab.reports("binding-completed")
        lab.wait(60)
        assert lab.kernel.tunnels == {}

    def test_deregistered_before_the_keepalive(self) -> None:
        lab = self.half_bound()
        lab.register(2, LTE)
        lab.deregister(1, PRIVATE, source=NAT)
        assert lab.kinds() == ["SendDatagram"], "no path changes"
        assert lab.weights() == {str(LTE): 1.0}

    def test_only_the_first(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), NAT, 50123)
        lab.send(keepalive(), NAT, 50999)
        assert lab.reports("message-discarded")[0]["reason"] == "unexpected-tunnel-data"
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 50123)]

    @pytest.mark.parametrize(
        "payload",
        [
            keepalive(OTHER_HOME),
            keepalive(IPv4Address("10.0.0.99")),
            keepalive(destination=WIFI),
            keepalive(icmp=0),
            keepalive(protocol=17),
            keepalive(version=0x65),
            keepalive(version=0x44),
            keepalive(next_header=47),
            keepalive(fragment=1),
            keepalive(total=29),
            keepalive(total=20),
            keepalive()[:20],
        ],
    )
    def test_something_else(self, payload: bytes) -> None:
        lab = self.half_bound()
        assert lab.send(payload, NAT, 50123) is None
        assert lab.reports("message-discarded")[0]["reason"] == "unexpected-tunnel-data"
        assert lab.kernel.tunnels == {}

    def test_truncated(self) -> None:
        lab = self.half_bound()
        lab.send(b"\4\4", NAT, 50123)
        assert lab.reports("message-discarded")[0]["reason"] == "truncated"

    def test_from_another_address(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), LTE, 50123)
        assert lab.kernel.tunnels == {}

    def test_to_a_broadcast_address(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), NAT, 50123, IPv4Address("10.0.0.255"))
        assert lab.kernel.tunnels == {}

    def test_tunnel_data_without_any_half_bound_binding(self) -> None:
        lab = Lab()
        lab.register(1)
        lab.send(keepalive(), WIFI)
        assert lab.reports("message-discarded")

    def test_renewal_keeps_the_tunnel(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), NAT, 50123)
        register(lab, NAT, 40001, udp_request(required=True))
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 50123)]
        lab.send(keepalive(), NAT, 50777)
        assert list(lab.kernel.tunnels) == [udp_tunnel(NAT, 50777)]

    def test_renewal_from_another_address_waits_again(self) -> None:
        lab = self.half_bound()
        lab.send(keepalive(), NAT, 50123)
        register(lab, LTE, 40001, udp_request(required=True))
        assert lab.kernel.tunnels == {}

    def test_other_bindings_keepalive(self) -> None:
        """A keepalive from the end point of another binding is that binding's."""
        lab = self.half_bound()
        lab.register(2, PRIVATE, source=NAT, source_port=50123, more=udp_request())
        lab.send(keepalive(), NAT, 50123)
        assert lab.rows()[1]["end_point"] is None

    def test_two_waiting(self) -> None:
        lab = self.half_bound()
        lab.register(2, PRIVATE, source=NAT, source_port=40001, more=udp_request(required=True))
        lab.send(keepalive(), NAT, 50001)
        lab.send(keepalive(), NAT, 50002)
        ports = {row["binding_id"]: row["end_point_port"] for row in lab.rows().values()}
        assert ports == {1: 50001, 2: 50002}

    def test_without_nat(self) -> None:
        """R is enough, whatever the source."""
        lab = Lab(udp={"forced_allowed": False})
        reply = register(lab, WIFI, 434, udp_request(required=True), care_of_address=WIFI)
        assert answer(reply) == (0, False, 110)


class TestGreKey:
    """RFC 6245 §4.2."""

    def keys(self, reply: Reply) -> list[int]:
        return [int.from_bytes(data, "big") for kind, data in reply.extensions if kind == 48]

    def test_agreed(self) -> None:
        lab = Lab()
        reply = lab.register(1, more=gre_key(0xDEADBEEF))
        assert (reply.types, self.keys(reply)) == ([48, 32], [0xDEADBEEF])
        (tunnel,) = lab.kernel.tunnels
        assert (tunnel.encapsulation, tunnel.key) == (Encapsulation.GRE, 0xDEADBEEF)

    def test_assigned_and_kept(self) -> None:
        lab = Lab()
        (key,) = self.keys(lab.register(1, more=gre_key(0)))
        assert key
        assert self.keys(lab.register(1, more=gre_key(0))) == [key]
        assert next(iter(lab.kernel.tunnels)).key == key
        assert self.keys(lab.register(1, LTE, more=gre_key(0))) != [key]

    def test_by_the_foreign_agent(self) -> None:
        lab = Lab()
        payload = lab.request(multiple(1), gre_key(7), flags=T, care_of_address=FOREIGN_AGENT)
        reply = lab.send(payload, FOREIGN_AGENT)
        assert reply is not None
        assert (reply.code, reply.types, self.keys(reply)) == (0, [32, 48], [7])
