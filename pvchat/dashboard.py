"""What to look at in W&B: the panels of a workspace and of a report, by the names that runs log."""

import json
from collections.abc import Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

NAME = "pvchat"
ATTENTION = "model.chat.init_args.qformer.init_args.routed.class_path"
TOKENS = "model.chat.init_args.num_soft_tokens"
AUC, ACCURACY = "test/main/presence_auc", "test/main/presence_balanced_accuracy"
REGULARISERS = ("train/smooth_proximity", "train/head_activation")
PICTURES = ("test/head_activation", "test/confusion", "test/reliability")
TABLES = ("test/sample_answers", "val/sample_answers")
COST = ("cost/seconds", "cost/samples", "cost/peak_memory_gb", "cost/tflop")
STEP = "trainer/global_step"
PER_MODULE = "train/active_rate/.*"
GRADIENTS, PARAMETERS = "train/gradient_norm/.*", "train/parameter_norm/.*"

Panels = Sequence[Any]


def _over_steps(**settings: Any) -> Any:
    """Curves over steps of the training; W&B's own count is of calls, and goes on where a run is resumed."""
    return wr.LinePlot(x=STEP, **settings)


def attention_panels() -> Panels:
    """MoH against ReMoH, and dense where there is such a run."""
    by_attention = {"groupby": wr.Config(ATTENTION), "groupby_aggfunc": "mean", "groupby_rangefunc": "stderr"}
    tested = [
        wr.BarPlot(title=title, metrics=[wr.SummaryMetric(name)], **by_attention)
        for title, name in (("Presence AUC", AUC), ("Presence, balanced accuracy", ACCURACY))
    ]
    curves = [
        _over_steps(title=title, y=[name], **by_attention)
        for title, name in (
            ("Presence AUC in validation", "val/presence_auc"),
            ("Active rate", "train/active_rate"),
            ("Share of weight of routed heads", "train/routed_share"),
            ("Loss", "train/loss"),
        )
    ]
    return [*tested, *curves]


def token_panels() -> Panels:
    """What more soft tokens bring (paper, table S1)."""
    return [
        wr.ScatterPlot(title=title, x=wr.Config(TOKENS), y=wr.SummaryMetric(name), running_ymean=True)
        for title, name in (("Presence AUC", AUC), ("Presence, balanced accuracy", ACCURACY))
    ]


def sparsity_panels() -> Panels:
    """Regularisers, lambda, and how many heads are in use: of all modules and of each."""
    return [
        _over_steps(title="Active rate", y=["train/active_rate"]),
        _over_steps(title="Active rate of each module", metric_regex=PER_MODULE),
        _over_steps(title="lambda", y=["train/lambda"], log_y=True),
        _over_steps(title="SPR and HAE", y=list(REGULARISERS)),
        wr.ScatterPlot(
            title="AUC by active rate", x=wr.SummaryMetric("train/active_rate"), y=wr.SummaryMetric(AUC)
        ),
    ]


def training_panels() -> Panels:
    """Is the training well? Losses, norms, and where the video stage begins."""
    return [
        _over_steps(title="Loss", y=["train/loss", "train/language_modeling", "val/loss"]),
        _over_steps(title="Loss of the first word", y=["train/first_word"]),
        _over_steps(title="Stage (1: video)", y=["train/video_stage"]),
        _over_steps(title="Norm of gradients, by group", metric_regex=GRADIENTS, log_y=True),
        _over_steps(title="Norm of parameters, by group", metric_regex=PARAMETERS),
    ]


def cost_panels() -> Panels:
    return [_over_steps(title=name.removeprefix("cost/"), y=[name]) for name in COST]


def answer_panels() -> Panels:
    """Pictures of a test, and what is answered."""
    pictures = [wr.MediaBrowser(title=name, media_keys=[name], num_columns=2) for name in PICTURES]
    return [*pictures, *(wr.WeavePanelSummaryTable(table_name=name) for name in TABLES)]


def make_workspace(entity: str, project: str) -> Any:
    """A section for each question."""
    sections = {
        "MoH against ReMoH": attention_panels(),
        "Token curve": token_panels(),
        "Sparsity": sparsity_panels(),
        "Training": training_panels(),
        "Cost": cost_panels(),
        "Pictures and answers": answer_panels(),
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            ws.Section(name=name, panels=list(panels), is_open=True) for name, panels in sections.items()
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP),
    )


def make_report(entity: str, project: str) -> Any:
    """The three questions of most ablations, with a sentence each."""
    parts = {
        "MoH against ReMoH": (
            "MoH keeps a fixed number of heads, ReMoH learns how many. Bars are means over runs with their "
            "standard error; for a test over subjects: `pvchat compare`.",
            attention_panels(),
        ),
        "Token curve": ("More soft tokens for a person: where does it stop to help?", token_panels()),
        "Sparsity": (
            "Lambda steers the active rate to its target; the heads that stay on are in the head maps.",
            [*sparsity_panels(), *answer_panels()[:1]],
        ),
    }
    blocks: list[Any] = [wr.TableOfContents()]
    for title, (text, panels) in parts.items():
        blocks += [wr.H1(title), wr.P(text), wr.PanelGrid(panels=list(panels))]
    return wr.Report(entity=entity, project=project, title=f"{NAME}: ablations", blocks=blocks)


def payload(entity: str, project: str) -> dict[str, Any]:
    """What the library sends to the server: the specification of the workspace, and that of the report."""
    views = {"workspace": make_workspace(entity, project), "report": make_report(entity, project)}
    specs = {
        name: json.loads(view._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
        for name, view in views.items()
    }
    return {"entity": entity, "project": project, **specs}
