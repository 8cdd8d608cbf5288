# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay protection of one request (step 3 of the decision order; RFC 5944 §5.7, FACTS §4, G35)."""

from __future__ import annotations

from random import Random

from agents.bindings import BindingList
from agents.home_agent_exchange import Exchange
from agents.replay import mismatch_identification, timestamp_difference
from agents.requests import DeniedError
from agents.settings import HomeAgentSettings
from agents.wire import ReplyCode


class IdentificationCheck:
    """Checks Identifications under the settings of one home agent."""

    def __init__(self, settings: HomeAgentSettings, random: Random) -> None:
        self._tolerance = settings.timestamp_tolerance
        self._per_binding = settings.replay_scope == "binding"
        self._random = random

    def check(self, exchange: Exchange) -> None:
        """Use the Identification up if it is good; set the one of the reply in any case.

        A retransmission under nonces passes too, but is not ``fresh``.

        :raises DeniedError: 133.
        """
        if not exchange.timestamps:
            self._check_nonce(exchange)
            return
        replay, identification = exchange.node.replay, exchange.request.identification
        binding_id = exchange.contents.binding_id
        fault = replay.timestamp_fault(identification, binding_id, exchange.now.unix, self._tolerance)
        if fault is not None:
            raise self._mismatch(exchange, fault)
        if self._per_binding:
            replay.use_timestamp(identification, binding_id)
        else:
            replay.raise_floor(identification)
        exchange.fresh = True

    def check_order(self, exchange: Exchange, new: BindingList) -> None:
        """Let no request end or alter another binding that was registered after it.

        :raises DeniedError: 133; only where each binding has its own sequence of timestamps.
        """
        if not self._per_binding or not exchange.timestamps:
            return
        own, identification = exchange.contents.binding_id, exchange.request.identification
        for binding_id, other in exchange.bindings.items():
            if (
                binding_id != own
                and new.get(binding_id) is not other
                and timestamp_difference(identification, other.identification) <= 0
            ):
                raise self._mismatch(exchange, "overtaken")

    def outdate(self, exchange: Exchange, new: BindingList) -> None:
        """After the change: a delayed older request must not bring back what it removed."""
        if not self._per_binding or not exchange.timestamps:
            return
        replay, identification = exchange.node.replay, exchange.request.identification
        if exchange.touches_all:
            replay.raise_floor(identification)
        for binding_id in exchange.bindings.keys() - new.keys():
            replay.use_timestamp(identification, binding_id)

    def _check_nonce(self, exchange: Exchange) -> None:
        replay, identification = exchange.node.replay, exchange.request.identification
        matches = replay.nonce_matches(identification)
        repeated = not matches and _is_repeated(exchange)
        if matches or replay.nonce is None:
            replay.renew_nonce(self._random)
        exchange.identification = replay.nonce_identification(identification)
        exchange.fresh = matches
        if not matches and not repeated:
            raise DeniedError(ReplyCode.HA_IDENTIFICATION_MISMATCH, "nonce-mismatch")

    @staticmethod
    def _mismatch(exchange: Exchange, reason: str) -> DeniedError:
        exchange.identification = mismatch_identification(exchange.request.identification, exchange.now.unix)
        return DeniedError(ReplyCode.HA_IDENTIFICATION_MISMATCH, reason)


def _is_repeated(exchange: Exchange) -> bool:
    last = exchange.node.answered
    return (
        last is not None
        and last.identification == exchange.request.identification
        and last.authenticator == exchange.contents.mobile_home[0].authenticator
    )
