"""Before anything long: does what will be trained fit into the memory of this machine?"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace

from pvchat.errors import UserError
from pvchat.planning.devices import RESERVED
from pvchat.planning.plan import WORDS
from pvchat.planning.simulation import example_batch, simulate_step, without_data
from pvchat.stages import StagePlan
from pvchat.training import PersonalizedVideoChat

SMALL = 1e9  # bytes of weight files below which nothing is looked at
WEIGHTS = {".bin", ".pt", ".pth", ".safetensors"}
_REMEDY = "Take a smaller model or a larger machine, or pass --check_memory false."
GB = 1e9
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": None}


def check_memory(config: Namespace) -> None:
    """Raise UserError when the model of a ``fit`` configuration cannot fit: its weights alone into the free
    memory of a machine without GPU; weights, gradients and optimizer into that of the GPU. Warn when the
    plan of a step, activations included, exceeds the GPU. What loads less than 1 GB from folders passes at
    once; a larger model is built without weights, which takes seconds, and simulated for a GPU: minutes."""
    if weights_on_disk(config.model) < SMALL:
        return
    model = weightless_model(config.model)
    weights = sum(t.nbytes for t in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())
    if not _on_gpu(config.trainer):
        if (free := free_memory()) is not None and weights > free:
            raise UserError(
                f"the weights must fit into memory: they take {weights / GB:.1f} GB, {free / GB:.1f} GB "
                f"are free. {_REMEDY}"
            )
        return
    size = gpu_memory()
    stages = StagePlan(**{n: config.stages[n] for n in ("image", "video")})
    costs = _simulated(model, stages, config)
    held = max(c.weights + c.gradients + c.optimizer for c in costs) + RESERVED * GB
    needed = max(c.memory for c in costs) + RESERVED * GB
    if held > size:
        raise UserError(
            f"weights, gradients and optimizer must fit into the GPU: they take {held / GB:.1f} GB, it has "
            f"{size / GB:.1f} GB. {_REMEDY}"
        )
    if needed > size:
        print(
            f"A step needs {needed / GB:.1f} GB by the plan, the GPU has {size / GB:.1f} GB: it will "
            "probably run out of memory. Lower data.batch_size, or turn gradient checkpointing on.",
            file=sys.stderr,
        )


def weightless_model(config: Namespace) -> PersonalizedVideoChat:
    """The model of ``config`` on the meta device, with one subject where they are not known yet."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PersonalizedVideoChat, "model")
    values = {**config.as_dict(), "subjects": ["subject"]}
    with torch.device("meta"):
        model: PersonalizedVideoChat = parser.instantiate_classes(
            parser.parse_object({"model": values})
        ).model
    return model


def weights_on_disk(config: Any) -> int:
    """Bytes of weight files in the folders that a configuration names."""
    return sum({str(file): file.stat().st_size for file in _weight_files(config)}.values())


def _weight_files(config: Any) -> Iterator[Path]:
    for name, value in vars(config).items():
        if isinstance(value, Namespace):
            yield from _weight_files(value)
        elif name in ("source", "pretrained") and isinstance(value, str | Path) and Path(value).is_dir():
            yield from (file.resolve() for file in Path(value).rglob("*") if file.suffix in WEIGHTS)


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def gpu_memory() -> int:
    """Bytes of the smallest GPU."""
    return min(torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count()))


def _on_gpu(trainer: Namespace) -> bool:
    if trainer.accelerator in ("gpu", "cuda"):
        return torch.cuda.is_available()  # else Lightning says so
    return trainer.accelerator == "auto" and torch.cuda.is_available()


def _simulated(model: PersonalizedVideoChat, stages: StagePlan, config: Namespace) -> list[Any]:
    with without_data(model):
        return [
            simulate_step(
                model,
                stage,
                example_batch(
                    model, stage, size=config.data.batch_size, num_frames=config.data.num_frames, words=WORDS
                ),
                autocast=AUTOCAST.get(str(config.trainer.precision or "32-true")),
            )
            for stage in (stages.image, stages.video)
            if stage.epochs
        ]
