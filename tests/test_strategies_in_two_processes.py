"""Two processes on a CPU (gloo) train a tiny experiments/pvchat.yaml, sharded; launchers start them."""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_training_distributed import run
from tiny import CONFIG, ROOT, make_corpus
from tiny_checkpoint import make_checkpoint
from torch import Tensor

from pvchat.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys
from pathlib import Path
from torch.distributed.tensor import DTensor
from pvchat.lightning_cli import run

cli = run(sys.argv[2:])
kept, types = {}, {}
for name, p in cli.model.chat.named_parameters():
    kept[name] = (p.to_local() if isinstance(p, DTensor) else p).numel() / p.numel()
    types[name] = str(p.dtype)
size = cli.trainer.world_size
Path(sys.argv[1], f"{os.environ.get('LOCAL_RANK', 0)}.json").write_text(json.dumps([kept, types, size]))
"""
PAPER = ("-c", str(ROOT / "experiments" / "pvchat.yaml"), "-c", str(ROOT / "tests" / "tiny_pvchat.yaml"))
CHAT = "--model.chat.init_args"
DETERMINED = (
    "--data.questions_per_clip=2",
    f"{CHAT}.qformer.init_args.dropout=0",
    f"{CHAT}.qformer.init_args.drop_path=0",
    f"{CHAT}.qformer.init_args.dense.init_args.dropout=0",
    f"{CHAT}.qformer.init_args.routed.init_args.dropout=0",
    f"{CHAT}.language_model.init_args.lora.dropout=0",
)
FLOAT32 = (
    "--trainer.precision=32-true",
    f"{CHAT}.views.init_args.encoder.init_args.dtype=float32",
    f"{CHAT}.language_model.init_args.dtype=float32",
)
ONE, TWO = ("--data.batch_size=4",), ("--data.batch_size=2", "--trainer.devices=2")
SHARDED = (*TWO, "--trainer.strategy=fsdp")
Fit = Callable[..., Path]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def fit(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Run ``pvchat fit`` once for each set of options; the run folder."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    folder, done = tmp_path_factory.mktemp("runs"), dict[tuple[str, ...], Path]()
    (folder / "script.py").write_text(SCRIPT)

    def once(*options: str) -> Path:
        if options not in done:
            done[options] = out = folder / str(len(done))
            out.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
                where = () if "--resume" in options else (*PAPER, *DETERMINED, f"--run_dir={out / 'run'}")
                run(folder, corpus, "script.py", str(out), "fit", *where, *options)
        return done[options] / "run"

    return once


def rows(folder: Path, name: str) -> Tensor:
    """What was logged as ``name``, step by step."""
    with (folder / "metrics.csv").open() as file:
        return torch.tensor([float(row[name]) for row in csv.DictReader(file) if row[name]])


def trained(folder: Path) -> dict[str, Tensor]:
    """Trained weights. Keys have biases whose gradient is zero but for rounding, which AdamW blows up."""
    state: Mapping[str, Tensor] = load_file(folder / "adapter" / "adapter.safetensors")
    return {name: value for name, value in state.items() if not name.endswith("key.bias")}


def assert_same(found: Path, expected: Path, *, rtol: float) -> None:
    stages = rows(expected, "train/video_stage")
    assert stages.unique().tolist() == [0.0, 1.0]
    for name in ("train/loss", "train/lambda", "train/active_rate", "train/video_stage"):
        torch.testing.assert_close(rows(found, name), rows(expected, name), rtol=rtol, atol=1e-9)
    state, reference = trained(found), trained(expected)
    assert state.keys() == reference.keys()
    for name, value in reference.items():
        assert (state[name] - value).norm() <= rtol * value.norm() + 1e-9, name


def test_sharded_processes_are_one_with_the_doubled_batch(fit: Fit) -> None:
    """Losses, lambda, active rate and final weights, over the stage switch and the unfreezing, in float32."""
    assert_same(fit(*FLOAT32, *SHARDED), fit(*FLOAT32, *ONE), rtol=1e-4)


def test_sharding_changes_no_number_in_mixed_precision(fit: Fit) -> None:
    """A frozen bf16 base and float32 adapters in one unit: the same as with whole copies."""
    assert_same(fit(*SHARDED), fit(*TWO, "--trainer.strategy=ddp"), rtol=1e-6)


def test_each_process_keeps_its_part_of_everything_but_the_frozen_trunk(fit: Fit) -> None:
    folder = fit(*SHARDED).parent
    parts = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    (first, types, size), (second, _, _) = parts
    trunk = {
        n for n in first if n.startswith("views.encoder.") and ".blocks.2." not in n and ".norm." not in n
    }
    assert size == 2
    for name in first:
        assert first[name] + second[name] == (2 if name in trunk else 1), name
    layer = "language_model.base.model.layers.0.self_attn.q_proj."
    assert types[f"{layer}base_layer.weight"] == "torch.bfloat16"
    assert types[f"{layer}lora_A.default.weight"] == "torch.float32"
    assert first[f"{layer}base_layer.weight"] == 0.5


def test_checkpoints_of_sharded_training_are_those_of_one_process(fit: Fit) -> None:
    """Stopped after the image stage, it ends the same: bit by bit if sharded again, else within rounding."""
    stopped = fit(*FLOAT32, *SHARDED, "--trainer.max_steps=4")
    again, alone = stopped.with_name("again"), stopped.with_name("alone")
    for copy in (again, alone):
        shutil.copytree(stopped, copy)
    saved = read_checkpoint(stopped / "checkpoints" / "last.ckpt")
    assert not [name for name in saved["state_dict"] if "base_layer" in name]
    fit("--resume", str(again), "--trainer.max_steps=-1")
    fit("--resume", str(alone), "--trainer.max_steps=-1", "--trainer.devices=1", *ONE)
    whole = fit(*FLOAT32, *SHARDED)
    for name, value in trained(whole).items():
        assert torch.equal(trained(again)[name], value), name
    assert_same(alone, whole, rtol=1e-4)


@pytest.mark.parametrize("launcher", ["torchrun", "fabric"])
def test_launchers_start_one_job_of_two_processes(launcher: str, corpus: Path, tmp_path: Path) -> None:
    start = {
        "torchrun": ("--nproc_per_node=2", "--master_port=29617"),
        "fabric": ("run", "--devices=2", "--main-port=29618"),
    }[launcher]
    program, script = Path(sys.executable).with_name(launcher), ROOT / "pvchat" / "lightning_cli.py"
    shown = run(tmp_path, corpus, str(program), *start, str(script), "fit", *CONFIG)
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    assert shown.count("Run folder:") == 1
    assert "devices: 2\n" in (folder / "config.yaml").read_text()
    assert len(rows(folder, "train/loss")) == 4  # half of them each: one process takes 8 steps
    assert (folder / "adapter" / "adapter.safetensors").is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
