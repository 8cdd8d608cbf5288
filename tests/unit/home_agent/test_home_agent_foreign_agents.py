# SPDX-License-Identifier: GPL-2.0-or-later
"""Foreign-Home Authentication (RFC 5944 §3.5.4, §3.8.2.1 c and d, §3.8.3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.home_agent.home_agent_lab import (
    AGENT_ENTRY,
    AGENT_KEY,
    AGENT_SPI,
    FOREIGN_AGENT,
    FOREIGN_HOME,
    HOME,
    LTE,
    NAT,
    D,
    Lab,
    Reply,
    T,
    authentication,
    multiple,
)


@pytest.fixture
def lab() -> Lab:
    return Lab(foreign_agent=[AGENT_ENTRY])


def relayed(
    lab: Lab, vouchers: int = 1, *, key: bytes = AGENT_KEY, spi: int = AGENT_SPI, **fields: Any
) -> bytes:
    """A request as the foreign agent passes it on."""
    payload = lab.request(multiple(1), **{"flags": T, "care_of_address": FOREIGN_AGENT, **fields})
    for _ in range(vouchers):
        payload = authentication(payload, FOREIGN_HOME, key, spi)
    return payload


def send(lab: Lab, payload: bytes, **where: Any) -> Reply:
    reply = lab.send(payload, **{"source": FOREIGN_AGENT, **where})
    assert reply is not None
    return reply


def test_genuine(lab: Lab) -> None:
    reply = send(lab, relayed(lab))
    assert (reply.code, reply.types) == (0, [32, 34])
    assert 1 in lab.rows()


@pytest.mark.parametrize(
    ("vouchers", "changes", "reason"),
    [
        (0, {}, "no-foreign-home-authentication"),
        (2, {}, "foreign-home-authentication-repeated"),
        (1, {"key": b"wrong"}, "bad-foreign-home-authenticator"),
        (1, {"spi": 999}, "bad-foreign-home-authenticator"),
    ],
)
def test_132(lab: Lab, vouchers: int, changes: dict[str, Any], reason: str) -> None:
    reply = send(lab, relayed(lab, vouchers, **changes))
    assert (reply.code, reply.types) == (132, [32, 34])
    assert lab.reports("request-denied")[0]["reason"] == reason
    assert lab.rows() == {}


def test_without_association() -> None:
    lab = Lab()
    assert lab.send(relayed(lab), FOREIGN_AGENT) is None
    assert lab.status()["discarded"] == {"foreign-home-authentication-without-association": 1}


def test_without_association_and_authentication() -> None:
    lab = Lab()
    reply = send(lab, relayed(lab, 0))
    assert (reply.code, reply.types) == (0, [32])


@pytest.mark.parametrize("vouchers", [0, 1])
def test_deregistration_is_not_signed(lab: Lab, vouchers: int) -> None:
    send(lab, relayed(lab))
    reply = send(lab, relayed(lab, vouchers, lifetime=0))
    assert (reply.code, reply.types) == (0, [32])
    assert lab.rows() == {}


def test_co_located_through_the_agent(lab: Lab) -> None:
    """The agent must not sign a care-of address that it does not advertise (§3.5.4)."""
    reply = send(lab, relayed(lab, 0, flags=D | T, care_of_address=LTE))
    assert (reply.code, reply.types) == (0, [32, 34])
    assert send(lab, relayed(lab, 1, flags=D | T, care_of_address=LTE, key=b"wrong")).code == 132


def test_reply_in_the_context_of_the_request() -> None:
    contexts = [{"spi": 900, "key": b"unused"}, {"spi": AGENT_SPI, "key": AGENT_KEY}]
    lab = Lab(foreign_agent=[{"address": FOREIGN_AGENT, "security_association": contexts}])
    reply = send(lab, relayed(lab))
    assert reply.extensions[-1][1][:4] == AGENT_SPI.to_bytes(4, "big")


def test_co_located_at_the_agents_address(lab: Lab) -> None:
    """Only without D is the care-of address the agent's own."""
    reply = send(lab, lab.request(multiple(1), care_of_address=FOREIGN_AGENT), source=LTE)
    assert (reply.code, reply.types) == (0, [32])


def test_directly_from_elsewhere(lab: Lab) -> None:
    reply = send(lab, lab.request(multiple(2), care_of_address=LTE), source=LTE)
    assert (reply.code, reply.types) == (0, [32])


def test_behind_a_nat(lab: Lab) -> None:
    """The source is the NAT's; the care-of address tells the agent."""
    assert send(lab, relayed(lab, 0), source=NAT).code == 132
    assert send(lab, relayed(lab), source=NAT).code == 0


class TestBadMobileHomeAuthenticator:
    """131 if the agent vouches, or if there is no association; else silence."""

    def payload(self, lab: Lab, vouchers: int, key: bytes = AGENT_KEY) -> bytes:
        payload = lab.request(multiple(1), key=b"x", flags=T, care_of_address=FOREIGN_AGENT)
        for _ in range(vouchers):
            payload = authentication(payload, FOREIGN_HOME, key, AGENT_SPI)
        return payload

    def test_vouched_for(self, lab: Lab) -> None:
        reply = send(lab, self.payload(lab, 1))
        assert (reply.code, reply.types) == (131, [32, 34])

    @pytest.mark.parametrize(("vouchers", "key"), [(0, AGENT_KEY), (1, b"wrong")])
    def test_not_vouched_for(self, lab: Lab, vouchers: int, key: bytes) -> None:
        assert lab.send(self.payload(lab, vouchers, key), FOREIGN_AGENT) is None
        assert lab.status()["discarded"] == {"bad-mobile-home-authenticator": 1}


def test_133_is_signed_too(lab: Lab) -> None:
    reply = send(lab, relayed(lab, identification=1))
    assert (reply.code, reply.types) == (133, [32, 34])


def test_identification_before_foreign_home(lab: Lab) -> None:
    assert send(lab, relayed(lab, 0, identification=1)).code == 133


def test_foreign_home_before_format(lab: Lab) -> None:
    payload = lab.request(multiple(1, length=3), flags=T, care_of_address=FOREIGN_AGENT)
    assert send(lab, payload).code == 132


def test_home_address_as_care_of_address(lab: Lab) -> None:
    reply = send(lab, relayed(lab, care_of_address=HOME))
    assert reply.code == 134
