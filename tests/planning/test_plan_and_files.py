"""Bytes of checkpoints as planned against files of a training that was really done."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import fit, make_corpus, make_data, make_module
from tiny import make_plan as make_stages

from pvchat.checkpoints import save_adapter
from pvchat.planning.plan import make_plan

OVERHEAD = 600  # bytes a tensor: its name, shape and place in the file
CHAT = {"width": 192, "num_personal_query_tokens": 16}


def test_checkpoints_are_as_large_as_planned(tmp_path: Path) -> None:
    """Both stages are trained, so that every group has its moments."""
    with torch.device("meta"):
        planned = make_module(chat=CHAT, controls=("main",))
    plan = make_plan(planned, make_stages(), batch_size=4, num_frames=2, autocast=None)
    module = make_module(chat=CHAT, controls=("main",))
    data = make_data(make_corpus(tmp_path), module, questions_per_clip=1)
    trainer = fit(module, data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    save_adapter(
        tmp_path / "adapter", module.trainable_state(), {"subjects": ["tom"], "base_fingerprint": ""}
    )
    adapter = tmp_path / "adapter" / "adapter.safetensors"
    tensors = len(load_file(adapter))
    assert 0 <= adapter.stat().st_size - 2 * plan.adapter <= OVERHEAD * tensors  # float32, exports in bf16
    assert 0 <= (tmp_path / "last.ckpt").stat().st_size - plan.resume <= 3 * OVERHEAD * tensors
    assert adapter.stat().st_size == pytest.approx(2 * plan.adapter, rel=0.1)
    assert (tmp_path / "last.ckpt").stat().st_size == pytest.approx(plan.resume, rel=0.1)
