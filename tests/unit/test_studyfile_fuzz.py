"""Damaged study files: whatever the bytes, the answer is a study or a StudyError."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.schema import Study
from sweep.studyfile import StudyError, emit_yaml, load_study, parse_yaml

QUICKSTART = Path(__file__).resolve().parents[2] / "experiments" / "quickstart.yaml"
TEXT = QUICKSTART.read_text(encoding="utf-8")
PIECES = (
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "  ",
        "\t",
        "&a ",
        "*a",
        "!!int ",
        "<<: ",
        "? ",
        "| ",
        "> ",
    ),
    *(
        "# ",
        "'",
        '"',
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "null",
        "~",
        "yes",
        "0x1f",
        "1e999",
        ".nan",
        "-1",
    ),
    *(
        "9" * 30,
        "é",
        "\x00",
        "\x85",
        "\ufeff",
        "{int: [1, 2]}",
        "{choice: [a, 1]}",
        "{scenario: [1]}",
    ),
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(("", *PIECES))),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=150, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(edits=EDITS)
def test_edited_study_is_read_or_refused(folder: Path, edits: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for place, count, piece in edits:
        text = text[:place] + piece + text[place + count :]
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    _read_or_refuse(path)


@settings(max_examples=100, deadline=2_000)
@given(raw=st.binary(max_size=400))
def test_any_bytes_are_refused(folder: Path, raw: bytes) -> None:
    path = folder / "study.yaml"
    path.write_bytes(raw)
    with pytest.raises(StudyError):
        load_study(path)


@settings(max_examples=100, deadline=2_000)
@given(override=st.text(max_size=60) | st.sampled_from(PIECES).map(lambda piece: f"seed={piece}"))
def test_any_override_is_read_or_refused(override: str) -> None:
    _read_or_refuse(QUICKSTART, override)


def _read_or_refuse(path: Path, *overrides: str) -> None:
    result: Study | StudyError
    try:
        result = load_study(path, overrides)
    except StudyError as error:
        result = error
    if isinstance(result, StudyError):
        assert result.line >= 1
        assert result.column >= 1
        assert str(result)
        return
    # What was accepted can be written down and means the same again.
    written = emit_yaml(parse_yaml(result.text, source="x"))
    assert emit_yaml(parse_yaml(written, source="y")) == written
