# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings files: every problem at once with file, key and what is allowed; keys stay secret."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.effects import Encapsulation
from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings, Policy, Weights
from agents.settings_file import SettingsError, load
from agents.wire import Algorithm

KEY = "00112233445566778899aabbccddeeff"
ASSOCIATION = {"spi": 256, "key": KEY}
HOME_AGENT: dict[str, Any] = {
    "home_agent": {
        "address": "198.51.100.1",
        "mobile_node": [{"home_address": "198.51.100.10", "security_association": [ASSOCIATION]}],
    }
}
MOBILE_NODE: dict[str, Any] = {
    "mobile_node": {
        "home_address": "198.51.100.10",
        "home_agent": "198.51.100.1",
        "security_association": [ASSOCIATION],
        "interface": [{"name": "wifi", "binding_id": 1}, {"name": "lte", "binding_id": 2}],
    }
}
Keys = Sequence[str | int]


def change(document: dict[str, Any], *changes: tuple[Keys, Any]) -> dict[str, Any]:
    """A copy with values put in."""
    made = copy.deepcopy(document)
    for (*way, last), value in changes:
        place: Any = made
        for key in way:
            place = place[key]
        place[last] = value
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "agent.toml"
    made.touch(0o600)
    return made


def home_agent(file: Path, *changes: tuple[Keys, Any]) -> HomeAgentSettings:
    file.write_text(tomli_w.dumps(change(HOME_AGENT, *changes)))
    return load(file, HomeAgentSettings)


def mobile_node(file: Path, *changes: tuple[Keys, Any]) -> MobileNodeSettings:
    file.write_text(tomli_w.dumps(change(MOBILE_NODE, *changes)))
    return load(file, MobileNodeSettings)


def home_agent_problems(file: Path, *changes: tuple[Keys, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        home_agent(file, *changes)
    return checked(file, caught.value)


def mobile_node_problems(file: Path, *changes: tuple[Keys, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        mobile_node(file, *changes)
    return checked(file, caught.value)


def checked(file: Path, error: SettingsError) -> list[str]:
    """The problems, without the file that each must name."""
    assert str(error).splitlines() == error.problems
    assert all(problem.startswith(f"{file}: ") for problem in error.problems)
    return [problem.removeprefix(f"{file}: ") for problem in error.problems]


HA, MN = "home_agent", "mobile_node"
ENTRY: list[str | int] = [HA, "mobile_node", 0]
FIRST: list[str | int] = [MN, "interface", 0]


def test_defaults_of_a_home_agent(file: Path) -> None:
    got = home_agent(file)
    assert got.enable_multiple_tunnel_support is True
    assert (got.path_selection.policy, got.path_selection.weights) == (Policy.PER_FLOW, Weights.EQUAL)
    assert got.path_selection.mirror is True
    assert (got.maximum_lifetime, got.maximum_bindings, got.timestamp_tolerance) == (600, 8, 7)
    assert got.encapsulations == {Encapsulation.IPIP, Encapsulation.GRE, Encapsulation.UDP}
    (association,) = got.mobile_node[0].security_association
    assert (association.spi, association.algorithm, association.replay) == (
        256,
        Algorithm.HMAC_MD5,
        "timestamps",
    )
    assert association.key == bytes(range(0, 256, 17))


def test_defaults_of_a_mobile_node(file: Path) -> None:
    got = mobile_node(file)
    assert got.enable_multiple_tunnel_support is True
    assert (got.lifetime, got.udp_lifetime, got.renew_at) == (600, 60, (0.5, 0.66))
    assert (got.interface[0].care_of, got.interface[0].encapsulation) == ("co-located", Encapsulation.IPIP)
    assert (got.profile.multiple_tunnel_request, got.profile.request_length) == (127, 10)
    assert (got.profile.denied_by_home_agent, got.profile.denied_by_foreign_agent) == (192, 127)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        ([HA, "address"], "198.51.100", "home_agent.address: "),
        ([HA, "address"], "198.51.100.10", "home_agent.mobile_node: home address 198.51.100.10 is the home"),
        (
            [HA, "maximum_lifetime"],
            0,
            "home_agent.maximum_lifetime: Input should be greater than or equal to 1",
        ),
        ([HA, "maximum_lifetime"], 65536, "less than or equal to 65535"),
        ([HA, "timestamp_tolerance"], float("nan"), "home_agent.timestamp_tolerance: "),
        ([HA, "timestamp_tolerance"], float("inf"), "finite number"),
        ([HA, "reverse_tunnel"], "maybe", "'optional', 'required' or 'forbidden'"),
        ([HA, "encapsulations"], ["ipsec"], "'ipip', 'gre', 'minimal' or 'udp'"),
        ([HA, "encapsulations"], ["ipip", "minimal"], "home_agent.encapsulations: minimal has no device in"),
        ([HA, "home_link"], "a name too long for it", "home_agent.home_link: String should have at most 15"),
        ([HA, "home_link"], "no/slash", "home_agent.home_link: "),
        ([HA, "path_selection"], {"policy": "best"}, "'per-flow', 'per-flow-hash' or 'per-packet'"),
        ([HA, "mobile_node"], [], "home_agent.mobile_node: "),
        ([HA, "colour"], "red", "home_agent.colour: is unknown; allowed: address, advertise, "),
        (
            [HA, "udp"],
            {"port": 5},
            "home_agent.udp.port: is unknown; allowed: allowed, forced_allowed, keepalive",
        ),
        (
            [*ENTRY, "speed"],
            5,
            "mobile_node.0.speed: is unknown; allowed: home_address, multiple_tunnels, sec",
        ),
        ([*ENTRY, "security_association"], [], "home_agent.mobile_node.0.security_association: "),
        (
            [*ENTRY, "security_association", 0, "spi"],
            255,
            "0.spi: Input should be greater than or equal to 256",
        ),
        ([*ENTRY, "security_association", 0, "spi"], 2**32, "0.spi: Input should be less than or equal to"),
        (
            [*ENTRY, "security_association", 0, "key"],
            "abc",
            "0.key: a key is written in hexadecimal, two digits",
        ),
        ([*ENTRY, "security_association", 0, "key"], "xy", "0.key: a key is written in hexadecimal"),
        ([*ENTRY, "security_association", 0, "key"], "", "0.key: "),
        ([*ENTRY, "security_association", 0, "key"], "00" * 65, "0.key: Value should have at most 64 items"),
        ([*ENTRY, "security_association", 0, "key"], 17, "0.key: "),
        ([*ENTRY, "security_association", 0, "algorithm"], "rot13", "0.algorithm: "),
        (
            [*ENTRY, "security_association"],
            [ASSOCIATION] * 2,
            "SPI 256 stands 2 times; each context needs its own",
        ),
        ([HA, "mobile_node"], HOME_AGENT[HA]["mobile_node"] * 2, "home address 198.51.100.10 stands 2 times"),
        ([HA, "profile"], {"denied_by_home_agent": 127}, "home_agent.profile.denied_by_home_agent: "),
        ([HA, "profile"], {"multiple_tunnel_request": 32}, "home_agent.profile: "),
        ([HA, "profile"], {"request_length": 8}, "Input should be 10 or 6"),
    ],
)
def test_what_a_home_agent_refuses(file: Path, keys: Keys, value: Any, says: str) -> None:
    (problem,) = home_agent_problems(file, (keys, value))
    assert says in problem


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (
            [*FIRST, "binding_id"],
            0,
            "mobile_node.interface.0.binding_id: Input should be greater than or equal",
        ),
        (
            [*FIRST, "binding_id"],
            255,
            "mobile_node.interface.0.binding_id: Input should be less than or equal to",
        ),
        (
            [*FIRST, "binding_id"],
            2,
            "mobile_node.interface: binding_id 2 stands 2 times; each interface needs its",
        ),
        ([*FIRST, "name"], "lte", "mobile_node.interface: name lte stands 2 times"),
        (
            [*FIRST, "care_of_address"],
            "198.51.100.10",
            "interface: wifi: care_of_address is the home address 198",
        ),
        ([*FIRST, "care_of"], "borrowed", "'co-located' or 'foreign-agent'"),
        (
            [*FIRST, "colour"],
            1,
            "interface.0.colour: is unknown; allowed: access_technology, binding_id, care_of,",
        ),
        ([MN, "renew_at"], [0.7, 0.6], "mobile_node.renew_at: two fractions with 0 < first <= second < 1"),
        ([MN, "renew_at"], [0.0, 0.6], "mobile_node.renew_at: two fractions"),
        ([MN, "renew_at"], [0.5, 1.0], "mobile_node.renew_at: two fractions"),
        ([MN, "renew_at"], [0.5], "mobile_node.renew_at.1: Field required"),
        ([MN, "interface"], [], "mobile_node.interface: "),
        ([MN, "lifetime"], 0, "mobile_node.lifetime: "),
        ([MN, "legacy_hold_down"], -1, "mobile_node.legacy_hold_down: Input should be greater than 0"),
        ([MN, "security_association", 0, "spi"], 0, "mobile_node.security_association.0.spi: "),
    ],
)
def test_what_a_mobile_node_refuses(file: Path, keys: Keys, value: Any, says: str) -> None:
    (problem,) = mobile_node_problems(file, (keys, value))
    assert says in problem


def test_all_problems_are_said_at_once(file: Path) -> None:
    said = mobile_node_problems(
        file,
        ([MN, "lifetime"], 0),
        ([MN, "colour"], "red"),
        ([MN, "security_association"], [{"spi": 5, "key": "abc"}]),
        ([MN, "renew_at"], [0.9, 0.1]),
        ([*FIRST, "binding_id"], 2),
        ([*FIRST, "name"], "lte"),
        ([*FIRST, "care_of_address"], "198.51.100.10"),
        (["home_agent"], {}),
    )
    keys = sorted(problem.partition(":")[0] for problem in said)
    assert keys == [
        "[home_agent] is unknown; allowed",
        "mobile_node.colour",
        "mobile_node.interface",
        "mobile_node.interface",
        "mobile_node.interface",
        "mobile_node.lifetime",
        "mobile_node.renew_at",
        "mobile_node.security_association.0.key",
        "mobile_node.security_association.0.spi",
    ]


def test_a_missing_and_an_unknown_table(file: Path) -> None:
    file.write_text("[homeagent]\n")
    with pytest.raises(SettingsError) as caught:
        load(file, HomeAgentSettings)
    said = checked(file, caught.value)
    assert said == ["[homeagent] is unknown; allowed: [home_agent]", "[home_agent] is missing"]


def test_a_table_that_is_none(file: Path) -> None:
    file.write_text("home_agent = 5\n")
    with pytest.raises(SettingsError) as caught:
        load(file, HomeAgentSettings)
    assert checked(file, caught.value)[0].startswith("home_agent: ")


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"[home_agent\n", "is not TOML: "),
        (b"\x00", "is not TOML: "),
        (b'[home_agent]\nhome_link = "\xff"\n', "is not UTF-8 text"),
        (b"x = " + b"[" * 100_000, "is nested too deeply"),
        (b"", "[home_agent] is missing"),
    ],
)
def test_a_file_that_is_none(file: Path, octets: bytes, says: str) -> None:
    file.write_bytes(octets)
    with pytest.raises(SettingsError) as caught:
        load(file, HomeAgentSettings)
    assert checked(file, caught.value)[0].startswith(says)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "gone.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError) as caught:
            load(path, MobileNodeSettings)
        assert checked(path, caught.value) == [says]


SECRETS = (KEY, bytes.fromhex(KEY).hex(" "), repr(bytes.fromhex(KEY)), repr(bytes.fromhex(KEY))[2:-1])


def test_keys_do_not_show(file: Path) -> None:
    for made in (home_agent(file), mobile_node(file)):
        for text in (repr(made), str(made), f"{made}"):
            assert not any(secret in text for secret in SECRETS)
            assert "security_association" in text


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "zz", KEY * 5, [KEY], {KEY: KEY}])
def test_a_bad_key_does_not_show_in_the_error(file: Path, key: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        home_agent(file, ([*ENTRY, "security_association", 0, "key"], key), ([HA, "colour"], 1))
    # Nor in what a traceback would print with it.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert KEY[:16] not in str(caught.value) + repr(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    octets=st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(lambda t: f"[mobile_node]\n{t}".encode())
    )
)
def test_any_octets_are_settings_or_an_error(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(octets)
    with pytest.raises(SettingsError) as caught:
        load(file, MobileNodeSettings)
    assert caught.value.problems


def foreign_agent_problems(file: Path, encapsulations: list[str]) -> list[str]:
    link = {"name": "wifi", "address": "192.0.2.1"}
    table = {"care_of_addresses": ["203.0.113.1"], "interface": [link], "encapsulations": encapsulations}
    file.write_text(tomli_w.dumps({"foreign_agent": table}))
    with pytest.raises(SettingsError) as caught:
        load(file, ForeignAgentSettings)
    return checked(file, caught.value)


def test_minimal_encapsulation_is_refused_where_this_kernel_would_have_to_carry_it(file: Path) -> None:
    (problem,) = foreign_agent_problems(file, ["ipip", "minimal"])
    assert problem == (
        "foreign_agent.encapsulations: minimal has no device in Linux; leave it out,"
        " and requests for it are denied"
    )
    (problem,) = mobile_node_problems(file, ([*FIRST, "encapsulation"], "minimal"))
    assert problem.startswith("mobile_node.interface.0.encapsulation: minimal has no device in Linux; choose")
    # With a foreign agent's care-of address the tunnel ends there.
    elsewhere = mobile_node(
        file, ([*FIRST, "encapsulation"], "minimal"), ([*FIRST, "care_of"], "foreign-agent")
    )
    assert elsewhere.interface[0].encapsulation is Encapsulation.MINIMAL
