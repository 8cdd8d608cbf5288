# SPDX-License-Identifier: GPL-2.0-or-later
"""Defences of the mobile node: replies and advertisements, and answers to its probes."""

from __future__ import annotations

from tests.attacks.mutant import mutant

MOBILE_NODE = (
    mutant(
        "a home agent's denial has its authenticator",
        "agents/registration.py",
        "if not _of_foreign_agent(reply.code):",
        "if reply.code == 0:",
        "mobile_node.py::test_a_reply_in_the_home_agents_name",
    ),
    mutant(
        "an acceptance has the home agent's authenticator",
        "agents/registration.py",
        "if not _of_foreign_agent(reply.code):",
        "if reply.code:",
        "mobile_node.py::test_a_reply_in_the_home_agents_name",
    ),
    mutant(
        "a foreign agent's denial comes from the one asked",
        "agents/mobile_node_requests.py",
        "if datagram.source not in pending.route.foreign_agent:",
        "if False:",
        "mobile_node.py::test_a_denial_by_an_agent_that_was_not_asked",
        "mobile_node.py::test_a_denial_in_a_foreign_agents_name_for_a_request_that_passed_none",
    ),
    mutant(
        "a reply comes by the interface of the request",
        "agents/mobile_node_requests.py",
        "or pending.route.interface != datagram.interface",
        "or False",
        "mobile_node.py::test_a_denial_by_an_agent_that_was_not_asked",
    ),
    mutant(
        "a foreign agent with a key must sign",
        "agents/registration.py",
        "    if foreign:\n",
        "    if False:\n",
        "mobile_node.py::test_a_denial_by_one_without_the_foreign_agents_key",
    ),
    mutant(
        "extensions of a reply count before the authenticator only",
        "agents/registration.py",
        "return reply.extensions[:position]",
        "return reply.extensions",
        "mobile_node.py::test_an_extension_in_the_reply_that_nobody_vouches_for",
    ),
    mutant(
        "home is where the home link is",
        "agents/mobile_node_home.py",
        "if believed in (None, name) else None",
        "",
        "mobile_node.py::test_the_home_agents_advertisement_on_a_visited_link",
    ),
    mutant(
        "the agent in use stays in use",
        "agents/mobile_node_discovery.py",
        "if current is not None and not self._moved_from(current):",
        "if False:",
        "mobile_node.py::test_a_false_agent_beside_the_true_one",
    ),
    mutant(
        "the list of agents is short",
        "agents/mobile_node_discovery.py",
        "if before is None and len(self.agents) >= MAXIMUM_AGENTS:",
        "if False:",
        "mobile_node.py::test_a_flood_of_false_agents",
    ),
    mutant(
        "one request per second and interface",
        "agents/mobile_node_link.py",
        "return self.due if self.urgent else max(self.due, self.last_sent + RETRANSMISSION_MINIMUM)",
        "return self.due",
        "mobile_node.py::test_false_restarts_of_the_agent_do_not_make_a_storm_of_requests",
    ),
    mutant(
        "a reply is for a request that waits",
        "agents/mobile_node_requests.py",
        "            pending is None\n            or",
        "            pending is None\n            and not (pending := self.outstanding[0])\n            or",
        "mobile_node.py::test_a_flood_of_false_replies_changes_nothing",
    ),
    mutant(
        "advertisements have a good checksum",
        "agents/wire/advertisement.py",
        "if _words(payload) % 0xFFFF:",
        "if False:",
        "mobile_node.py::test_broken_advertisements",
    ),
)

_WATCH = "agents/mobile_node_liveness.py"
_OF_A_PROBER = "if key == (source, prober.identifier, prober.nonce):"
PROBES = (
    mutant(
        "an answer has the identifier of the probe",
        _WATCH,
        _OF_A_PROBER,
        "if key[::2] == (source, prober.nonce):",
        "probes.py::test_an_answer_with_a_wrong_identifier",
    ),
    mutant(
        "an answer has the nonce of the probe",
        _WATCH,
        _OF_A_PROBER,
        "if key[:2] == (source, prober.identifier):",
        "probes.py::test_an_answer_with_a_wrong_nonce",
        "probes.py::test_a_flood_of_answers",
    ),
    mutant(
        "a new life of a tunnel has other probes",
        _WATCH,
        _OF_A_PROBER,
        "if source == key[0] and way == watched.way:",
        "probes.py::test_an_answer_to_a_probe_of_a_former_life_of_the_tunnel",
    ),
    mutant(
        "an answer comes from the home agent",
        _WATCH,
        _OF_A_PROBER,
        "if key[1:] == (prober.identifier, prober.nonce):",
        "probes.py::test_an_answer_from_another_than_the_home_agent",
    ),
    mutant(
        "an answer counts for the tunnel it came by",
        _WATCH,
        "if way != watched.way or not",
        "if not",
        "probes.py::test_an_answer_by_another_tunnel_or_bare",
    ),
    mutant(
        "an answer has the sequence number of a probe",
        "agents/liveness.py",
        "probe = self._probes.pop(sequence, None)",
        "probe = self._probes.popitem()[1] if self._probes else None",
        "probes.py::test_an_answer_with_a_wrong_sequence_number",
    ),
    mutant(
        "a probe is answered once",
        "agents/liveness.py",
        "probe = self._probes.pop(sequence, None)",
        "probe = self._probes.get(sequence)",
        "probes.py::test_recorded_answers_again",
    ),
)
