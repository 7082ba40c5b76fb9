"""Faults inside of the process that writes runs, which tests cannot reach by patching."""

import textwrap
from pathlib import Path

import pytest


def inject_into_lane(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let every lane process that is started from now on run `code` first.

    Python imports `sitecustomize` by itself; the processes get the search path of this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    body = textwrap.indent(textwrap.dedent(code), "    ")
    text = f"import sys\nif 'sweep.tracking_process' in sys.orig_argv:\n{body}"
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
