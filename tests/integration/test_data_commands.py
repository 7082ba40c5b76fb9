"""The data commands as a user meets them: on sound, odd and damaged files."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.readers import READERS, RULES
from sweep.readers.event_arrays import EVENT_LAYOUT
from tests.integration.test_cli import sweep

EXCHANGE_LOCAL = 0xC000_0000
BID, ASK = EXCHANGE_LOCAL | 0x2000_0001, EXCHANGE_LOCAL | 0x1000_0001
START_NS = 1_767_574_800_000_000_000
PRODUCT = (
    "venue=TOY",
    "currency=USD",
    "minor_per_unit=100",
    "tick_size=0.01",
    "lot_size=1",
    "multiplier=1",
)


def document_of(*arguments: str, folder: Path, code: int = 0) -> Any:
    done = sweep("data", *arguments, "--json", folder=folder)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files: sound, cut in half, no data at all, with an odd row."""
    place = tmp_path_factory.mktemp("files")
    made = sweep("data", "generate", "syn.parquet", "--set", "events=5000", folder=place)
    assert made.returncode == 0, made.stderr
    whole = (place / "syn.parquet").read_bytes()
    (place / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (place / "notes.txt").write_text("buy low, sell high\n")
    rows = [(BID, 10.01, 5.0), (ASK, 10.03, 4.0), (BID, -0.01, 3.0), (ASK, 10.04, 2.0)]
    events = np.zeros(len(rows), EVENT_LAYOUT)
    for index, (code, price, lots) in enumerate(rows):
        time_ns = START_NS + index * 1_000_000
        events[index] = (code, time_ns, time_ns + 500_000, price, lots, 0, 0, 0.0)
    np.save(place / "odd.npy", events)
    return place


def toy(*more: str) -> tuple[str, ...]:
    described = (word for text in PRODUCT for word in ("--product", text))
    return ("--instrument", "TOY", *described, *more)


def test_check_goes_on_past_files_that_cannot_be_read(folder: Path) -> None:
    names = ("syn.parquet", "cut.parquet", "notes.txt", "gone.parquet")
    reader = ("--reader", "canonical_parquet", "--instrument", "SYN")
    found = document_of("check", *names, *reader, folder=folder, code=4)["files"]
    outcomes = [(Path(entry["path"]).name, entry["outcome"]) for entry in found]
    assert outcomes == [
        ("syn.parquet", "sound"),
        ("cut.parquet", "refused"),
        ("notes.txt", "refused"),
        ("gone.parquet", "unclear"),
    ]
    assert found[0]["rows"] > 5_000
    assert all(name in entry["problem"] for name, entry in zip(names[1:], found[1:], strict=True))
    assert list(folder.glob("runs/**/*.tape")) == []


def test_check_guesses_and_says_so(folder: Path) -> None:
    done = sweep("data", "check", "syn.parquet", "--instrument", "SYN", "--all", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "guessed   reader canonical_parquet (Parquet with the columns" in done.stdout
    assert re.search(r"rule      far_time +count +0\n +Rows that follow each other", done.stdout)
    (unclear,) = document_of("check", "syn.parquet", folder=folder, code=2)["files"]
    assert "the name does not tell the product: give --instrument" in unclear["problem"]
    (unclear,) = document_of("check", "notes.txt", folder=folder, code=2)["files"]
    assert "cannot tell which reader this file needs: give --reader" in unclear["problem"]


def test_check_shows_the_rules_that_found_something(folder: Path) -> None:
    sound = sweep("data", "check", "syn.parquet", "--instrument", "SYN", folder=folder)
    assert sound.returncode == 0, sound.stderr
    assert not re.search(r"^  rule ", sound.stdout, re.MULTILINE)
    assert f"rules     {len(RULES['canonical_parquet'])} found nothing (--all" in sound.stdout
    (told,) = document_of("check", "odd.npy", *toy(), folder=folder, code=4)["files"]
    assert list(told["rules"]) == list(RULES["hftbacktest"])
    hit = [name for name, rule in told["rules"].items() if rule["count"]]
    assert "price_sign" in hit
    broken = sweep("data", "check", "odd.npy", *toy(), folder=folder)
    assert re.findall(r"^  rule +(\S+) ", broken.stdout, re.MULTILINE) == hit
    assert f"rules     {len(told['rules']) - len(hit)} others found nothing" in broken.stdout
    whole = sweep("data", "check", "odd.npy", *toy("--all"), folder=folder)
    shown = re.findall(r"^  rule +(\S+) ", whole.stdout, re.MULTILINE)
    assert shown == list(RULES["hftbacktest"])
    assert "--all" not in whole.stdout


def test_generate_replaces_a_file_only_when_told(tmp_path: Path) -> None:
    few = ("--set", "events=2000")
    for name in ("syn.tape", "syn.parquet"):
        path = tmp_path / name
        path.write_bytes(b"somebody's")
        kept = sweep("data", "generate", name, *few, folder=tmp_path)
        assert kept.returncode == 2
        assert f"{name}: is there already; give another name, or --force" in kept.stderr
        assert path.read_bytes() == b"somebody's"
        made = sweep("data", "generate", name, *few, "--force", folder=tmp_path)
        assert made.returncode == 0, made.stderr
        assert path.stat().st_size > 1_000
    folder = tmp_path / "folder.tape"
    folder.mkdir()
    done = sweep("data", "generate", folder.name, "--force", *few, folder=tmp_path)
    assert done.returncode == 2
    assert "folder.tape: is there already; give another name" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "runs") == [
        "folder.tape",
        "syn.parquet",
        "syn.tape",
    ]


def test_broken_rule_is_told_and_its_action_can_be_chosen(folder: Path) -> None:
    (found,) = document_of("check", "odd.npy", *toy(), folder=folder, code=4)["files"]
    rule = found["rules"]["price_sign"]
    assert (found["outcome"], rule["action"], rule["count"]) == ("broken", "error", 1)
    assert rule["first"].startswith("row 2")
    assert found["rows"] == 4  # the check went on
    refused = document_of("import", "odd.npy", *toy(), folder=folder, code=4)
    assert refused["tapes"] == []
    assert "row 2" in refused["problems"][0]
    chosen = toy("--check", "price_sign=count")
    (found,) = document_of("check", "odd.npy", *chosen, folder=folder)["files"]
    assert found["outcome"] == "noted"
    made = document_of("import", "odd.npy", *chosen, folder=folder)
    assert made["tapes"][0]["facts"]["checks"]["price_sign"]["count"] == 1


def test_import_makes_what_can_be_made_and_only_once(folder: Path) -> None:
    names = ("syn.parquet", "cut.parquet")
    reader = ("--reader", "canonical_parquet", "--instrument", "SYN")
    first = sweep("data", "import", *names, *reader, folder=folder)
    assert first.returncode == 4
    assert "cut.parquet" in first.stderr
    assert "1 of 2 sources are tapes now" in first.stderr
    assert first.stderr.count("building syn-SYN-") == 1
    again = sweep("data", "import", *names, *reader, folder=folder)
    assert "building syn-SYN-" not in again.stderr
    assert again.stdout == first.stdout


def test_inspect_shows_the_same_of_a_file_and_its_tape(folder: Path) -> None:
    (made,) = document_of("import", "syn.parquet", "--instrument", "SYN", folder=folder)["tapes"]
    of_tape = document_of("inspect", made["path"], folder=folder)["tapes"]
    of_file = document_of("inspect", "syn.parquet", "--instrument", "SYN", folder=folder)["tapes"]
    assert of_tape == of_file
    (document,) = of_tape
    assert document["rows"] == made["rows"] == sum(document["kinds"].values())
    assert document["measured"]["image_grid"]["period_ms"] == 125
    answers = {verdict["question"]: verdict["answer"] for verdict in document["support"]}
    assert answers["Is the place of an order in its queue known?"] == "partly"
    assert answers["Is the delay of the feed known?"] == "no"


def test_inspect_writes_one_page_that_needs_nothing_else(folder: Path) -> None:
    arguments = ("inspect", "syn.parquet", "--instrument", "SYN", "--html", "page.html")
    done = sweep("data", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "page.html").read_text()
    assert page.count("<svg") >= 8
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?://|<script|<link|url\(", page)
    for section in ("can and cannot support", "Sessions", "Longest silences"):
        assert section in page
    for line in ("what this data can and cannot support", "spread in ticks", "longest gaps"):
        assert line in done.stdout


def test_names_of_files_are_no_markup(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<b>day & night.parquet"
    odd.write_bytes((folder / "syn.parquet").read_bytes())
    arguments = ("inspect", odd.name, "--instrument", "SYN", "--html", "page.html")
    done = sweep("data", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;day &amp; night.parquet" in page
    assert "<b>day" not in page


def test_damaged_tape_is_named_and_the_others_are_shown(folder: Path, tmp_path: Path) -> None:
    (made,) = document_of("import", "syn.parquet", "--instrument", "SYN", folder=folder)["tapes"]
    content = bytearray(Path(made["path"]).read_bytes())
    (tmp_path / "good.tape").write_bytes(content)
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.tape").write_bytes(content)
    arguments = ("inspect", "bad.tape", "good.tape", "gone.tape")
    seen = document_of(*arguments, folder=tmp_path, code=4)
    assert [Path(tape["path"]).name for tape in seen["tapes"]] == ["good.tape"]
    assert len(seen["problems"]) == 2
    assert "gone.tape" in seen["problems"][0]
    assert "bad.tape" in seen["problems"][1]


def test_tape_is_exported_and_read_back(folder: Path) -> None:
    (made,) = document_of("import", "syn.parquet", "--instrument", "SYN", folder=folder)["tapes"]
    told = document_of("export", made["path"], "back.npz", folder=folder)
    assert (told["format"], told["rows"]) == ("hftbacktest", made["rows"])
    (found,) = document_of("check", "back.npz", *toy()[2:], "--instrument", "SYN", folder=folder)[
        "files"
    ]
    assert (found["reader"], found["rows"]) == ("hftbacktest", made["rows"])
    done = sweep("data", "export", "gone.tape", "x.npz", folder=folder)
    assert done.returncode == 4
    assert "gone.tape" in done.stderr


def test_readers_and_products_are_listed(folder: Path) -> None:
    told = document_of("readers", folder=folder)
    assert set(told["readers"]) == set(READERS)
    for name, reader in told["readers"].items():
        assert reader["doc"], name
        assert all(option["doc"] for option in reader["options"].values()), name
        assert all(rule["doc"] and rule["actions"] for rule in reader["rules"].values()), name
    assert document_of("check", "--list", folder=folder) == told
    products = document_of("products", folder=folder)["products"]
    assert products["TXF"][0]["tick_value_minor"] == 200
    assert document_of("products", "TXO", folder=folder)["products"].keys() == {"TXO"}
    done = sweep("data", "products", "NOPE", folder=folder)
    assert done.returncode == 2
    assert "no product 'NOPE'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check",), "Give a study or files"),
        (("check", "."), "Expected files, found a folder"),
        (("check", "a.yaml", "b.yaml"), "One study or some files"),
        (("check", "a.yaml", "--reader", "databento"), "A study names reader"),
        (("import", "gone.yaml"), "gone.yaml:1:1: Cannot read the study file"),
        (("check", "x", "--reader", "databeno"), "There is no reader 'databeno'"),
        (("import", "x", "--reader", "databento", "--set", "dept=3"), "Unknown key 'dept'"),
        (("import", "x", "--reader", "databento", "--check", "code=drop"), "code"),
        (("inspect", "x", "--reader", "databento", "--product", "tick=1"), "no key 'tick'"),
        (("export", "syn.parquet", "out.bin"), "cannot tell the format"),
        (("generate", "syn.npz"), "syn.npz: expected a name that ends in .tape or .parquet"),
        (("generate", "syn", "--like", "x.tape"), "expected a name that ends in .tape or .parquet"),
    ],
)
def test_bad_arguments_end_with_2(arguments: tuple[str, ...], message: str, folder: Path) -> None:
    done = sweep("data", *arguments, folder=folder)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
