"""torch.compile for the parts that run in every step."""

import os
import shutil
import sys
from typing import Literal

import torch
from torch import nn

from pvchat.errors import UserError
from pvchat.modules.video_chat import VideoChat

Compiler = Literal["inductor", "aot_eager"]
RECOMPILED = 64  # kinds of blocks, each frozen or not, with gradient or not; torch's 8 are soon used up


def compile_blocks(chat: VideoChat, compiler: Compiler) -> None:
    """Compile the late encoder blocks, the layers of the Q-former and of the language model, each on its own
    and in place: a kind of block is compiled once, names of weights stay, sizes of batches and texts vary.

    Works with gradient checkpointing, and when parameters are frozen or unfrozen later. Raises UserError
    where ``inductor``, which writes C++, has no compiler for it."""
    if compiler == "inductor":
        _check_compiler()
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILED)
    for block in (
        *chat.views.encoder.late_blocks(),
        *chat.qformer.layers,
        *chat.language_model.base.get_decoder().layers,
    ):
        block.compile(backend=compiler, dynamic=True)


def is_compiled(block: nn.Module) -> bool:
    return block._compiled_call_impl is not None


def _check_compiler() -> None:
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    name = os.environ.get("CXX", usual)
    if shutil.which(name) is None:
        raise UserError(
            f"--compile needs a C++ compiler: got none ({name} is not on PATH). Install one, name it in "
            "$CXX, or leave out --compile."
        )
