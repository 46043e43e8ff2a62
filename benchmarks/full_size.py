"""One optimisation step of each stage at the paper's size on the CPU, against what ``pvchat plan`` says.

    python -m benchmarks.full_size

InternVideo2-1B, the Q-former with nine ReMoH modules and Mistral-7B with LoRA, as in experiments/pvchat.yaml,
with random bf16 weights, one question about a clip of noise. Needs 22 GB of memory and a machine with nothing
else on it; each stage runs in a process of its own. Speed is not what is looked at.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pvchat.batch import Clip
from pvchat.planning.meter import Meter
from pvchat.planning.plan import WORDS, clip_flops
from pvchat.planning.plan_command import PlanningCLI
from pvchat.planning.simulation import StepCost, example_batch, simulate_step, without_data
from pvchat.reporting.table import Cell, render_table
from pvchat.stages import Stage
from pvchat.training import PersonalizedVideoChat

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "pvchat.yaml"
LATE_BLOCKS = {"image": 0, "video": 1}  # unfrozen blocks are float32 and have moments: as many as fit
FREED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # glibc would keep up to a gigabyte of what is freed
GB = 1e9


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--stage", choices=("image", "video"), help="one of them alone")
    parser.add_argument("--late-blocks", type=int, help="unfrozen blocks of the encoder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.stage is None or not FREED_AT_ONCE.items() <= os.environ.items():
        for stage in LATE_BLOCKS if options.stage is None else [options.stage]:
            command = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--stage", stage]
            subprocess.run(command, check=True, env=os.environ | FREED_AT_ONCE)
        return
    late = LATE_BLOCKS[options.stage] if options.late_blocks is None else options.late_blocks
    print(_step(options.stage, late), flush=True)


def _step(stage_name: str, late_blocks: int) -> str:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:  # its memory is given back
        planned, planned_reading = elsewhere.submit(_planned, stage_name, late_blocks).result()
    model, stage, frames = _model(stage_name, late_blocks)
    before = _resident()
    _fill(model)
    batch = example_batch(model, stage, size=1, num_frames=frames, words=WORDS)
    with Meter() as reading:
        batch.views.update(_features(model, stage, frames))
    groups = {n: p for n, p in model.chat.parameter_groups().items() if n in stage.trainable and p}
    trained = model.train_only(stage.trainable)
    optimizer = torch.optim.AdamW(trained, lr=1e-5, foreach=False)
    for parameter in trained:  # as from the second step on
        state = {"step": torch.tensor(0.0)}
        optimizer.state[parameter] = state | {
            k: torch.zeros_like(parameter) for k in ("exp_avg", "exp_avg_sq")
        }
    model.train()
    begun = time.perf_counter()
    with Meter() as meter:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(batch)
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
    moved = {name: _moving(group) for name, group in groups.items()}
    optimizer.step()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    rows: list[list[Cell]] = [
        ["frozen encoder, operations planned", f"{planned_reading / 1e12:.2f} TFLOP"],
        ["frozen encoder, operations run", f"{reading.flops / 1e12:.2f} TFLOP"],
        ["loss", f"{loss.item():.3f} (finite: {bool(loss.isfinite())})"],
        ["tensors with a gradient that is not zero", ", ".join(f"{n} {m}" for n, m in moved.items())],
        ["memory planned", f"{planned.memory / GB:.2f} GB"],
        ["memory at the peak", f"{used / GB:.2f} GB ({used / planned.memory:.3f} of the plan)"],
        ["the whole process at the peak", f"{(before + used) / GB:.2f} GB"],
        ["operations planned", f"{planned.flops / 1e12:.2f} TFLOP"],
        ["operations run", f"{meter.flops / 1e12:.2f} TFLOP"],
        ["seconds", f"forward {forward - begun:.0f}, backward {backward - forward:.0f}"],
    ]
    return render_table([f"{stage_name} stage, {late_blocks} late blocks", ""], rows, style="markdown") + "\n"


def _model(stage: str, late_blocks: int) -> tuple[PersonalizedVideoChat, Stage, int]:
    """Without weights, on the meta device."""
    from pvchat.lightning_cli import run

    views = "--model.chat.init_args.views.init_args"
    language_model = "--model.chat.init_args.language_model.init_args"
    cli: Any = run(
        [
            "fit",
            f"--config={EXPERIMENT}",
            "--model.subjects=[subject]",
            "--model.controls=[main]",
            f"{views}.encoder.init_args.num_late_blocks={late_blocks}",
            f"{language_model}.attention=eager",  # what a CPU uses
        ],
        PlanningCLI,
    )
    return cli.model, getattr(cli.datamodule.stages, stage), cli.datamodule.settings.num_frames


def _planned(stage_name: str, late_blocks: int) -> tuple[StepCost, int]:
    model, stage, frames = _model(stage_name, late_blocks)
    with without_data(model):
        batch = example_batch(model, stage, size=1, num_frames=frames, words=WORDS)
        return simulate_step(model, stage, batch, autocast=torch.bfloat16), clip_flops(model, frames)


def _features(model: PersonalizedVideoChat, stage: Stage, num_frames: int) -> dict[str, Tensor]:
    """What the encoder makes of a clip of noise, with a batch of one."""
    pixels = np.random.default_rng(0).integers(0, 256, (num_frames, 240, 320, 3), np.uint8)
    views = model.chat.views
    clip = Clip(pixels, np.arange(num_frames, dtype=np.float64), "noise")
    shown = views.show(views.extract(clip), stage.num_frames)
    return {name: value.unsqueeze(0) for name, value in shown.items() if not name.endswith(".mask")}


@torch.no_grad()
def _fill(model: PersonalizedVideoChat) -> None:
    """Memory and values for ``model``: noise in matrices, ones in norms, zeros in biases."""
    model.to_empty(device="cpu")
    noise = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)) * 0.02
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        elif "norm" in name:
            parameter.fill_(1.0)
        else:
            _tile(parameter, noise)
    base = model.chat.language_model.base
    rotary = base.get_decoder().rotary_emb
    base.get_decoder().rotary_emb = type(rotary)(config=base.config)
    known = {"chat.language_model._float_head", "objective.smooth_proximity.weight"}
    others = {n for n, _ in model.named_buffers() if "rotary" not in n} - known
    assert not others, f"buffers without values: {sorted(others)}"
    model.chat.language_model._float_head.copy_(base.get_output_embeddings().weight)
    sparsity = model.objective.smooth_proximity
    assert sparsity is not None
    sparsity.weight.fill_(1e-8)


def _tile(values: Tensor, noise: Tensor) -> None:
    flat, noise = values.view(-1), noise.to(values.dtype)
    for start in range(0, len(flat), len(noise)):
        piece = flat[start : start + len(noise)]
        piece.copy_(noise[: len(piece)])


def _moving(group: list[nn.Parameter]) -> str:
    count = sum(p.grad is not None and bool(p.grad.isfinite().all()) and bool(p.grad.any()) for p in group)
    return f"{count} of {len(group)}"


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
