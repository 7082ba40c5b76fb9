"""The cases in which an exchange must decide, as scenarios for this one and for hftbacktest.

Every case is a book, rows, requests and questions; both sides answer with texts. A case without
`because` states that the answers are equal, one with it that they differ, for that reason. Times
are nanoseconds from a common start; requests and replies take 10, the feed 5, or what a case says.
"""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benches.peer_scenarios import ROD, Scenario, answer_here
from benches.report import ROOT

BID, ASK = 0, 1
BUY, SELL = 0, 1
BOOK: list[list[Any]] = [
    [0, "level", BID, 99, 10],
    [0, "level", ASK, 101, 10],
    [0, "level", BID, 98, 10],
    [0, "level", ASK, 102, 10],
]
ONE = [[20, "place", 1, BUY, 99, 1, ROD]]  # one lot behind ten
SEEN = 900  # long after everything


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question.

    Attributes:
        rows: After `BOOK`.
        do: Requests and questions, by time.
        because: The rule by which we differ; empty: the answers are the same.
        there: What hftbacktest does where a scenario cannot show it (read in its source).
        here: What we do where there is nothing to run.
        more: Settings of the scenario.
    """

    name: str
    rows: list[list[Any]] = field(default_factory=list)
    do: list[list[Any]] = field(default_factory=list)
    because: str = ""
    there: str = ""
    here: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def scenario(self) -> Scenario:
        """Return the scenario as plain JSON."""
        return {"rows": BOOK + self.rows, "do": self.do} | self.more


def bid(t: int, price: int, lots: int) -> list[Any]:
    """Return a level row of the bid side."""
    return [t, "level", BID, price, lots]


def ask(t: int, price: int, lots: int) -> list[Any]:
    """Return a level row of the ask side."""
    return [t, "level", ASK, price, lots]


def sold(t: int, price: int, lots: int) -> list[Any]:
    """Return a print that hit bids."""
    return [t, "trade", BID, price, lots]


def state(t: int = SEEN, *orders: int) -> list[list[Any]]:
    """Ask for the state of orders (by default the first)."""
    return [[t, "order?", order] for order in orders or (1,)]


TIME = (
    Case(
        name="start of the clock",
        because="a replay has one instrument and starts with its slice: nothing shifts it",
        more={"special": "clock_of_two_assets"},
    ),
    Case(
        name="event stamped exactly at the end of a wait",
        rows=[bid(100, 99, 7)],
        do=[[105, "quotes?"]],
    ),
    Case(
        name="several rows of one local time; timeout of a wait",
        rows=[bid(100, 97, 1), bid(100, 96, 1), bid(200, 97, 2)],
        because="here it is a timer that the strategy sets; the steps are the same",
        more={"special": "steps"},
    ),
    Case(
        name="local book before the local time of a row",
        rows=[bid(100, 99, 7)],
        do=[[104, "quotes?"]],
    ),
    Case(
        name="end of data with messages in flight",
        do=[[999_985, "place", 1, BUY, 99, 1, ROD]],
        because="what rests or flies at the end expires; the position is marked to the mid",
        more={"at_end": 1},
    ),
    Case(
        name="market row and own message at one exchange time",
        rows=[ask(30, 101, 0), ask(30, 100, 5)],
        do=[[20, "place", 1, BUY, 100, 1, ROD], *state()],
    ),
    Case(
        name="local feed and own reply at one local time",
        rows=[bid(35, 99, 7)],
        do=[*ONE, [40, "order?", 1], [40, "quotes?"]],
    ),
    Case(
        name="two instruments at one time",
        because="one instrument per replay",
        there="lower index first (read)",
        here="one instrument",
    ),
    Case(name="own order before its acknowledgement", do=[*ONE, *state(39)]),
    Case(name="own order in the book we see", do=[*ONE, [100, "quotes?"]]),
    Case(
        name="time of the acknowledgement and of the fill notice",
        rows=[sold(100, 99, 11)],
        do=[*ONE, *state(39), *state(40), *state(109), *state(110)],
    ),
    Case(
        name="messages overtake",
        do=[
            [20, "place", 1, BUY, 99, 1, ROD],
            [150, "place", 2, BUY, 98, 1, ROD],
            [160, "cancel", 1],
            *state(SEEN, 1, 2),
        ],
        more={
            "latency_rows": [[20, 120, 130], [150, 250, 260], [160, 170, 180]],
            "latency": {"place": 100, "cancel": 10, "report": 10},
        },
    ),
    Case(
        name="latency per kind of request",
        do=[*ONE, [200, "cancel", 1], *state()],
        because="every kind of message has a model of its own, drawn by key",
        there="one model for all requests, no seed (read)",
        more={"latency": {"place": 30, "cancel": 10, "report": 10}},
    ),
    Case(
        name="negative entry latency",
        do=[*ONE, *state()],
        because="not a latency; rejects are a model of their own",
        more={"latency": -7},
    ),
)

REQUESTS = (
    Case(
        name="second request while one is in flight",
        do=[*ONE, [25, "cancel", 1], *state()],
        because="legal: the channel keeps the order of the messages",
    ),
    Case(
        name="id of a finished order",
        because="the exchange gives the ids, each once in a run",
        here="a new id",
        more={"special": "same_id"},
    ),
    Case(
        name="cancel arrives after the fill",
        rows=[sold(55, 99, 11)],
        do=[*ONE, [50, "cancel", 1], *state()],
    ),
    Case(
        name="fill and cancel at one exchange time",
        rows=[sold(60, 99, 11)],
        do=[*ONE, [50, "cancel", 1], *state()],
    ),
    Case(
        name="post-only that would take",
        do=[[20, "place", 1, BUY, 101, 1, "post_only"], *state()],
    ),
    Case(
        name="IOC and FOK that do not cross",
        do=[
            [20, "place", 1, BUY, 100, 1, "ioc"],
            [20, "place", 2, BUY, 100, 1, "fok"],
            *state(SEEN, 1, 2),
        ],
    ),
    Case(
        name="taker larger than the best level",
        do=[[20, "place", 1, BUY, 105, 15, "ioc"], *state()],
        because="a taker walks the book and never gets more than is there",
    ),
    Case(
        name="limit far through the book",
        do=[[20, "place", 1, BUY, 105, 5, ROD], *state()],
    ),
    Case(
        name="market order within the best level",
        do=[[20, "place", 1, SELL, 0, 5, "market"], *state()],
    ),
    Case(
        name="second taker at once",
        do=[
            [20, "place", 1, BUY, 101, 10, "ioc"],
            [21, "place", 2, BUY, 101, 10, "ioc"],
            *state(SEEN, 1, 2),
        ],
        because="what own takers took is remembered until the market refills it",
    ),
    Case(
        name="amend to a smaller size",
        rows=[bid(100, 99, 30), sold(200, 99, 13)],
        do=[[20, "place", 1, BUY, 99, 5, ROD], [150, "amend", 1, 99, 3], *state()],
    ),
    Case(
        name="amend to another price",
        rows=[bid(100, 98, 30), sold(200, 98, 31)],
        do=[*ONE, [150, "amend", 1, 98, 1], *state()],
    ),
    Case(
        name="amend to a larger size",
        rows=[bid(100, 99, 30), sold(200, 99, 38)],
        do=[[20, "place", 1, BUY, 99, 5, ROD], [150, "amend", 1, 99, 8], *state()],
        because="the new size fills; there only the old one does (D8)",
    ),
    Case(
        name="amend lets a post-only order take",
        do=[
            [20, "place", 1, BUY, 99, 1, "post_only"],
            [100, "amend", 1, 101, 1],
            *state(),
        ],
        because="the amend is rejected and the order stays as it was",
    ),
    Case(
        name="order that would meet an own one",
        do=[
            [20, "place", 1, BUY, 100, 1, ROD],
            [50, "place", 2, SELL, 100, 1, ROD],
            *state(SEEN, 2),
        ],
        because="own orders do not trade with each other: rejected",
    ),
)

FILLS = (
    Case(
        name="other side quotes at our price",
        rows=[ask(100, 99, 1)],
        do=[[20, "place", 1, BUY, 99, 50, ROD], *state()],
    ),
    Case(
        name="trade through our price",
        rows=[sold(100, 98, 1)],
        do=[[20, "place", 1, BUY, 99, 50, ROD], *state()],
    ),
    Case(
        name="trade at our price equal to the queue ahead",
        rows=[sold(100, 99, 10)],
        do=[*ONE, *state()],
    ),
    Case(
        name="trade at our price above it, one lot",
        rows=[sold(100, 99, 11)],
        do=[*ONE, *state()],
    ),
    Case(
        name="trade at our price above it, more lots",
        rows=[sold(100, 99, 11)],
        do=[[20, "place", 1, BUY, 99, 5, ROD], *state()],
        because="the surplus fills, not the whole order",
    ),
    Case(
        name="trade at our price of the wrong aggressor",
        rows=[[100, "trade", ASK, 99, 11]],
        do=[*ONE, *state()],
    ),
    Case(
        name="two own orders at one price",
        rows=[sold(100, 99, 11)],
        do=[*ONE, [21, "place", 2, BUY, 99, 1, ROD], *state(SEEN, 1, 2)],
        because="own orders queue too; one print is shared, volume is conserved",
    ),
    Case(
        name="time of the fill",
        rows=[sold(110, 99, 11)],
        do=[*ONE, *state()],
    ),
    Case(
        name="partial fills",
        rows=[sold(100, 99, 12)],
        do=[[20, "place", 1, BUY, 99, 5, ROD], [SEEN, "position?"]],
        because="the default here; there the local position misses the first part (D1)",
        more={"partial": True},
    ),
)

QUEUES = (
    Case(
        name="initial queue is the size at arrival",
        rows=[bid(25, 99, 14), sold(100, 99, 14), sold(200, 99, 1)],
        do=[*ONE, *state(150), *state()],
    ),
    Case(
        name="level grows",
        rows=[bid(100, 99, 30), sold(200, 99, 11)],
        do=[*ONE, *state()],
    ),
    Case(
        name="level shrinks below our place (back)",
        rows=[bid(100, 99, 4), sold(200, 99, 4), sold(300, 99, 1)],
        do=[*ONE, *state(250), *state()],
    ),
    Case(
        name="level seen at zero",
        rows=[bid(100, 99, 0), bid(110, 99, 6), sold(120, 99, 1)],
        do=[*ONE, *state()],
    ),
    Case(
        name="cancel in the middle of the queue (power 1)",
        rows=[bid(100, 99, 30), bid(200, 99, 20), sold(300, 99, 7), sold(400, 99, 1)],
        do=[*ONE, *state(350), *state()],
        more={"queue": "power:1"},
    ),
    Case(
        name="queue ahead that is no whole number",
        rows=[bid(100, 99, 25), bid(200, 99, 16), sold(300, 99, 7)],
        do=[*ONE, *state()],
        because="6.4 lots ahead: 7 leave less than a lot; there 0.6 rounds up to one",
        more={"queue": "power:1"},
    ),
    Case(
        name="level shrinks far below our place (log)",
        rows=[
            bid(10, 99, 2),
            bid(100, 99, 102),
            bid(110, 99, 52),
            bid(120, 99, 50),
            sold(200, 99, 9),
        ],
        do=[*ONE, *state()],
        because="the place stays within the level; there it becomes negative, then last (D4)",
        more={"queue": "log"},
    ),
    Case(
        name="trade row, then its level row with cancels",
        rows=[
            bid(10, 99, 40),
            bid(50, 99, 100),
            sold(100, 99, 30),
            bid(100, 99, 40),
            sold(200, 99, 7),
        ],
        do=[*ONE, *state()],
        because="the part behind is counted after the trade, not before it",
        more={"queue": "power:1"},
    ),
    Case(
        name="level row, then its trade row",
        rows=[bid(100, 99, 5), sold(100, 99, 5), sold(200, 99, 1)],
        do=[*ONE, *state()],
        because="one decrease of one exchange time is told twice and counted once",
    ),
    Case(
        name="trade that empties the best level, its level row later",
        rows=[sold(100, 99, 10), bid(300, 99, 0)],
        do=[[150, "place", 1, SELL, 98, 1, "ioc"], *state()],
        because="a print takes its lots from the book at once",
    ),
    Case(
        name="images of the book (power 1)",
        rows=[
            [100, "image", BID, [[99, 30], [98, 10]]],
            [200, "image", BID, [[99, 20], [98, 10]]],
            sold(300, 99, 8),
        ],
        do=[*ONE, *state()],
        because="an image is its differences; there every model acts as the most careful one (D5)",
        more={"queue": "power:1"},
    ),
    Case(
        name="clear of part of the book",
        rows=[[100, "image", BID, [], 99]],
        do=[[200, "quotes?"]],
        because="the next level is the best; there it is skipped (D6)",
    ),
    Case(
        name="bid quoted at the ask",
        rows=[bid(100, 101, 3)],
        do=[[200, "quotes?"]],
        because="a crossed book is shown and counted; there the ask moves away",
    ),
)

DATA = (
    Case(
        name="price outside of a declared range",
        because="refused with its reason; there the order is taken and its level is no number (D7)",
        more={"special": "outside_of_range"},
    ),
    Case(
        name="row out of order",
        rows=[bid(100, 97, 1)],
        because="refused with the row; a clock offset is a declared setting",
        more={"special": "out_of_order"},
    ),
    Case(
        name="same run twice",
        because="sums are integers in a fixed order: equal digests",
        there="last bits of balances differ: floats summed in the order of a hash map (read, D11)",
        more={"special": "twice"},
        rows=[sold(100, 99, 12)],
        do=[[20, "place", 1, BUY, 99, 5, ROD]],
    ),
)

GROUPS: dict[str, tuple[Case, ...]] = {
    "Clocks and messages": TIME,
    "Requests": REQUESTS,
    "Fills": FILLS,
    "Queue and book": QUEUES,
    "Data and runs": DATA,
}


def answer_cases(python: str, folder: Path) -> list[dict[str, Any]]:
    """Return all cases with both answers and whether they are as stated."""
    cases = [(group, case) for group, members in GROUPS.items() for case in members]
    asked = [case for _, case in cases if not case.there]
    path = folder / "cases.json"
    path.write_text(json.dumps([case.scenario() for case in asked]))
    script = str(ROOT / "benches" / "hftbacktest_cases.py")
    command = [python, script, "--cases", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"hftbacktest did not answer the cases:\n{done.stderr[-2_000:]}")
    there = dict(zip((case.name for case in asked), json.loads(done.stdout), strict=True))
    found = []
    for group, case in cases:
        theirs = case.there or there[case.name]
        ours = case.here or answer_here(case.scenario(), folder)
        found.append(
            {
                "group": group,
                "case": case.name,
                "there": theirs,
                "here": ours,
                "because": case.because,
                "as_stated": (ours == theirs) == (not case.because),
            }
        )
    return found
