"""The panels name what runs log, and are what the library of W&B reads back as its own."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("wandb_workspaces")
from wandb_workspaces.reports.v2.internal import Spec
from wandb_workspaces.workspaces.internal import WorkspaceViewspec

from pvchat import dashboard
from pvchat.loggers import wandb_log


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return dashboard.payload("us", "ours")


def panels(spec: Any) -> Iterator[dict[str, Any]]:
    """Everything in ``spec`` that is drawn."""
    if isinstance(spec, dict):
        if "viewType" in spec:
            yield spec
        for value in spec.values():
            yield from panels(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from panels(value)


def test_the_types_of_the_library_read_it_back(made: dict[str, Any]) -> None:
    for kind, name in ((WorkspaceViewspec, "workspace"), (Spec, "report")):
        read = kind.model_validate_json(json.dumps(made[name]))
        again = json.loads(read.model_dump_json(by_alias=True, exclude_none=True))
        assert list(panels(again)) == list(panels(made[name]))
        assert len(list(panels(made[name]))) >= 14


def test_curves_are_over_steps_of_the_training(made: dict[str, Any]) -> None:
    curves = [p["config"] for p in panels(made) if p["viewType"] == "Run History Line Plot"]
    assert len(curves) >= 20
    assert {curve["xAxis"] for curve in curves} == {wandb_log.STEP}


def test_sections(made: dict[str, Any]) -> None:
    sections = made["workspace"]["section"]["panelBankConfig"]["sections"]
    assert [s["name"] for s in sections][:3] == ["MoH against ReMoH", "Token curve", "Sparsity"]
    assert all(s["panels"] for s in sections)


def test_panels_point_at_the_config_where_it_is(made: dict[str, Any]) -> None:
    """W&B has a nested value behind the ``value`` of its first key; runs log the config nested."""
    text = json.dumps(made)
    assert '"model.value.chat.init_args.qformer.init_args.routed.class_path"' in text
    assert '"config:model.value.chat.init_args.num_soft_tokens"' in text
    config: Any = yaml.safe_load((Path(__file__).parents[1] / "experiments" / "laptop.yaml").read_text())
    for name in (dashboard.ATTENTION, dashboard.TOKENS):
        value = config
        for key in name.split("."):
            value = value[key]
        assert value


def test_expressions_match_what_is_logged() -> None:
    for pattern, name in (
        (dashboard.PER_MODULE, "train/active_rate/layer0.self"),
        (dashboard.GRADIENTS, "train/gradient_norm/router"),
        (dashboard.PARAMETERS, "train/parameter_norm/lora"),
    ):
        assert re.fullmatch(pattern, name)
        assert not re.fullmatch(pattern, "train/active_rate")
