# SPDX-License-Identifier: GPL-2.0-or-later
"""Every defence, the change that switches it off, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defence switched off."""

    defence: str
    file: str
    before: str
    """Stands once in the file."""
    after: str
    tests: tuple[str, ...]
    """Each must fail."""

    @property
    def needs_guest(self) -> bool:
        """Whether the defence is the kernel's: its tests play a scene, and take minutes."""
        return any(test.startswith("tests/net/") for test in self.tests)


def _mutant(defence: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    return Mutant(defence, file, before, after, tuple(f"tests/attacks/test_attack_{test}" for test in tests))


_REPLAY = (
    _mutant(
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
    _mutant(
        "a timestamp is used once",
        "agents/replay.py",
        "timestamp_difference(identification, floor) <= 0:",
        "timestamp_difference(identification, floor) < 0:",
        "replay.py::test_the_very_last_request_again",
    ),
    _mutant(
        "a timestamp must be near our clock",
        "agents/replay.py",
        "> tolerance * _SECOND:",
        "> 1000 * tolerance * _SECOND:",
        "replay.py::test_a_request_held_back_for_longer_than_the_tolerance",
    ),
    _mutant(
        "one sequence of timestamps for all bindings",
        "agents/home_agent_identification.py",
        "replay.raise_floor(identification)\n        exchange.fresh",
        "replay.use_timestamp(identification, binding_id)\n        exchange.fresh",
        "replay.py::test_a_request_held_back_until_a_newer_one_has_passed",
    ),
    _mutant(
        "a change of all bindings outdates requests for any",
        "agents/home_agent_identification.py",
        "if exchange.touches_all:\n            replay.raise_floor(identification)",
        "if False:\n            replay.raise_floor(identification)",
        "replay.py::test_an_older_request_revives_nothing_after_all_were_given_up",
    ),
    _mutant(
        "a nonce is used once",
        "agents/home_agent_identification.py",
        "exchange.fresh = matches\n",
        "exchange.fresh = matches or repeated\n",
        "replay.py::test_with_nonces_a_repetition_does_not_extend_the_lifetime",
    ),
    _mutant(
        "a nonce must be ours",
        "agents/replay.py",
        "return self.nonce is not None and identification >> 32 == self.nonce",
        "return self.nonce is not None",
        "replay.py::test_with_nonces_a_repetition_does_not_extend_the_lifetime",
    ),
    _mutant(
        "a reply answers one request",
        "agents/mobile_node_requests.py",
        "        del self._outstanding[reply.identification & _LOW]\n        return pending",
        "        return pending",
        "replay.py::test_a_replayed_reply_is_discarded_by_the_mobile_node",
    ),
    _mutant(
        "what is given up expects no reply any more",
        "agents/mobile_node_requests.py",
        "if pending is not None:\n            del self._outstanding[pending.request.identification & _LOW]",
        "if False:\n            pass",
        "replay.py::test_a_late_reply_does_not_bring_back_what_was_given_up",
    ),
)

_REQUESTS = (
    _mutant(
        "authenticators are verified",
        "agents/wire/authentication.py",
        "return hmac.compare_digest(expected, extension.authenticator)",
        "return True",
        "forged_requests.py::test_a_request_for_anothers_home_address",
        "forged_requests.py::test_a_genuine_request_with_one_octet_changed",
        "end_points.py::test_no_tunnel_to_a_victim_without_a_key",
        "end_points.py::test_a_request_without_key_from_another_port_moves_no_tunnel",
    ),
    _mutant(
        "an unknown extension that may not be skipped ends the message",
        "agents/wire/parsing.py",
        "if kind < 128 and kind not in _NON_SKIPPABLE and kind != multiple_tunnel_request:",
        "if False:",
        "end_points.py::test_a_flood_of_unknown_extensions",
    ),
    _mutant(
        "every Mobile-Home Authentication is verified",
        "agents/home_agent_security.py",
        "if context is None:\n            return None\n        first = first or context",
        "first = first or context",
        "forged_requests.py::test_a_genuine_authenticator_after_a_forged_one",
    ),
    _mutant(
        "a request needs an authenticator",
        "agents/home_agent_security.py",
        'raise DiscardedError("no-mobile-home-authentication")',
        "return peer.default",
        "forged_requests.py::test_a_request_without_authenticator",
    ),
    _mutant(
        "a key counts under its own SPI only",
        "agents/associations.py",
        "self._contexts.get(extension.spi)",
        "self._contexts.get(extension.spi, self.default)",
        "forged_requests.py::test_the_key_of_another_security_parameter_index",
    ),
    _mutant(
        "the extension counts before the authenticator only",
        "agents/home_agent_request.py",
        "    if contents.mobile_home:\n        contents.faults.append(",
        "    if False:\n        contents.faults.append(",
        "forged_requests.py::test_flags_added_behind_the_authenticator",
    ),
    _mutant(
        "B and O exclude each other",
        "agents/home_agent_request.py",
        "if extension.bulk and extension.overwrite:",
        "if False:",
        "forged_requests.py::test_a_request_for_two_things_at_once_changes_nothing",
    ),
    _mutant(
        "a home agent knows bindings by home address",
        "agents/home_agent.py",
        "exchange.bindings = self._live(request.home_address, exchange.now)",
        "exchange.bindings = {b.binding_id: b for b in self._table.all()}",
        "forged_requests.py::test_the_binding_id_of_another_mobile_node",
    ),
    _mutant(
        "a tunnel stays while one binding uses it",
        "agents/bindings.py",
        "if self._uses[tunnel]:\n            return False",
        "if False:\n            return False",
        "forged_requests.py::test_the_insider_does_not_end_a_tunnel_the_victim_uses",
    ),
    _mutant(
        "every tunnel has a slot, whatever the weights",
        "agents/linux/slots.py",
        "max(1, round(weight * length / total))",
        "max(0, round(weight * length / total))",
        "forged_requests.py::test_the_largest_lie_leaves_every_tunnel_in_use_and_the_tables_small",
    ),
    _mutant(
        "a foreign agent with a key must vouch",
        "agents/home_agent_security.py",
        "    if context is None:\n        raise DeniedError(ReplyCode.HA_FOREIGN_AGENT_FAILED_AUTHENTICATION,"
        ' "bad-foreign-home-authenticator")',
        "    if False:\n        pass",
        "forged_requests.py::test_a_request_through_a_foreign_agent_that_has_a_key",
    ),
    _mutant(
        "no tunnel into the home agent",
        "agents/home_agent_policy.py",
        "if not is_unicast(address) or address == self._settings.address or address in self._home_addresses:",
        "if False:",
        "forged_requests.py::test_a_tunnel_into_the_home_agent_itself",
    ),
)

_FOREIGN_AGENT = (
    _mutant(
        "a request under way is its sender's",
        "agents/foreign_agent.py",
        "if same is not None and same not in former:",
        "if False:",
        "foreign_agent.py::test_a_stranger_repeats_anothers_request_to_get_its_reply",
    ),
    _mutant(
        "an entry changes only with an acceptance",
        "agents/foreign_agent.py",
        "        if not answer.accepted:\n            return",
        "        if False:\n            return",
        "foreign_agent.py::test_a_stranger_does_not_move_a_visitor",
    ),
    _mutant(
        "a home address has one home agent",
        "agents/foreign_agent_admission.py",
        "if others - {home_agent}:",
        "if False:",
        "foreign_agent.py::test_a_home_agent_of_ones_own_for_anothers_home_address",
    ),
    _mutant(
        "the way to a home agent is nobody's",
        "agents/foreign_agent_admission.py",
        "if address in self._table.home_agents()",
        "if False and address in self._table.home_agents()",
        "foreign_agent.py::test_the_address_of_an_agent_as_home_address",
    ),
    _mutant(
        "our own addresses are nobody's home address",
        "agents/foreign_agent_request.py",
        "if request.home_address in self._own or request.home_address == request.home_agent:",
        "if False:",
        "foreign_agent.py::test_the_address_of_an_agent_as_home_address",
    ),
    _mutant(
        "replies come by the uplink",
        "agents/foreign_agent.py",
        "if self._settings.uplink not in (None, datagram.interface):",
        "if False:",
        "foreign_agent.py::test_a_forged_reply_from_the_visitor_link",
    ),
    _mutant(
        "a reply repeats the Identification",
        "agents/foreign_agent_pending.py",
        "return PendingKey(home_address, identification & _LOW)",
        "return PendingKey(home_address, 0)",
        "foreign_agent.py::test_a_forged_reply_without_the_identification",
    ),
    _mutant(
        "a home agent with a key must sign for us",
        "agents/foreign_agent_reply.py",
        "if pending.home_agent is not None:",
        "if False:",
        "foreign_agent.py::test_a_forged_reply_where_the_home_agent_has_a_key",
    ),
    _mutant(
        "an acceptance is the asked home agent's",
        "agents/foreign_agent_reply.py",
        "if answer.accepted and reply.home_agent != pending.request.home_agent:",
        "if False:",
        "foreign_agent.py::test_an_acceptance_by_another_home_agent",
    ),
    _mutant(
        "a reply has the home agent's authenticator",
        "agents/foreign_agent_reply.py",
        "    if not answer.protected:\n",
        "    if False:\n",
        "foreign_agent.py::test_a_reply_without_the_home_agents_authenticator",
    ),
    _mutant(
        "a mobile node with a key must sign for us",
        "agents/foreign_agent_request.py",
        "if len(asked.mobile_foreign) != 1:",
        "return\n        if len(asked.mobile_foreign) != 1:",
        "foreign_agent.py::test_a_forged_request_where_the_mobile_node_has_a_key",
    ),
    _mutant(
        "visitors are on the link",
        "agents/foreign_agent_request.py",
        "datagram.ttl != _TTL",
        "False",
        "foreign_agent.py::test_a_request_from_beyond_the_link",
    ),
    _mutant(
        "few requests wait at a time",
        "agents/foreign_agent_admission.py",
        "if not former and len(self._pending) >= self._settings.pending_limit:",
        "if False:",
        "foreign_agent.py::test_a_flood_of_pending_requests_leaves_the_visitors",
    ),
    _mutant(
        "a request may be repeated when many wait",
        "agents/foreign_agent_admission.py",
        "if not former and len(self._pending) >= self._settings.pending_limit:",
        "if len(self._pending) >= self._settings.pending_limit:",
        "foreign_agent.py::test_a_flood_of_pending_requests_does_not_stop_a_request_that_is_repeated",
    ),
    _mutant(
        "no node keeps the others from registering",
        "agents/foreign_agent_admission.py",
        "return most[:1] if len(most) >=",
        "return [] if len(most) >=",
        "foreign_agent.py::test_a_flood_of_pending_requests_leaves_the_visitors",
    ),
    _mutant(
        "denials are remembered in a table of fixed size",
        "agents/foreign_agent_denials.py",
        "RateLimit(_PER_SECOND, 1, _MOBILE_NODES)",
        "RateLimit(_PER_SECOND, 1, 10**9)",
        "foreign_agent.py::test_a_flood_of_denials_is_bounded",
    ),
    _mutant(
        "the visitor list has an end",
        "agents/foreign_agent_admission.py",
        ">= self._settings.maximum_visitors:",
        ">= 10**9:",
        "foreign_agent.py::test_a_flood_of_visitors_of_ones_own_home_agent",
    ),
    _mutant(
        "no Tunnel Data at a foreign agent's socket",
        "agents/foreign_agent.py",
        'raise DiscardedError("unexpected-tunnel-data")',
        'self._keepalives += 1\n                return [StartTimer("tunnel-data", now.monotonic + 1)]',
        "foreign_agent.py::test_tunnel_data_at_a_foreign_agent",
    ),
)

_MOBILE_NODE = (
    _mutant(
        "a home agent's denial has its authenticator",
        "agents/registration.py",
        "if not _of_foreign_agent(reply.code):",
        "if reply.code == 0:",
        "mobile_node.py::test_a_reply_in_the_home_agents_name",
    ),
    _mutant(
        "an acceptance has the home agent's authenticator",
        "agents/registration.py",
        "if not _of_foreign_agent(reply.code):",
        "if reply.code:",
        "mobile_node.py::test_a_reply_in_the_home_agents_name",
    ),
    _mutant(
        "a foreign agent's denial comes from the one asked",
        "agents/mobile_node_requests.py",
        "if datagram.source not in pending.route.foreign_agent:",
        "if False:",
        "mobile_node.py::test_a_denial_by_an_agent_that_was_not_asked",
        "mobile_node.py::test_a_denial_in_a_foreign_agents_name_for_a_request_that_passed_none",
    ),
    _mutant(
        "a reply comes by the interface of the request",
        "agents/mobile_node_requests.py",
        "or pending.route.interface != datagram.interface",
        "or False",
        "mobile_node.py::test_a_denial_by_an_agent_that_was_not_asked",
    ),
    _mutant(
        "a foreign agent with a key must sign",
        "agents/registration.py",
        "    if foreign:\n",
        "    if False:\n",
        "mobile_node.py::test_a_denial_by_one_without_the_foreign_agents_key",
    ),
    _mutant(
        "extensions of a reply count before the authenticator only",
        "agents/registration.py",
        "return reply.extensions[:position]",
        "return reply.extensions",
        "mobile_node.py::test_an_extension_in_the_reply_that_nobody_vouches_for",
    ),
    _mutant(
        "home is where the home link is",
        "agents/mobile_node_home.py",
        "if believed in (None, name) else None",
        "",
        "mobile_node.py::test_the_home_agents_advertisement_on_a_visited_link",
    ),
    _mutant(
        "the agent in use stays in use",
        "agents/mobile_node_discovery.py",
        "if current is not None and not self._moved_from(current):",
        "if False:",
        "mobile_node.py::test_a_false_agent_beside_the_true_one",
    ),
    _mutant(
        "the list of agents is short",
        "agents/mobile_node_discovery.py",
        "if before is None and len(self.agents) >= MAXIMUM_AGENTS:",
        "if False:",
        "mobile_node.py::test_a_flood_of_false_agents",
    ),
    _mutant(
        "one request per second and interface",
        "agents/mobile_node_link.py",
        "return self.due if self.urgent else max(self.due, self.last_sent + RETRANSMISSION_MINIMUM)",
        "return self.due",
        "mobile_node.py::test_false_restarts_of_the_agent_do_not_make_a_storm_of_requests",
    ),
    _mutant(
        "a reply is for a request that waits",
        "agents/mobile_node_requests.py",
        "            pending is None\n            or",
        "            pending is None\n            and not (pending := self.outstanding[0])\n            or",
        "mobile_node.py::test_a_flood_of_false_replies_changes_nothing",
    ),
    _mutant(
        "advertisements have a good checksum",
        "agents/wire/advertisement.py",
        "if _words(payload) % 0xFFFF:",
        "if False:",
        "mobile_node.py::test_broken_advertisements",
    ),
)

_END_POINTS = (
    _mutant(
        "Tunnel Data moves no tunnel that stands",
        "agents/home_agent_keepalive.py",
        "if binding.keepalive_source == datagram.source]",
        "]",
        "end_points.py::test_tunnel_data_from_another_port_moves_no_tunnel",
        "end_points.py::test_a_keepalive_from_another_address_completes_nothing",
        "end_points.py::test_only_the_first_keepalive_counts",
        "end_points.py::test_a_flood_of_tunnel_data",
    ),
    _mutant(
        "a keepalive is for the home agent",
        "agents/home_agent.py",
        "if destination != self._settings.address or not self._is_own(datagram.destination):",
        "if False:",
        "end_points.py::test_a_keepalive_for_another_mobile_node",
    ),
    _mutant(
        "a UDP tunnel is granted for a short time",
        "agents/home_agent_policy.py",
        "min(request.lifetime, maximum, self._udp.maximum_lifetime)",
        "min(request.lifetime, maximum)",
        "end_points.py::test_an_end_point_seen_through_a_nat_is_believed_for_a_minute_only",
    ),
    _mutant(
        "a mobile node's UDP Tunnel Request is protected",
        "agents/home_agent_request.py",
        "if contents.udp_from_foreign_agent and co_located:",
        "if False:",
        "end_points.py::test_an_unprotected_udp_tunnel_request_of_a_mobile_node_with_a_co_located_address",
    ),
    _mutant(
        "few denials to one source",
        "agents/home_agent_denials.py",
        "self._sources.allows(source, monotonic)",
        "True",
        "end_points.py::test_the_answers_to_one_source_are_few",
    ),
    _mutant(
        "few denials to strangers in all",
        "agents/home_agent_denials.py",
        " and self._strangers.allows(None, monotonic)",
        "",
        "end_points.py::test_the_answers_to_all_sources_are_bounded",
    ),
    _mutant(
        "few denials of recorded requests",
        "agents/home_agent_denials.py",
        "return self._nodes.allows((home_address, source), monotonic)",
        "return True",
        "end_points.py::test_a_recorded_request_reflects_no_more_than_a_forged_one",
    ),
    _mutant(
        "strangers have their own share of the denials",
        "agents/home_agent_denials.py",
        "return self._nodes.allows((home_address, source), monotonic)",
        "return self.stranger(source, monotonic)",
        "end_points.py::test_strangers_do_not_use_up_a_mobile_nodes_own_denials",
    ),
    _mutant(
        "no answer to many",
        "agents/home_agent.py",
        "if not datagram.source_port or not is_unicast(datagram.source):",
        "if False:",
        "end_points.py::test_no_answer_to_and_no_tunnel_to_many",
    ),
    _mutant(
        "few answers to solicitations",
        "agents/advertiser.py",
        "if not self._answers.allows(None, now.monotonic):",
        "if False:",
        "end_points.py::test_the_answers_to_solicitations_are_few",
    ),
    _mutant(
        "a mobile node has few bindings",
        "agents/home_agent.py",
        "if previous is None and len(new) > self._settings.maximum_bindings:",
        "if False:",
        "end_points.py::test_a_flood_of_bindings_ends_at_the_limit",
    ),
    _mutant(
        "few Binding-Ids are remembered",
        "agents/home_agent_exchange.py",
        "if len(self.binding_ids) > REMEMBERED_BINDING_IDS:",
        "if False:",
        "end_points.py::test_a_flood_of_binding_ids_is_forgotten",
    ),
    _mutant(
        "only known mobile nodes are looked at",
        "agents/home_agent.py",
        'if node is None:\n            raise DiscardedError("unknown-mobile-node")',
        "if node is None:\n            node = next(iter(self._nodes.values()))",
        "end_points.py::test_a_flood_of_requests_for_nodes_that_do_not_exist",
    ),
)

_HYGIENE = (
    _mutant(
        "keys are in files that only their owner reads",
        "agents/settings_file.py",
        "if mode & _OTHERS:",
        "if False:",
        "hygiene.py::test_keys_that_others_can_read",
    ),
    _mutant(
        "keys have no representation",
        "agents/settings.py",
        "max_length=64, repr=False)",
        "max_length=64)",
        "hygiene.py::test_keys_are_not_shown",
    ),
    _mutant(
        "authenticators are compared in constant time",
        "agents/wire/authentication.py",
        "hmac.compare_digest(expected, extension.authenticator)",
        "expected == extension.authenticator",
        "hygiene.py::test_authenticators_are_compared_in_constant_time",
    ),
    _mutant(
        "the control socket is its owner's",
        "agents/daemon/control.py",
        "os.umask(0o177)",
        "os.umask(0)",
        "hygiene.py::test_the_control_socket_by_another_user",
    ),
    _mutant(
        "the control protocol has a version",
        "agents/daemon/control.py",
        "if type(version) is not int or version != VERSION:",
        "if not isinstance(request, dict):",
        "hygiene.py::test_bad_requests_at_the_control_socket",
    ),
    _mutant(
        "an agent gives its privileges up",
        "agents/linux/privileges.py",
        "    _call(libc.capset, header, sets)",
        "    del header, sets",
        "hygiene.py::test_an_agent_keeps_the_network_and_nothing_else",
    ),
)


def _kernel(defence: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    return Mutant(defence, file, before, after, tuple(f"tests/net/test_scenarios_{test}" for test in tests))


_KERNEL = (
    _kernel(
        "encapsulated packets come from a tunnel's end point",
        "agents/linux/admission.py",
        r'text += f"    {known}counter name {COUNTERS[0]} drop\n"',
        "",
        "figure3.py::test_bad_data_is_dropped_and_counted",
    ),
    _kernel(
        "what a tunnel carries has an address it is for",
        "agents/linux/admission.py",
        "{foreign} counter name {COUNTERS[1]} drop",
        "{foreign} counter name {COUNTERS[1]}",
        "figure3.py::test_bad_data_is_never_forwarded",
    ),
    _kernel(
        "Tunnel Data comes to the Mobile IP port only",
        "agents/linux/udp_tunnels.py",
        "fib daddr type local counter name {UNKNOWN} drop",
        "fib daddr type local counter name {UNKNOWN}",
        "figure6.py::test_bad_tunnel_data_is_never_forwarded_and_changes_nothing",
    ),
    _kernel(
        "Tunnel Data comes from the port of its binding",
        "agents/linux/udp_tunnels.py",
        r'drop\n    accept\n  }}\n"',
        r'drop\n    udp dport set {GUE_PORT} @th,64,8 set 0 udp checksum set 0 accept\n  }}\n"',
        "figure6.py::test_bad_tunnel_data_is_dropped_and_counted",
    ),
)

_WATCH = "agents/mobile_node_liveness.py"
_OF_A_PROBER = "if key == (source, prober.identifier, prober.nonce):"
_PROBES = (
    _mutant(
        "an answer has the identifier of the probe",
        _WATCH,
        _OF_A_PROBER,
        "if key[::2] == (source, prober.nonce):",
        "probes.py::test_an_answer_with_a_wrong_identifier",
    ),
    _mutant(
        "an answer has the nonce of the probe",
        _WATCH,
        _OF_A_PROBER,
        "if key[:2] == (source, prober.identifier):",
        "probes.py::test_an_answer_with_a_wrong_nonce",
        "probes.py::test_a_flood_of_answers",
    ),
    _mutant(
        "a new life of a tunnel has other probes",
        _WATCH,
        _OF_A_PROBER,
        "if source == key[0] and way == watched.way:",
        "probes.py::test_an_answer_to_a_probe_of_a_former_life_of_the_tunnel",
    ),
    _mutant(
        "an answer comes from the home agent",
        _WATCH,
        _OF_A_PROBER,
        "if key[1:] == (prober.identifier, prober.nonce):",
        "probes.py::test_an_answer_from_another_than_the_home_agent",
    ),
    _mutant(
        "an answer counts for the tunnel it came by",
        _WATCH,
        "if way != watched.way or not",
        "if not",
        "probes.py::test_an_answer_by_another_tunnel_or_bare",
    ),
    _mutant(
        "an answer has the sequence number of a probe",
        "agents/liveness.py",
        "probe = self._probes.pop(sequence, None)",
        "probe = self._probes.popitem()[1] if self._probes else None",
        "probes.py::test_an_answer_with_a_wrong_sequence_number",
    ),
    _mutant(
        "a probe is answered once",
        "agents/liveness.py",
        "probe = self._probes.pop(sequence, None)",
        "probe = self._probes.get(sequence)",
        "probes.py::test_recorded_answers_again",
    ),
)

MUTANTS = _PROBES + _REPLAY + _REQUESTS + _FOREIGN_AGENT + _MOBILE_NODE + _END_POINTS + _HYGIENE + _KERNEL
