# SPDX-License-Identifier: GPL-2.0-or-later
"""Defences against replay: of the home agent, and of the mobile node against old replies."""

from __future__ import annotations

from tests.attacks.mutant import mutant

REPLAY = (
    mutant(
        "a timestamp must exceed all accepted",
        "agents/replay.py",
        "if floor is not None and timestamp_difference(identification, floor) <= 0:",
        "if False:",
        "replay.py::test_a_replayed_request_is_denied",
        "replay.py::test_recorded_requests_in_any_order",
        "replay.py::test_a_stolen_overwrite_wipes_nothing",
        "replay.py::test_a_stolen_bulk_request_extends_nothing",
        "replay.py::test_a_stolen_bulk_request_revives_nothing",
        "replay.py::test_a_stolen_deregistration_ends_nothing",
        "replay.py::test_a_denied_request_is_used_up",
    ),
    mutant(
        "a timestamp is used once",
        "agents/replay.py",
        "timestamp_difference(identification, floor) <= 0:",
        "timestamp_difference(identification, floor) < 0:",
        "replay.py::test_the_very_last_request_again",
    ),
    mutant(
        "a timestamp must be near our clock",
        "agents/replay.py",
        "> tolerance * _SECOND:",
        "> 1000 * tolerance * _SECOND:",
        "replay.py::test_a_request_held_back_for_longer_than_the_tolerance",
    ),
    mutant(
        "one sequence of timestamps for all bindings",
        "agents/home_agent_identification.py",
        "replay.raise_floor(identification)\n        exchange.fresh",
        "replay.use_timestamp(identification, binding_id)\n        exchange.fresh",
        "replay.py::test_a_request_held_back_until_a_newer_one_has_passed",
    ),
    mutant(
        "a change of all bindings outdates requests for any",
        "agents/home_agent_identification.py",
        "if exchange.touches_all:\n            replay.raise_floor(identification)",
        "if False:\n            replay.raise_floor(identification)",
        "replay.py::test_an_older_request_revives_nothing_after_all_were_given_up",
    ),
    mutant(
        "a nonce is used once",
        "agents/home_agent_identification.py",
        "exchange.fresh = matches\n",
        "exchange.fresh = matches or repeated\n",
        "replay.py::test_with_nonces_a_repetition_does_not_extend_the_lifetime",
    ),
    mutant(
        "a nonce must be ours",
        "agents/replay.py",
        "return self.nonce is not None and identification >> 32 == self.nonce",
        "return self.nonce is not None",
        "replay.py::test_with_nonces_a_repetition_does_not_extend_the_lifetime",
    ),
    mutant(
        "a reply answers one request",
        "agents/mobile_node_requests.py",
        "        del self._outstanding[reply.identification & _LOW]\n        return pending",
        "        return pending",
        "replay.py::test_a_replayed_reply_is_discarded_by_the_mobile_node",
    ),
    mutant(
        "what is given up expects no reply any more",
        "agents/mobile_node_requests.py",
        "if pending is not None:\n            del self._outstanding[pending.request.identification & _LOW]",
        "if False:\n            pass",
        "replay.py::test_a_late_reply_does_not_bring_back_what_was_given_up",
    ),
)
