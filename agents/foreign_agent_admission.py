# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a registration fits to those there are: room for it, and nobody harmed by it."""

from __future__ import annotations

from agents.foreign_agent_pending import Pending, PendingTable
from agents.requests import DeniedError
from agents.settings import ForeignAgentSettings
from agents.visitors import VisitorTable
from agents.wire import ReplyCode


class Admission:
    """The checks of one foreign agent that look at its visitor list. They change nothing."""

    def __init__(self, settings: ForeignAgentSettings, pending: PendingTable, table: VisitorTable) -> None:
        self._settings = settings
        self._pending = pending
        self._table = table

    def check_conflicts(self, part: Pending) -> None:
        """One home address has one home agent here, and the way to a home agent is not a visitor's.

        Otherwise a node with a home agent of its own making could get the traffic of another.

        :raises DeniedError: 65.
        """
        address, home_agent = part.request.home_address, part.request.home_agent
        code = ReplyCode.FA_ADMINISTRATIVELY_PROHIBITED
        registering = [p.request for p in self._pending.all() if p.request.lifetime]
        others = {visitor.home_agent for visitor in self._table.of(address).values()}
        others |= {request.home_agent for request in registering if request.home_address == address}
        if others - {home_agent}:
            raise DeniedError(code, "home-address-in-use")
        if address in self._table.home_agents() | {request.home_agent for request in registering}:
            raise DeniedError(code, "home-address-of-an-agent")
        if self._table.of(home_agent) or any(request.home_address == home_agent for request in registering):
            raise DeniedError(code, "home-agent-is-a-visitor")

    def check_resources(self, part: Pending, former: list[Pending]) -> list[Pending]:
        """Room among the pending parts and, for a registration that makes an entry, in the list.

        :param former: the pending parts that this one replaces.
        :return: what goes to make room.
        :raises DeniedError: 66.
        """
        code = ReplyCode.FA_INSUFFICIENT_RESOURCES
        room: list[Pending] = []
        if not former and len(self._pending) >= self._settings.pending_limit:
            room = self._greediest(part)
            if not room:
                raise DeniedError(code, "too-many-pending")
        if part.request.lifetime and not self._listed(part):
            coming = {p.visitor for p in self._pending.all() if p.request.lifetime and not self._listed(p)}
            if len(self._table) + len(coming - {part.visitor}) >= self._settings.maximum_visitors:
                raise DeniedError(code, "too-many-visitors")
        return room

    def _greediest(self, part: Pending) -> list[Pending]:
        """The oldest request of the sender with most of them, if it has two more than this one.

        So that one node on the link cannot keep all others from registering.
        """
        parts: dict[tuple[str, str], list[Pending]] = {}
        for other in self._pending.all():
            parts.setdefault(other.attachment.place, []).append(other)
        most = max(parts.values(), key=len)
        return most[:1] if len(most) >= len(parts.get(part.attachment.place, [])) + 2 else []

    def _listed(self, part: Pending) -> bool:
        return part.visitor in self._table.of(part.visitor.home_address)
