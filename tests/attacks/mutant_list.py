# SPDX-License-Identifier: GPL-2.0-or-later
"""Every defence that a mutant switches off; ``mutants_of_*.py`` declare them."""

from __future__ import annotations

from tests.attacks.mutants_of_foreign_agent import FOREIGN_AGENT
from tests.attacks.mutants_of_home_agent import END_POINTS, REQUESTS
from tests.attacks.mutants_of_mobile_node import MOBILE_NODE, PROBES
from tests.attacks.mutants_of_programs import HYGIENE, KERNEL
from tests.attacks.mutants_of_replay import REPLAY

MUTANTS = PROBES + REPLAY + REQUESTS + FOREIGN_AGENT + MOBILE_NODE + END_POINTS + HYGIENE + KERNEL
