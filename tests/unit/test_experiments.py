"""Every study file that a reader may start from is a valid one."""

import re
from pathlib import Path

import pytest

from sweep.studyfile import StudyError, load_study

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_experiment_is_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = tmp_path / "recording.parquet"
    recording.touch()
    for variable in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(variable, str(recording))
    study = load_study(path)
    assert study.name == path.stem.replace("_", "-")
    # The point of the service: what we choose and what the world does to it, in one search.
    assert any(key.startswith("strategy.params.") for key in study.space)
    assert any(key.startswith("world.latency.") for key in study.space)


def test_there_are_experiments() -> None:
    assert {path.name for path in EXPERIMENTS} >= {"quickstart.yaml", "txf_maker.yaml"}


def test_experiment_without_its_variable_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXF_DATA", raising=False)
    with pytest.raises(StudyError, match="TXF_DATA is not set") as caught:
        load_study(ROOT / "experiments" / "txf_maker.yaml")
    assert "export TXF_DATA=" in caught.value.hint


def test_studies_in_the_documents_are_valid(tmp_path: Path) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```yaml\n(study: .*?)```", page.read_text(), re.DOTALL)
    ]
    assert blocks
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block)
        load_study(path)
