"""Writes docs/peers.md out of what `benches.peer_check` found."""

from pathlib import Path
from typing import Any

HEAD = """# Beside hftbacktest

What happens to the same orders on the same ticks here and in hftbacktest 2.4.4, the strongest
open simulator of this kind. This page is written by `make peer-check` (`benches/peer_check.py`);
nothing on it is typed by hand. The reference runs in an environment of its own, which the command
makes under `build/`; `HBT_PYTHON` names another one. The exit code is 1 if an order of the shared
rules ends differently, or a case is not as stated.

## The same orders

Random schedules: 45 % resting orders, 35 % post-only, the rest IOC, FOK and market orders, at
prices from deep in the book to through it, a fifth of them timed to arrive exactly with a row of
the market; cancels and amends to another price. They keep to the rules that both share: orders of
one lot, one own order at a price, none that would meet an own one, the queue model `back` (there:
"risk averse"), no memory of consumed liquidity, constant delays each way, whole fills there.
Equal means: status, filled lots, fill price, maker or taker, time at the exchange, and the time
at which the strategy knows.

The generated feed is that of `make bench` with a time of its own for every message. The TXF day
is a recorded day as `data export` writes it, without auction rows, with the prints of an exchange
time in front of its level rows, and a level row behind every print that tells what it left.
"""

LEAVING = """
Leaving the shared rules one at a time. On the TXF day the rule named is all that differs: with it
out of the way the table above is complete. The differences of the queue models are of the kinds
that the cases below show; they are counted here and not traced order by order.
"""

CASES = """
## Every case

Small scenarios, run on both sides: a book of 99 x 101 with 10 lots a level, requests and replies
of 10 ns, times in ns from the start (`benches/peer_cases.py`). "read" marks what a scenario
cannot show and was read in the library's source; D1 to D11 are defects of it. Rejected orders are
called expired, as there.
"""


def cell(text: str) -> str:
    """Return a text that a table can hold."""
    return text.replace("|", "/")


def table(names: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def run_row(run: dict[str, Any]) -> list[str]:
    """Return the row of a run."""
    ends = ", ".join(f"{name} {count:,}" for name, count in run["ends"].items())
    equal = run["orders"] - run["differing"]
    return [
        f"{run['feed']}, {run['rows']:,} rows",
        run["queue"],
        f"{run['latency_ms']:g}",
        f"{run['orders']:,} / {run['cancels']:,} / {run['amends']:,}",
        f"{ends} (maker {run['maker_fills']:,})",
        f"{equal:,} ({equal / run['orders']:.2%})",
        run["rule"],
    ]


def write_page(path: Path, runs: list[dict[str, Any]], cases: list[dict[str, Any]]) -> None:
    """Write the page."""
    names = (
        "feed",
        "queue there",
        "delay, ms",
        "orders / cancels / amends",
        "how they end here",
        "equal",
    )
    shared = [run_row(run)[:-1] for run in runs if not run["rule"]]
    leaving = [run_row(run) for run in runs if run["rule"]]
    same = sum(not case["because"] for case in cases)
    parts = [HEAD, table(names, shared), LEAVING, table((*names, "rule"), leaving), CASES]
    parts.append(f"{len(cases)} cases: {same} the same, {len(cases) - same} differ.\n")
    for group in dict.fromkeys(case["group"] for case in cases):
        rows = [
            [
                case["case"],
                case["there"],
                case["here"],
                f"differs because: {case['because']}" if case["because"] else "same",
            ]
            for case in cases
            if case["group"] == group
        ]
        parts.append(f"### {group}\n")
        parts.append(table(("case", "hftbacktest 2.4.4", "here", "answer"), rows))
    path.write_text("\n".join(part.strip("\n") + "\n" for part in parts))
