# SPDX-License-Identifier: GPL-2.0-or-later
"""Are the numbers that an emulated, so a slow, machine measured with its own clock plausible?

``python3 tests/vagrant/plausible.py SUMMARY``: runs may be disturbed, as a program then wakes late; all
else that failed is an error, and every cell needs a run that was not disturbed.
Exit code: 0 plausible, 1 not.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

FIGURES = (3, 4, 5, 6)
POLICIES = ("per-flow", "per-packet")
FLOWS = (1, 8)
MOST_OF_CEILING = 1.1
LEAST_OF_CEILING = 0.85
"""Per-flow, eight flows: in a window of 3 s, what TCP hands on after a loss moves by some percent."""
OF_BEST_LINK = 0.15


def implausible(summary: dict[str, Any]) -> list[str]:
    """What is wrong with the summary of a run of all figures; nothing, if it is plausible."""
    problems = [problem for problem in summary["problems"] if "disturbed: " not in problem]
    cells = {(cell["figure"], cell["policy"], cell["flows"]): cell for cell in summary["cells"]}
    for figure, policy, flows in product(FIGURES, POLICIES, FLOWS):
        name = f"figure {figure}, {policy}, {flows} flows"
        cell = cells.get((figure, policy, flows))
        if cell is None or cell["n"] == 0:
            problems.append(f"{name}: no run was valid")
            continue
        goodput, efficiency = cell["goodput_mbps"]["mean"], cell["efficiency"]["mean"]
        best = cell["best_single_link_mbps"]
        if not 0 < efficiency <= MOST_OF_CEILING:
            problems.append(f"{name}: {efficiency:.3f} of the ceiling")
        elif policy == "per-flow" and flows > 1 and efficiency < LEAST_OF_CEILING:
            problems.append(f"{name}: only {efficiency:.3f} of the ceiling")
        if policy == "per-flow" and flows == 1 and abs(goodput / best - 1) > OF_BEST_LINK:
            problems.append(f"{name}: {goodput:.2f} Mbit/s, and the best link alone {best:.2f}")
    return problems


def main() -> int:
    """Print what is wrong, or how many runs were left out; the exit code."""
    summary = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    problems = implausible(summary)
    said = problems or [f"plausible; left out as disturbed: {len(summary['problems'])} runs"]
    sys.stdout.write("\n".join(said) + "\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
