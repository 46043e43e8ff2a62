"""What PVChat adds to the published checkpoint, under the names that its released code gives it."""

import re

from torch import Tensor

from pvchat.modules.published.key_table import QFORMER

_ROUTER = re.compile(
    rf"{QFORMER}layers\.(\d+)\.(self|cross)_attention\.router\.(routed|balance)\.(weight|bias)"
)
_ATTENTION = {"self": "attention", "cross": "crossattention"}
_PROJECTION = {"routed": "router", "balance": "alpha_proj"}
PERSONAL_QUERIES = "personal_query_tokens"


def released(ours: str, value: Tensor) -> tuple[str, Tensor]:
    """Name and tensor as the released code has them: routers of ReMoH, and personal queries (P, Q, D) as one
    bank (1, P * Q, D). What it has no parameter for (token rows, the presence head) stays as it is."""
    if match := _ROUTER.fullmatch(ours):
        layer, kind, projection, leaf = match.groups()
        module = f"qformer.bert.encoder.layer.{layer}.{_ATTENTION[kind]}.self.router_alpha"
        return f"{module}.{_PROJECTION[projection]}.{leaf}", value
    if ours == QFORMER + PERSONAL_QUERIES:
        return PERSONAL_QUERIES, value.flatten(0, 1).unsqueeze(0)
    return ours, value
