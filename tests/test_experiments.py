"""Every experiment states its question and command, resolves, and trains a step at tiny size."""

import importlib.util
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from tiny import LAPTOP, ROOT, TINY, make_corpus
from tiny_checkpoint import SIZES, make_checkpoint
from transformers import MistralConfig, MistralForCausalLM

from pvchat import cli as commands
from pvchat import lightning_cli
from pvchat.errors import UserError
from pvchat.evaluation import CONTROLS
from pvchat.lightning_cli import PVChatCLI
from pvchat.loading import load_run
from pvchat.modules.hd_views import HDViews
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.lora import LoRA, inject_lora
from pvchat.modules.published.checkpoint_folders import open_checkpoint
from pvchat.modules.published.key_table import PublishedSizes, key_table, mistral_config
from pvchat.modules.qformer import QFormer

RECIPES = ROOT / "experiments" / "synthesis"  # no trainings: tests/test_synthesize_command.py
EXPERIMENTS = sorted(p for p in (ROOT / "experiments").rglob("*.yaml") if p.parent != RECIPES)
PVCHAT, TINY_PVCHAT = ROOT / "experiments" / "pvchat.yaml", Path(__file__).with_name("tiny_pvchat.yaml")
every_experiment = pytest.mark.parametrize(
    "path", EXPERIMENTS, ids=lambda p: p.relative_to(ROOT / "experiments").as_posix()
)


def comment(path: Path) -> list[str]:
    """Lines of the comment on top, without ``#``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("#").strip() for line in lines[:end]]


def is_overlay(path: Path) -> bool:
    chat = yaml.safe_load(path.read_text(encoding="utf-8")).get("model", {}).get("chat", {})
    return "class_path" not in chat


def bases(path: Path) -> list[Path]:
    """What the commands in the comment of ``path`` start from."""
    words = [w for line in comment(path) if line.startswith("pvchat fit") for w in shlex.split(line)]
    found = dict.fromkeys(ROOT / word for word in words if word.endswith(".yaml"))
    return [base for base in found if base != path] or [Path(LAPTOP)] if is_overlay(path) else [path]


def runs(extras: bool = False) -> list[Any]:
    """Every experiment on each of its bases; with ``extras`` those alone whose extra packages are here."""
    return [
        pytest.param(
            path,
            base,
            id=f"{path.relative_to(ROOT / 'experiments').as_posix()}-on-{base.stem}",
            marks=[pytest.mark.skipif(extras and lacks_its_extra(path), reason="needs an extra of pvchat")],
        )
        for path in EXPERIMENTS
        for base in bases(path)
    ]


def trains(path: Path) -> bool:
    """Baselines may train nothing."""
    stages = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return any(stages.get(name, {}).get("epochs") != 0 for name in ("image", "video"))


def can_train(path: Path) -> bool:
    """Not so what is asked in place of the model: tests/baselines fits and tests those."""
    return "baseline" not in yaml.safe_load(path.read_text(encoding="utf-8")).get("model", {})


def lacks_its_extra(path: Path) -> bool:
    return path.stem == "four_bit" and importlib.util.find_spec("bitsandbytes") is None


def configs(path: Path, base: Path) -> list[str]:
    return [f"--config={file}" for file in dict.fromkeys((base, path))]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@every_experiment
def test_it_states_its_question_and_command(path: Path) -> None:
    lines = comment(path)
    assert lines, f"{path.name} needs a comment: the question, the command, what it costs, what is expected."
    assert "?" in lines[0]
    stated = [line for line in lines if line.startswith(("pvchat ", "python "))]
    assert stated, f"{path.name}: a line of the comment must be the command, from `pvchat` on."
    for command in stated:
        words = shlex.split(command)
        files = [ROOT / word for word in words if word.endswith((".yaml", ".py"))]
        assert all(file.is_file() for file in files)
        if words[0] == "pvchat":
            assert path in files


@every_experiment
def test_overlays_are_small(path: Path) -> None:
    if is_overlay(path):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


def fit(path: Path, base: Path, corpus: Path, runs: Path, *more: str) -> PVChatCLI:
    """Fit ``path`` scaled down: with random parts, or from a tiny checkpoint of the real format."""
    tiny = TINY_PVCHAT if base == PVCHAT else TINY
    return lightning_cli.run(
        [
            "fit",
            *configs(path, base),
            f"--config={tiny}",
            "--data.source=pvchat.datamodules.sources.ManifestSource",
            f"--data.source.path={corpus}",
            f"--data.cache_dir={corpus.parent / 'cache'}",
            f"--runs={runs}",
            *more,
        ]
    )


@pytest.mark.parametrize(("path", "base"), [run for run in runs(extras=True) if can_train(run.values[0])])
def test_it_trains_a_step(
    path: Path,
    base: Path,
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parsed, resolved, built small, fitted with fast_dev_run; what it is about is still there."""
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
    more = () if trains(path) else ("--stages.image.epochs=1", "--stages.video.epochs=1")
    cli = fit(path, base, tiny_corpus, tmp_path, "--trainer.fast_dev_run=true", *more)
    assert cli.trainer.global_step == 1
    assert cli.trainer.state.finished
    *_, last = cli.model.chat.qformer.layers
    expected = {"dense": "DenseAttention", "moh": "MoHAttention", "baselines": "DenseAttention"}
    kind = expected.get(path.stem, expected.get(path.parent.name, "ReMoHAttention"))
    assert type(last.self_attention).__name__ == kind
    assert (cli.run_dir / "adapter").is_dir()
    assert not (cli.run_dir / "checkpoints").exists()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Path], Any]:
    """The config of an experiment without the tiny overlay, in the size that is meant; nothing is built."""

    class StopError(Exception):
        pass

    def stop(self: PVChatCLI) -> None:
        raise StopError(self.config[self.subcommand])

    def resolve(path: Path, base: Path) -> Any:
        with pytest.raises(StopError) as found:
            lightning_cli.run(["fit", *configs(path, base)])
        return found.value.args[0]

    monkeypatch.setattr(PVChatCLI, "before_instantiate_classes", stop)
    monkeypatch.chdir(ROOT)
    return resolve


@pytest.mark.parametrize(("path", "base"), runs())
def test_it_resolves_as_it_stands(path: Path, base: Path, resolved: Callable[[Path, Path], Any]) -> None:
    config = resolved(path, base)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config.name == given.get("name", base.stem)
    assert config.stages.image.epochs + config.stages.video.epochs >= (2 if trains(path) else 0)


ATTENTION = ROOT / "experiments" / "attention"
MODEL = "--model.chat.init_args"
HEADS = {"num_heads": 12, "num_shared_heads": 8, "dropout": 0.1}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PVCHAT, HEADS | {"init": "identity"}),
        (ATTENTION / "remoh.yaml", HEADS | {"init": "identity"}),
        (ATTENTION / "moh.yaml", HEADS | {"top_k": 2}),
        (ATTENTION / "dense.yaml", None),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_attention_keeps_the_heads_of_the_paper(
    path: Path, expected: dict[str, Any] | None, resolved: Callable[[Path, Path], Any]
) -> None:
    """Other heads would fit the pretrained weights, too, and mean something else."""
    routed = resolved(path, PVCHAT).model.chat.init_args.qformer.init_args.routed
    assert (None if routed is None else routed.init_args.as_dict()) == expected


@pytest.mark.parametrize(("name", "epochs"), [("two", 16), ("three", 24)])
def test_eight_epochs_for_each_person(name: str, epochs: int, resolved: Callable[[Path, Path], Any]) -> None:
    stages = resolved(PVCHAT.parent / "pvchat" / f"{name}_persons.yaml", PVCHAT).stages
    assert stages.image.epochs + stages.video.epochs == epochs


def test_the_papers_sizes_are_the_published_ones() -> None:
    """Without memory: what ``pretrained`` and ``source`` will fill has the names and shapes of the table."""
    config = yaml.safe_load(PVCHAT.read_text(encoding="utf-8"))["model"]["chat"]["init_args"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--qformer", type=Callable[[int, int], QFormer])
    parser.add_argument("--lora", type=LoRA)
    given = {"qformer": config["qformer"], "lora": config["language_model"]["init_args"]["lora"]}
    made = parser.instantiate_classes(parser.parse_object(given))
    with torch.device("meta"):
        chat = torch.nn.Module()
        chat.views, chat.language_model = torch.nn.Module(), torch.nn.Module()
        chat.views.encoder = InternVideo2(num_late_blocks=20)
        chat.qformer = made.qformer(1408, 1)
        chat.project_up = torch.nn.Linear(768, 4096)
        chat.language_model.base = MistralForCausalLM(MistralConfig(**mistral_config(PublishedSizes())))
        inject_lora(chat.language_model.base, made.lora)
    ours = {n.replace(".base_layer", ""): tuple(p.shape) for n, p in chat.named_parameters()}
    new = {n for n in ours if ".router." in n or "personal_" in n}
    table = {key.ours: key.our_shape for key in key_table() if key.part != "unused"}
    assert {n: shape for n, shape in ours.items() if n not in new} == {
        n: shape for n, shape in table.items() if ".text_ffn" not in n
    }
    count = {n: p.numel() for n, p in chat.qformer.named_parameters()}
    assert sum(size for n, size in count.items() if ".router." in n) == 41_508
    assert len({n.partition(".router.")[0] for n in count if ".router." in n}) == 9
    assert count["personal_query_tokens"] == 16 * 768
    assert made.qformer(1408, 3).num_queries == 96 + 3 * 16


def test_two_persons_are_one_more_line_in_the_manifest(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
    corpus = make_corpus(tmp_path / "two", ("tom", "ann"), clips={"train": 4, "validation": 2})
    overlay = PVCHAT.parent / "pvchat" / "two_persons.yaml"
    chat = fit(overlay, PVCHAT, corpus, tmp_path, "--trainer.fast_dev_run=true").model.chat
    assert chat.registry.names == ("tom", "ann")
    assert chat.qformer.num_queries == 5 + 2 * 4


def test_a_composed_corpus_is_learned_and_asked_when_and_who(tmp_path: Path) -> None:
    """What the command wrote, with its overlay: both kinds of question in training and in the test."""
    corpus = make_corpus(tmp_path / "two", ("tom", "ann"), clips={"train": 4, "test": 4})
    out = tmp_path / "composed"
    words = ["--out", str(out), "--allow", "background", "--people", "2", "--seconds", "0.5", "0.5"]
    words += ["--count", "6", "--held-out", "6", "--parts", "2"]
    assert commands.main(["data", "compose", str(corpus), *words]) == 0
    overlay = ROOT / "experiments" / "composed.yaml"
    more = ("--data.num_frames=8", "--stages.image.epochs=0", "--trainer.fast_dev_run=true")
    more += ("--data.eval_batch_size=512",)  # a fast_dev_run tests one batch
    cli = fit(overlay, Path(LAPTOP), out / "manifest.jsonl", tmp_path, *more)
    assert cli.trainer.global_step == 1
    asked = {e.type for batch in cli.datamodule.epoch_loader(0) for e in batch.examples}
    assert asked >= {"existence", "when", "who"}
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    assert {"when", "who"} <= {p.type for p in cli.model.predictions if p.control == "text_only"}
    assert {p.clip_seconds for p in cli.model.predictions} == {0.5, 1.0}


def moved(cli: PVChatCLI) -> set[str]:
    """Names of the weights that training has changed."""
    now = dict(cli.model.named_parameters())
    return {name for name, start in cli.model.initial.items() if not torch.equal(now[name], start)}


@pytest.mark.parametrize("stage", ["image", "video"])
def test_late_blocks_move_in_the_video_stage_alone(
    stage: str,
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Released bug 3, for the paper's run: image and video features, bf16 and float32 masters, one step."""
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
    shown: set[str] = set()
    read = HDViews.forward

    def watched(self: HDViews, views: dict[str, torch.Tensor], masks: dict[str, torch.Tensor]) -> Any:
        if self.training:
            shown.update(f"{name} {tuple(t.shape[1:])} {t.dtype}" for name, t in views.items())
        return read(self, views, masks)

    monkeypatch.setattr(HDViews, "forward", watched)
    more = ("--stages.image.epochs=0",) if stage == "video" else ()
    cli = fit(PVCHAT, PVCHAT, tiny_corpus, tmp_path, "--trainer.fast_dev_run=true", *more)
    assert shown == {f"{stage} (3, {1 + 4 * (4 if stage == 'video' else 1)}, 16) torch.bfloat16"}
    names = moved(cli)
    late = {n for n in names if n.startswith("chat.views.encoder.")}
    assert bool(late) == (stage == "video")
    assert all(n.startswith(("chat.views.encoder.blocks.2.", "chat.views.encoder.norm.")) for n in late)
    groups = {"qformer.layers", "qformer.query_tokens", "qformer.personal_query_tokens", "project_up"}
    for group in (*groups, "language_model.token_rows.input_rows", "language_model.base.lm_head.lora_B"):
        assert any(n.startswith(f"chat.{group}") for n in names), group
    assert any(".router." in n for n in names)
    assert {p.dtype for p in cli.model.parameters() if p.requires_grad} == {torch.float32}


def test_the_papers_run_starts_from_the_checkpoint_and_is_tested(
    tiny_corpus: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both stages in one run, then every control and a chat from another folder; what starts pretrained is
    the checkpoint's to the bit."""
    monkeypatch.chdir(checkpoint.parent)
    monkeypatch.setenv("PVCHAT_CHECKPOINT", checkpoint.name)
    cli = fit(PVCHAT, PVCHAT, tiny_corpus, tmp_path, "--data.questions_per_clip=1")
    source, start = open_checkpoint(checkpoint), cli.model.initial
    for name in ("qformer.query_tokens", "project_up.weight", "views.encoder.norm.weight"):
        assert torch.equal(start[f"chat.{name}"], source.read(name).float())
    lora = [n for n in start if ".lora_" in n]
    assert len(lora) == 2 * (7 * SIZES.lm_layers + 1)
    assert all(torch.equal(start[n], source.read(n.removeprefix("chat.")).float()) for n in lora)
    assert any(n.startswith("chat.views.encoder.blocks.2.") for n in moved(cli))
    monkeypatch.delenv("PVCHAT_CHECKPOINT")
    monkeypatch.chdir(tmp_path)
    assert commands.main(["test", "--run", str(cli.run_dir)]) == 0
    metrics = json.loads((cli.run_dir / "metrics.json").read_text())
    assert {f"test/{name}/presence_auc" for name in CONTROLS} <= metrics.keys()
    model = load_run(cli.run_dir)
    trained = cli.model.chat.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in model.chat.state_dict().items())
    features = model.look(next((tiny_corpus.parent / "clips").glob("test*.mp4")))
    assert set(features) == {"video", "video.mask"}
    assert len(model.chat.answer(model.batch(features, "Is <tom> here?"), max_new_tokens=2)) == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            f"{MODEL}.language_model.init_args.lora.targets=[q_proj]",
            "the model does not fit InternVideo2-Chat",
        ),
        (
            f"{MODEL}.qformer.init_args.num_query_tokens=4",
            r"of another shape: qformer.query_tokens \[4, 24\]",
        ),
        (f"{MODEL}.pretrained=nowhere", r"import.json .imported. or .*nowhere has none"),
        ("--stages.video.num_frames=2", "num_frames of a stage must be 1 or null, got 2"),
        ("--trainer.precision=bf16-true", "what is trained stays float32"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    argument: str,
    message: str,
    tiny_corpus: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
    with pytest.raises(UserError, match=message):
        fit(PVCHAT, PVCHAT, tiny_corpus, tmp_path, "--trainer.fast_dev_run=true", argument)


@pytest.mark.slow
def test_debug_takes_less_than_a_minute(tmp_path: Path, private_cache: Path) -> None:
    """The whole of it, in a process of its own and with nothing cached: imports, corpus, training, test."""
    python = [sys.executable, "-m", "pvchat.cli"]
    started = time.monotonic()
    subprocess.run([*python, "fit", "-c", ROOT / "experiments" / "debug.yaml"], check=True, cwd=tmp_path)
    assert time.monotonic() - started < 60
    subprocess.run([*python, "test", "--run", "runs/debug"], check=True, cwd=tmp_path)
    (metrics,) = tmp_path.glob("runs/debug/*/metrics.json")
    assert 0.0 <= json.loads(metrics.read_text())["test/main/presence_auc"] <= 1.0
