# SPDX-License-Identifier: GPL-2.0-or-later
"""Defences of the home agent: forged requests, and what its tunnels lead to."""

from __future__ import annotations

from tests.attacks.mutant import mutant

REQUESTS = (
    mutant(
        "authenticators are verified",
        "agents/wire/authentication.py",
        "return hmac.compare_digest(expected, extension.authenticator)",
        "return True",
        "forged_requests.py::test_a_request_for_anothers_home_address",
        "forged_requests.py::test_a_genuine_request_with_one_octet_changed",
        "end_points.py::test_no_tunnel_to_a_victim_without_a_key",
        "end_points.py::test_a_request_without_key_from_another_port_moves_no_tunnel",
    ),
    mutant(
        "an unknown extension that may not be skipped ends the message",
        "agents/wire/parsing.py",
        "if kind < 128 and kind not in _NON_SKIPPABLE and kind != multiple_tunnel_request:",
        "if False:",
        "end_points.py::test_a_flood_of_unknown_extensions",
    ),
    mutant(
        "every Mobile-Home Authentication is verified",
        "agents/home_agent_security.py",
        "if context is None:\n            return None\n        first = first or context",
        "first = first or context",
        "forged_requests.py::test_a_genuine_authenticator_after_a_forged_one",
    ),
    mutant(
        "a request needs an authenticator",
        "agents/home_agent_security.py",
        'raise DiscardedError("no-mobile-home-authentication")',
        "return peer.default",
        "forged_requests.py::test_a_request_without_authenticator",
    ),
    mutant(
        "a key counts under its own SPI only",
        "agents/associations.py",
        "self._contexts.get(extension.spi)",
        "self._contexts.get(extension.spi, self.default)",
        "forged_requests.py::test_the_key_of_another_security_parameter_index",
    ),
    mutant(
        "the extension counts before the authenticator only",
        "agents/home_agent_request.py",
        "    if contents.mobile_home:\n        contents.faults.append(",
        "    if False:\n        contents.faults.append(",
        "forged_requests.py::test_flags_added_behind_the_authenticator",
    ),
    mutant(
        "B and O exclude each other",
        "agents/home_agent_request.py",
        "if extension.bulk and extension.overwrite:",
        "if False:",
        "forged_requests.py::test_a_request_for_two_things_at_once_changes_nothing",
    ),
    mutant(
        "a home agent knows bindings by home address",
        "agents/home_agent.py",
        "exchange.bindings = self._live(request.home_address, exchange.now)",
        "exchange.bindings = {b.binding_id: b for b in self._table.all()}",
        "forged_requests.py::test_the_binding_id_of_another_mobile_node",
    ),
    mutant(
        "a tunnel stays while one binding uses it",
        "agents/bindings.py",
        "if self._uses[tunnel]:\n            return False",
        "if False:\n            return False",
        "forged_requests.py::test_the_insider_does_not_end_a_tunnel_the_victim_uses",
    ),
    mutant(
        "every tunnel has a slot, whatever the weights",
        "agents/linux/slots.py",
        "max(1, round(weight * length / total))",
        "max(0, round(weight * length / total))",
        "forged_requests.py::test_the_largest_lie_leaves_every_tunnel_in_use_and_the_tables_small",
    ),
    mutant(
        "a foreign agent with a key must vouch",
        "agents/home_agent_security.py",
        "    if context is None:\n        raise DeniedError(ReplyCode.HA_FOREIGN_AGENT_FAILED_AUTHENTICATION,"
        ' "bad-foreign-home-authenticator")',
        "    if False:\n        pass",
        "forged_requests.py::test_a_request_through_a_foreign_agent_that_has_a_key",
    ),
    mutant(
        "no tunnel into the home agent",
        "agents/home_agent_policy.py",
        "if not is_unicast(address) or address == self._settings.address or address in self._home_addresses:",
        "if False:",
        "forged_requests.py::test_a_tunnel_into_the_home_agent_itself",
    ),
)

END_POINTS = (
    mutant(
        "Tunnel Data moves no tunnel that stands",
        "agents/home_agent_keepalive.py",
        "if binding.keepalive_source == datagram.source]",
        "]",
        "end_points.py::test_tunnel_data_from_another_port_moves_no_tunnel",
        "end_points.py::test_a_keepalive_from_another_address_completes_nothing",
        "end_points.py::test_only_the_first_keepalive_counts",
        "end_points.py::test_a_flood_of_tunnel_data",
    ),
    mutant(
        "a keepalive is for the home agent",
        "agents/home_agent.py",
        "if destination != self._settings.address or not self._is_own(datagram.destination):",
        "if False:",
        "end_points.py::test_a_keepalive_for_another_mobile_node",
    ),
    mutant(
        "a UDP tunnel is granted for a short time",
        "agents/home_agent_policy.py",
        "min(request.lifetime, maximum, self._udp.maximum_lifetime)",
        "min(request.lifetime, maximum)",
        "end_points.py::test_an_end_point_seen_through_a_nat_is_believed_for_a_minute_only",
    ),
    mutant(
        "a mobile node's UDP Tunnel Request is protected",
        "agents/home_agent_request.py",
        "if contents.udp_from_foreign_agent and co_located:",
        "if False:",
        "end_points.py::test_an_unprotected_udp_tunnel_request_of_a_mobile_node_with_a_co_located_address",
    ),
    mutant(
        "few denials to one source",
        "agents/home_agent_denials.py",
        "self._sources.allows(source, monotonic)",
        "True",
        "end_points.py::test_the_answers_to_one_source_are_few",
    ),
    mutant(
        "few denials to strangers in all",
        "agents/home_agent_denials.py",
        " and self._strangers.allows(None, monotonic)",
        "",
        "end_points.py::test_the_answers_to_all_sources_are_bounded",
    ),
    mutant(
        "few denials of recorded requests",
        "agents/home_agent_denials.py",
        "return self._nodes.allows((home_address, source), monotonic)",
        "return True",
        "end_points.py::test_a_recorded_request_reflects_no_more_than_a_forged_one",
    ),
    mutant(
        "strangers have their own share of the denials",
        "agents/home_agent_denials.py",
        "return self._nodes.allows((home_address, source), monotonic)",
        "return self.stranger(source, monotonic)",
        "end_points.py::test_strangers_do_not_use_up_a_mobile_nodes_own_denials",
    ),
    mutant(
        "no answer to many",
        "agents/home_agent.py",
        "if not datagram.source_port or not is_unicast(datagram.source):",
        "if False:",
        "end_points.py::test_no_answer_to_and_no_tunnel_to_many",
    ),
    mutant(
        "few answers to solicitations",
        "agents/advertiser.py",
        "if not self._answers.allows(None, now.monotonic):",
        "if False:",
        "end_points.py::test_the_answers_to_solicitations_are_few",
    ),
    mutant(
        "a mobile node has few bindings",
        "agents/home_agent.py",
        "if previous is None and len(new) > self._settings.maximum_bindings:",
        "if False:",
        "end_points.py::test_a_flood_of_bindings_ends_at_the_limit",
    ),
    mutant(
        "few Binding-Ids are remembered",
        "agents/home_agent_exchange.py",
        "if len(self.binding_ids) > REMEMBERED_BINDING_IDS:",
        "if False:",
        "end_points.py::test_a_flood_of_binding_ids_is_forgotten",
    ),
    mutant(
        "only known mobile nodes are looked at",
        "agents/home_agent.py",
        'if node is None:\n            raise DiscardedError("unknown-mobile-node")',
        "if node is None:\n            node = next(iter(self._nodes.values()))",
        "end_points.py::test_a_flood_of_requests_for_nodes_that_do_not_exist",
    ),
)
