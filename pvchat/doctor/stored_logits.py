"""Does an imported checkpoint say here what it said elsewhere? A fixed clip, by formula, and question."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pvchat.batch import Batch, Clip, Example, stack_features
from pvchat.errors import UserError
from pvchat.modules.published.digests import check_copy
from pvchat.modules.published.shards import Planned, read_file, write_file
from pvchat.modules.video_chat import VideoChat

STORED = "logits.safetensors"
TOLERANCE = 0.1  # of the logits' spread, root mean square: devices differ in the rounding of bf16
QUESTION, ANSWER = "What happens in this video?", "Bands of colour move from left to right."


def checkpoint_report(chat: VideoChat, num_frames: int, *, store: bool) -> str | None:
    """Checks every tensor against its digest and the logits against the stored ones, or stores them; None
    without an imported checkpoint. Raises UserError when something differs."""
    source = chat.pretrained
    if source is None or not source.digests:
        if store:
            raise UserError("logits are stored beside an imported checkpoint: this experiment has none.")
        return None
    text = f"checkpoint: {check_copy(source)} tensors as imported"
    logits, path = probe(chat, num_frames), source.folder / STORED
    if store:
        write_file(path, [Planned("logits", torch.float32, tuple(logits.shape))], lambda _: logits)
        return f"{text}, logits stored in {path}"
    if not path.is_file():
        return f"{text}; no logits to compare with, --store keeps these"
    return f"{text}, logits {compare(logits, path):.1%} from the stored ones"


@torch.no_grad()
def probe(chat: VideoChat, num_frames: int) -> Tensor:
    """Logits (N, V) of a fixed answer about a fixed clip, before any person is learned."""
    t, y, x = np.ogrid[:num_frames, :96, :160]
    bands = [(2 * x + shade * y - 16 * t) % 256 for shade in (0, 1, 3)]
    clip = Clip(np.stack(bands, -1).astype(np.uint8), np.arange(num_frames, dtype=np.float64), "doctor")
    views, masks = stack_features([chat.views.show(chat.views.extract(clip), None)])
    example = Example("", "", QUESTION, ANSWER, "general", None, (), {}, "generated")
    batch = Batch([example], views, masks, torch.zeros(1, len(chat.registry), dtype=torch.bool))
    was = chat.training
    device = chat.project_up.weight.device
    logits: Tensor = chat.eval()(batch.to(device), control="no_subject_tokens").logits
    chat.train(was)
    return logits[:, : chat.language_model.vocab_size].float().cpu()


def compare(logits: Tensor, path: Path) -> float:
    """How far ``logits`` are from those in ``path``, as a share of their spread. Raises UserError if it is
    too far, or if they are of another experiment."""
    stored = read_file(path)["logits"].read()
    if stored.shape != logits.shape:
        raise UserError(
            f"{path} has logits {tuple(stored.shape)}, this experiment {tuple(logits.shape)}. "
            "Compare with the experiment they were stored with, or use --store again."
        )
    distance = float((logits - stored).square().mean().sqrt() / stored.std())
    if not distance <= TOLERANCE:
        raise UserError(
            f"the checkpoint must say here what it said when its logits were stored: they differ by "
            f"{distance:.1%} of their spread, {TOLERANCE:.0%} are allowed. Check the versions of torch and "
            "transformers, and run the tests on this machine."
        )
    return distance
