"""The worked example of CONTRIBUTING.md works: its class is found by path, learns, and passes its test.

And the judge on a slow machine: what changed last is tested first, what no time is left for is skipped."""

import importlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from pvchat.modules.qformer import QFormer

ROOT = Path(__file__).parent.parent
pytest_plugins = ["pytester"]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the Python path with the files of the example: fences like ```python gated.py."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name, body in re.findall(r"^```\w+ (\S+\.\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def qformer(config: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = config["model"]["chat"]["init_args"]["qformer"]
    return part


def test_the_class_is_used_by_its_path(example: Path) -> None:
    config = qformer(yaml.safe_load((ROOT / "experiments" / "laptop.yaml").read_text()))
    overlay = qformer(yaml.safe_load((example / "gated.yaml").read_text()))
    config["init_args"] |= overlay["init_args"]

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--qformer", type=Callable[[int, int], QFormer])
    build = parser.instantiate_classes(parser.parse_object({"qformer": config})).qformer
    model = build(24, 2)  # context width, persons

    out = model(torch.randn(3, 7, 24))
    out.hidden.square().mean().backward()
    gates = {name: p.grad for name, p in model.named_parameters() if name.endswith(".gates")}
    first = config["init_args"]["first_routed_layer"]
    assert {int(name.split(".")[1]) for name in gates} == set(range(first, config["init_args"]["num_layers"]))
    assert all(grad is not None and grad.isfinite().all() for grad in gates.values())


def test_its_own_test_passes(example: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", str(example / "test_gated.py"))
    result.assert_outcomes(passed=2)


def test_no_test_begins_after_the_deadline(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / ".ci")
    pytester.makepyfile("""
        import os

        def test_takes_all_the_time():
            os.environ["CI_DEADLINE"] = "0"

        def test_comes_late():
            assert False
    """)
    monkeypatch.setenv("CI_DEADLINE", "inf")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "deadline")
    result.assert_outcomes(passed=1, skipped=1)


def test_what_changed_last_is_tested_first(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / ".ci")
    deadline = importlib.import_module("deadline")
    monkeypatch.setattr(deadline, "ROOT", pytester.path)
    for name in ("a", "b", "c"):
        pytester.makepyfile(**{f"tests/test_{name}": "def test_first(): pass\n\ndef test_second(): pass"})
    for word in ("init", "a", "b", "a"):
        _git(pytester.path, word)
    monkeypatch.setenv("CI_DEADLINE", "inf")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "deadline", "-v")
    ran = [line.split("/")[-1].split(" ")[0] for line in result.outlines if " PASSED" in line]
    assert ran == [f"test_{name}.py::test_{n}" for name in "cab" for n in ("first", "second")]


def _git(folder: Path, word: str) -> None:
    """``init``, or a commit of the file of that letter; c is never committed."""
    if word == "init":
        commands = [["init", "-q"]]
    else:
        file = folder / "tests" / f"test_{word}.py"
        file.write_text(file.read_text() + "\n")
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        commands = [["add", str(file)], [*who, "commit", "-qm", word]]
    for command in commands:
        subprocess.run(["git", *command], cwd=folder, check=True)
