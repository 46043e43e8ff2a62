"""The Q-former at the size of BERT-base is transformers' BLIP-2 at that size."""

import pytest
import torch
from torch import nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from pvchat.modules.attention import Attention, DenseAttention, ReMoHAttention
from pvchat.modules.conversion import convert_qformer
from pvchat.modules.qformer import QFormer

QUERIES, CONTEXT, CONTEXT_WIDTH, STD = 32, 257, 1408, 0.04


def routed(width: int, context_width: int) -> Attention:
    return ReMoHAttention(width, context_width, num_heads=12, num_shared_heads=8)


def dense(width: int, context_width: int) -> Attention:
    return DenseAttention(width, context_width, num_heads=12)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("route", [False, True], ids=["dense", "routed"])
def test_equals_blip2_at_the_published_size(route: bool) -> None:
    """32 queries and 257 tokens of width 1408, as in BLIP-2; routed layers at their identity start."""
    config = Blip2QFormerConfig()
    sizes = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads)
    assert (*sizes, config.intermediate_size, config.encoder_hidden_size) == (768, 12, 12, 3072, 1408)
    model = Blip2QFormerModel(config).eval()
    for name, parameter in model.named_parameters():  # every bias and norm matters, and what is read
        mean = float(name.lower().endswith("norm.weight"))
        nn.init.normal_(parameter, mean=mean, std=0.1 if parameter.ndim == 1 else STD)
    queries = 0.02 * torch.randn(1, QUERIES, 768)
    state = convert_qformer(model.state_dict() | {"query_tokens": queries})
    with torch.device("meta"):
        qformer = QFormer(
            CONTEXT_WIDTH,
            1,
            width=768,
            num_layers=12,
            intermediate_width=3072,
            num_query_tokens=QUERIES,
            num_personal_query_tokens=0,
            dense=dense,
            routed=routed if route else None,
            first_routed_layer=6,
        ).eval()
    for name, value in qformer.state_dict().items():
        if "router" in name:  # memory, and the identity start
            state[name] = torch.full(value.shape, float(name.endswith("bias")))
        elif name == "personal_query_tokens":
            state[name] = torch.zeros(value.shape)
    qformer.load_state_dict(state, assign=True)
    context, mask = torch.randn(2, CONTEXT, CONTEXT_WIDTH), torch.rand(2, CONTEXT) > 0.2
    expected = model(
        query_embeds=queries.expand(2, -1, -1),
        encoder_hidden_states=context,
        encoder_attention_mask=mask.long(),
    ).last_hidden_state
    out = qformer(context, context_mask=mask)
    assert len(out.routings) == (9 if route else 0)
    assert expected.std() > 0.5
    assert (expected[0] - expected[1]).abs().mean() > 0.01  # the context matters
    torch.testing.assert_close(out.hidden, expected, rtol=0, atol=5e-6)
