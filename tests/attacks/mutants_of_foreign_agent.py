# SPDX-License-Identifier: GPL-2.0-or-later
"""Defences of the foreign agent."""

from __future__ import annotations

from tests.attacks.mutant import mutant

FOREIGN_AGENT = (
    mutant(
        "a request under way is its sender's",
        "agents/foreign_agent.py",
        "if same is not None and same not in former:",
        "if False:",
        "foreign_agent.py::test_a_stranger_repeats_anothers_request_to_get_its_reply",
    ),
    mutant(
        "an entry changes only with an acceptance",
        "agents/foreign_agent.py",
        "        if not answer.accepted:\n            return",
        "        if False:\n            return",
        "foreign_agent.py::test_a_stranger_does_not_move_a_visitor",
    ),
    mutant(
        "a home address has one home agent",
        "agents/foreign_agent_admission.py",
        "if others - {home_agent}:",
        "if False:",
        "foreign_agent.py::test_a_home_agent_of_ones_own_for_anothers_home_address",
    ),
    mutant(
        "the way to a home agent is nobody's",
        "agents/foreign_agent_admission.py",
        "if address in self._table.home_agents()",
        "if False and address in self._table.home_agents()",
        "foreign_agent.py::test_the_address_of_an_agent_as_home_address",
    ),
    mutant(
        "our own addresses are nobody's home address",
        "agents/foreign_agent_request.py",
        "if request.home_address in self._own or request.home_address == request.home_agent:",
        "if False:",
        "foreign_agent.py::test_the_address_of_an_agent_as_home_address",
    ),
    mutant(
        "replies come by the uplink",
        "agents/foreign_agent.py",
        "if self._settings.uplink not in (None, datagram.interface):",
        "if False:",
        "foreign_agent.py::test_a_forged_reply_from_the_visitor_link",
    ),
    mutant(
        "a reply repeats the Identification",
        "agents/foreign_agent_pending.py",
        "return PendingKey(home_address, identification & _LOW)",
        "return PendingKey(home_address, 0)",
        "foreign_agent.py::test_a_forged_reply_without_the_identification",
    ),
    mutant(
        "a home agent with a key must sign for us",
        "agents/foreign_agent_reply.py",
        "if pending.home_agent is not None:",
        "if False:",
        "foreign_agent.py::test_a_forged_reply_where_the_home_agent_has_a_key",
    ),
    mutant(
        "an acceptance is the asked home agent's",
        "agents/foreign_agent_reply.py",
        "if answer.accepted and reply.home_agent != pending.request.home_agent:",
        "if False:",
        "foreign_agent.py::test_an_acceptance_by_another_home_agent",
    ),
    mutant(
        "a reply has the home agent's authenticator",
        "agents/foreign_agent_reply.py",
        "    if not answer.protected:\n",
        "    if False:\n",
        "foreign_agent.py::test_a_reply_without_the_home_agents_authenticator",
    ),
    mutant(
        "a mobile node with a key must sign for us",
        "agents/foreign_agent_request.py",
        "if len(asked.mobile_foreign) != 1:",
        "return\n        if len(asked.mobile_foreign) != 1:",
        "foreign_agent.py::test_a_forged_request_where_the_mobile_node_has_a_key",
    ),
    mutant(
        "visitors are on the link",
        "agents/foreign_agent_request.py",
        "datagram.ttl != _TTL",
        "False",
        "foreign_agent.py::test_a_request_from_beyond_the_link",
    ),
    mutant(
        "few requests wait at a time",
        "agents/foreign_agent_admission.py",
        "if not former and len(self._pending) >= self._settings.pending_limit:",
        "if False:",
        "foreign_agent.py::test_a_flood_of_pending_requests_leaves_the_visitors",
    ),
    mutant(
        "a request may be repeated when many wait",
        "agents/foreign_agent_admission.py",
        "if not former and len(self._pending) >= self._settings.pending_limit:",
        "if len(self._pending) >= self._settings.pending_limit:",
        "foreign_agent.py::test_a_flood_of_pending_requests_does_not_stop_a_request_that_is_repeated",
    ),
    mutant(
        "no node keeps the others from registering",
        "agents/foreign_agent_admission.py",
        "return most[:1] if len(most) >=",
        "return [] if len(most) >=",
        "foreign_agent.py::test_a_flood_of_pending_requests_leaves_the_visitors",
    ),
    mutant(
        "denials are remembered in a table of fixed size",
        "agents/foreign_agent_denials.py",
        "RateLimit(_PER_SECOND, 1, _MOBILE_NODES)",
        "RateLimit(_PER_SECOND, 1, 10**9)",
        "foreign_agent.py::test_a_flood_of_denials_is_bounded",
    ),
    mutant(
        "the visitor list has an end",
        "agents/foreign_agent_admission.py",
        ">= self._settings.maximum_visitors:",
        ">= 10**9:",
        "foreign_agent.py::test_a_flood_of_visitors_of_ones_own_home_agent",
    ),
    mutant(
        "no Tunnel Data at a foreign agent's socket",
        "agents/foreign_agent.py",
        'raise DiscardedError("unexpected-tunnel-data")',
        'self._keepalives += 1\n                return [StartTimer("tunnel-data", now.monotonic + 1)]',
        "foreign_agent.py::test_tunnel_data_at_a_foreign_agent",
    ),
)
