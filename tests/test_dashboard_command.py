"""``pvchat dashboard`` without a server: files, and one sentence where a server is needed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pvchat import cli


def test_it_is_written_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wandb_workspaces")
    out = tmp_path / "dashboard.json"
    assert cli.main(["dashboard", "--entity", "us", "--project", "ours", "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    assert (written["entity"], written["project"]) == ("us", "ours")
    assert str(out) in capsys.readouterr().out
    assert cli.main(["dashboard", "--entity", "us", "--project", "ours", "--print"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == written.keys()


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "x" * 129])
def test_what_is_no_project(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", f"--project={name}", "--print"]) == 2
    assert f"at most 128 characters without /\\#?%:: got {name!r}." in capsys.readouterr().err


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [n for n in sys.modules if n.startswith("wandb_workspaces") or n == "pvchat.dashboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert cli.main(["dashboard", "--print"]) == 2
    assert "pip install 'pvchat[dashboard]'" in capsys.readouterr().err


@pytest.mark.parametrize("entity", [[], ["--entity", "us"]])
def test_without_a_server(
    entity: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb_workspaces")

    def refused(*_: Any, **__: Any) -> None:
        raise ConnectionError("connection refused")

    monkeypatch.setattr("wandb.Api", refused)
    assert cli.main(["dashboard", *entity]) == 2
    said = capsys.readouterr().err
    assert "saved on a W&B server: got none (connection refused)" in said
    assert "--out FILE" in said


def test_both_are_saved_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is sent, by a server that takes everything."""
    pytest.importorskip("wandb_workspaces")
    sent: list[dict[str, Any]] = []

    def execute(api: Any, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        sent.append(variables)
        return {"upsertView": {"view": {"id": "1", "name": "nw-x-v"}}}

    monkeypatch.setattr("wandb_workspaces.workspaces.internal.execute_graphql", execute)
    monkeypatch.setattr("wandb.Api", lambda **_: None)
    monkeypatch.setattr("wandb_workspaces.workspaces.interface.get_app_url", lambda _: "https://here")
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface.Report.save", lambda self: sent.append({}))
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface.Report.url", "https://here/report")
    assert cli.main(["dashboard", "--entity", "us", "--project", "ours"]) == 0
    assert (sent[0]["entityName"], sent[0]["projectName"], len(sent)) == ("us", "ours", 2)
    assert json.loads(sent[0]["spec"])["section"]["panelBankConfig"]["sections"]
    assert "https://here/us/ours" in capsys.readouterr().out
