"""A simulated step against a real one: what the allocator handed out, what torch's counter counted."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from tiny import DrawnFaces, make_module, make_plan
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from pvchat.modules import language_model
from pvchat.modules.hd_views import HDViews
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.language_model import LoRA, RandomLanguageModel
from pvchat.modules.views import ClipViews
from pvchat.modules.vision import RandomViT
from pvchat.planning.simulation import example_batch, simulate_step, without_data
from pvchat.stages import Stage
from pvchat.training import PersonalizedVideoChat

FRAMES, BATCH, WORDS = 4, 4, (6, 8)


def images() -> ClipViews:
    encoder = RandomViT(width=192, num_layers=3, image_px=56, grid=2, num_late_blocks=2)
    return ClipViews(encoder=encoder, faces=DrawnFaces(), max_frames=FRAMES)


def video(checkpointing: bool = False) -> HDViews:
    encoder = InternVideo2(
        width=96, num_blocks=4, num_heads=4, mlp_width=384, patch_px=14, image_px=56, num_frames=FRAMES,
        num_late_blocks=3, gradient_checkpointing=checkpointing,
    )  # fmt: skip
    return HDViews(encoder=encoder, faces=DrawnFaces())


def build(views: Callable[[], ClipViews | HDViews], checkpointing: bool) -> PersonalizedVideoChat:
    lm = RandomLanguageModel(
        width=192, num_layers=4, lora=LoRA(rank=8, alpha=16), gradient_checkpointing=checkpointing
    )
    chat = {"views": views(), "language_model": lm, "width": 192, "num_personal_query_tokens": 16}
    return make_module(chat=chat, controls=("main",))


def peak(step: Callable[[], None]) -> int:
    """Bytes that ``step`` has in use at most, from the allocator's own events."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def measured(model: PersonalizedVideoChat, stage: Stage) -> tuple[int, int]:
    """FLOPs and peak bytes, beyond weights and optimizer state, of the second step of a real training."""
    for name, group in model.chat.parameter_groups().items():
        for parameter in group:
            parameter.requires_grad_(name in stage.trainable)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)
    batch = example_batch(model, stage, size=BATCH, num_frames=FRAMES, words=WORDS)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        out = model.chat(batch)
        total = model.objective(out.logits, out.labels, out.first, out.routings, out.presence).total
        del out
        total.backward()

    with FlopCounterMode(display=False) as counter:
        step()
    optimizer.step()
    optimizer.zero_grad()
    return counter.get_total_flops(), peak(step)


@pytest.mark.parametrize("stage", ["image", "video"])
@pytest.mark.parametrize(
    ("views", "checkpointing"),
    [(images, False), (images, True), (video, False), (partial(video, checkpointing=True), True)],
    ids=["images", "images-checkpointing", "video", "video-checkpointing"],
)
def test_simulated_equals_measured(
    views: Callable[[], ClipViews | HDViews],
    checkpointing: bool,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within a tenth, for operations and for memory, whatever is trained and recomputed."""
    monkeypatch.setattr(language_model, "_attention", lambda: "sdpa")
    part: Stage = getattr(make_plan(), stage)
    with torch.device("meta"):
        model = build(views, checkpointing)
    with without_data(model):
        batch = example_batch(model, part, size=BATCH, num_frames=FRAMES, words=WORDS)
        cost = simulate_step(model, part, batch, autocast=None)
    real = build(views, checkpointing)
    flops, used = measured(real, part)
    assert cost.weights == sum(t.nbytes for t in {*real.parameters(), *real.buffers()})
    assert cost.flops == pytest.approx(flops, rel=0.1)
    assert cost.gradients + cost.activations == pytest.approx(used, rel=0.1)
    trained = [p for n, g in real.chat.parameter_groups().items() if n in part.trainable for p in g]
    idle = sum(p.numel() for p in real.chat.presence_head.parameters())  # there is no loss on it
    assert cost.gradients == 4 * (sum(p.numel() for p in trained) - idle)
    assert cost.optimizer == 2 * (cost.gradients + 4 * idle)
