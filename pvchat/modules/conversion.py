"""Public Q-former weights -> ours, and dense weights -> a routed Q-former."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.qformer import QFormer

_LAYER = re.compile(r"(?:^|\.)encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$")
_FIRST_NORM = re.compile(r"(?:^|\.)(?:layernorm|embeddings\.LayerNorm)\.(weight|bias)$")
_QUERIES = re.compile(r"(?:^|\.)(?:extra_)?query_tokens$")
_ATTENTION = re.compile(
    r"(cross)?attention\.(?:(?:attention|self)\.(query|key|value)|output\.(dense|LayerNorm))"
)
_FEED_FORWARD = re.compile(r"(intermediate|output)(_query)?\.(dense|LayerNorm)")


def convert_qformer(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of a BLIP-2 Q-former, alone or inside a whole model -> ours.

    Reads the names of transformers (``Blip2QFormerModel``) and of LAVIS and InternVideo2-Chat, whose extra
    queries follow the others. Word embeddings and heads are left out. Raises UserError if ``state`` holds no
    Q-former, or a layer with a part we do not know."""
    converted: dict[str, Tensor] = {}
    queries = []
    for key, value in state.items():
        if match := _LAYER.search(key):
            layer, part, kind = match.groups()
            converted[f"layers.{layer}.{_rename(part, key)}.{kind}"] = value
        elif match := _FIRST_NORM.search(key):
            converted[f"norm.{match[1]}"] = value
        elif _QUERIES.search(key):
            queries.append((key, value.squeeze(0)))
    if not converted:
        raise UserError(
            "a BLIP-2 Q-former has weights named '..encoder.layer.0..': got a state dict with "
            f"{len(state)} others, such as {sorted(state)[:3]}. Give the Q-former's weights."
        )
    if queries:
        queries.sort(key=lambda item: "extra_" in item[0])
        converted["query_tokens"] = torch.cat([value for _, value in queries])
    return converted


def load_dense(qformer: QFormer, state: Mapping[str, Tensor]) -> None:
    """Load the weights of a dense Q-former (ours, or converted) into ``qformer``, routed or not.

    What dense weights do not have keeps its state: routers, personal queries, and query tokens beyond those
    in ``state``. Text weights are skipped by a Q-former without text. Raises UserError on anything else
    that is missing, left over or of another shape."""
    ours = qformer.state_dict()
    state = {k: v for k, v in state.items() if qformer.text_input or ".text_ffn" not in k}
    if "query_tokens" in state and len(state["query_tokens"]) < len(ours["query_tokens"]):
        rest = ours["query_tokens"][len(state["query_tokens"]) :]
        state["query_tokens"] = torch.cat([state["query_tokens"].to(rest), rest])
    optional = {"query_tokens", "personal_query_tokens"}
    missing = [k for k in ours if k not in state and k not in optional and ".router." not in k]
    unknown = [k for k in state if k not in ours]
    shapes = [
        f"{k} {tuple(v.shape)} for {tuple(ours[k].shape)}"
        for k, v in state.items()
        if k in ours and v.shape != ours[k].shape
    ]
    if missing or unknown or shapes:
        raise UserError(
            f"weights must fit the Q-former: {len(missing)} missing {missing[:3]}, {len(unknown)} unknown "
            f"{unknown[:3]}, {len(shapes)} of another shape {shapes[:3]}. Build it with their sizes."
        )
    qformer.load_state_dict(state, strict=False)


def _rename(part: str, key: str) -> str:
    """``crossattention.attention.query`` -> ``cross_attention.heads.query``."""
    if match := _ATTENTION.fullmatch(part):
        name = "cross" if match[1] else "self"
        if match[3] == "LayerNorm":
            return f"{name}_norm.norm"
        return f"{name}_attention.heads.{match[2] or 'out_proj'}"
    if match := _FEED_FORWARD.fullmatch(part):
        name = "ffn" if match[2] else "text_ffn"
        if match[3] == "LayerNorm":
            return f"{name}_norm.norm"
        return f"{name}.{0 if match[1] == 'intermediate' else 2}"
    raise UserError(f"a BLIP-2 layer has attention, crossattention, intermediate and output: got {key!r}.")
