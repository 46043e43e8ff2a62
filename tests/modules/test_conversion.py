"""Public weights: our Q-former computes what transformers' does; what does not fit is said."""

import pytest
import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from pvchat.errors import UserError
from pvchat.modules.attention import Attention, DenseAttention, ReMoHAttention
from pvchat.modules.conversion import convert_qformer, load_dense
from pvchat.modules.qformer import QFormer

WIDTH, CONTEXT_WIDTH, QUERIES, HEADS = 24, 20, 6, 4


def theirs(*, text: bool, every: int = 2) -> Blip2QFormerModel:
    config = Blip2QFormerConfig(
        hidden_size=WIDTH,
        num_hidden_layers=5,
        num_attention_heads=HEADS,
        intermediate_size=40,
        encoder_hidden_size=CONTEXT_WIDTH,
        cross_attention_frequency=every,
        use_qformer_text_input=text,
        vocab_size=50,
        max_position_embeddings=16,
    )
    model = Blip2QFormerModel(config).eval()
    for parameter in model.parameters():  # every bias and norm must matter
        nn.init.normal_(parameter, mean=0.1, std=0.3)
    return model


def dense(width: int, context_width: int) -> Attention:
    return DenseAttention(width, context_width, num_heads=HEADS)


def routed(width: int, context_width: int) -> Attention:
    return ReMoHAttention(width, context_width, num_heads=HEADS, num_shared_heads=2)


def ours(*, text: bool = False, route: bool = False, every: int = 2, queries: int = QUERIES) -> QFormer:
    return QFormer(
        CONTEXT_WIDTH,
        1,
        width=WIDTH,
        num_layers=5,
        intermediate_width=40,
        num_query_tokens=queries,
        num_personal_query_tokens=0,
        dense=dense,
        routed=routed if route else None,
        first_routed_layer=2,
        cross_attention_every=every,
        text_input=text,
    ).eval()


def lavis(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as LAVIS and InternVideo2-Chat name them, with what else such a file holds."""
    renamed = {}
    for key, value in state.items():
        key = key.replace("attention.attention.", "attention.self.")
        key = key.replace("layernorm.", "embeddings.LayerNorm.")
        renamed[f"qformer.bert.{key}"] = value
    renamed["qformer.bert.embeddings.word_embeddings.weight"] = torch.zeros(50, WIDTH)
    renamed["vision_encoder.blocks.0.norm1.weight"] = torch.zeros(8)
    renamed["vision_layernorm.weight"] = torch.zeros(8)
    return renamed


def named(state: dict[str, Tensor], names: str) -> dict[str, Tensor]:
    if names == "lavis":
        return lavis(state)
    return {f"qformer.{k}": v for k, v in state.items()} if names == "model" else state


@torch.no_grad()
@pytest.mark.parametrize("names", ["qformer", "model", "lavis"])
@pytest.mark.parametrize("route", [False, True], ids=["dense", "routed"])
@pytest.mark.parametrize("every", [1, 2])
def test_equals_transformers(names: str, route: bool, every: int) -> None:
    # as small as trained ones are, so that the first norm's epsilon matters
    model, queries = theirs(text=False, every=every), 0.02 * torch.randn(1, QUERIES, WIDTH)
    qformer = ours(route=route, every=every)
    load_dense(qformer, convert_qformer(named(model.state_dict() | {"query_tokens": queries}, names)))
    context, mask = torch.randn(3, 9, CONTEXT_WIDTH), torch.rand(3, 9) > 0.3
    expected = model(
        query_embeds=queries.expand(3, -1, -1),
        encoder_hidden_states=context,
        encoder_attention_mask=mask.long(),
    ).last_hidden_state
    assert expected.std() > 0.1
    out = qformer(context, context_mask=mask)
    torch.testing.assert_close(out.hidden, expected, rtol=0, atol=5e-6)


@torch.no_grad()
@pytest.mark.parametrize("names", ["qformer", "lavis"])
def test_equals_transformers_with_text(names: str) -> None:
    model, queries = theirs(text=True), torch.randn(1, QUERIES, WIDTH)
    words = Blip2TextEmbeddings(model.config)
    nn.init.normal_(words.position_embeddings.weight)
    qformer = ours(text=True)
    load_dense(qformer, convert_qformer(named(model.state_dict() | {"query_tokens": queries}, names)))
    ids = torch.randint(1, 50, (3, 7))
    text_mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    context = torch.randn(3, 9, CONTEXT_WIDTH)  # unmasked: transformers cannot mask it next to text
    expected = model(
        query_embeds=words(input_ids=ids, query_embeds=queries.expand(3, -1, -1)),
        query_length=QUERIES,
        attention_mask=torch.cat([torch.ones(3, QUERIES), text_mask], 1).long(),
        encoder_hidden_states=context,
    ).last_hidden_state
    out = qformer(context, text_embeds=words(input_ids=ids), text_mask=text_mask)
    torch.testing.assert_close(out.hidden, expected[:, :QUERIES], rtol=0, atol=5e-6)
    torch.testing.assert_close(
        out.text_hidden[text_mask], expected[:, QUERIES:][text_mask], rtol=0, atol=5e-6
    )
    assert (out.hidden - qformer(context).hidden).abs().max() > 0.01


def test_text_weights_are_skipped_without_text() -> None:
    model = theirs(text=True)
    with_text, without = ours(text=True), ours()
    for qformer in (with_text, without):
        load_dense(qformer, convert_qformer(model.state_dict()))
        nn.init.ones_(qformer.query_tokens)
    context = torch.randn(2, 9, CONTEXT_WIDTH)
    assert torch.equal(with_text(context).hidden, without(context).hidden)


def test_routers_and_personal_queries_keep_their_state() -> None:
    qformer = ours(route=True)
    nn.init.normal_(qformer.layers[2].self_attention.router.routed.weight)
    before = {k: v.clone() for k, v in qformer.state_dict().items()}
    load_dense(qformer, convert_qformer(theirs(text=False).state_dict()))
    kept = [k for k, v in qformer.state_dict().items() if torch.equal(v, before[k])]
    assert set(kept) == {k for k in before if ".router." in k or "query_tokens" in k}


def test_extra_queries_follow_and_missing_ones_keep_their_start() -> None:
    state = theirs(text=False).state_dict()
    state["extra_query_tokens"], state["query_tokens"] = torch.ones(1, 4, WIDTH), torch.zeros(1, 2, WIDTH)
    qformer = ours(queries=8)
    start = qformer.query_tokens.detach().clone()
    load_dense(qformer, convert_qformer(state))
    assert not qformer.query_tokens[:2].any()
    assert torch.equal(qformer.query_tokens[2:6], torch.ones(4, WIDTH))
    assert torch.equal(qformer.query_tokens[6:], start[6:])


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UserError, match=r"named '..encoder.layer.0..': got a state dict with 1 others"):
        convert_qformer({"lm_head.weight": torch.zeros(1)})
    state = theirs(text=False).state_dict()
    with pytest.raises(
        UserError, match=r"has attention, crossattention.*got 'encoder.layer.0.adapter.weight'"
    ):
        convert_qformer(state | {"encoder.layer.0.adapter.weight": torch.zeros(1)})
    converted = convert_qformer(state)
    with pytest.raises(UserError, match=r"6 missing .*layers.1.cross_attention"):
        load_dense(ours(every=1), {k: v for k, v in converted.items() if "layers.3" not in k})
    with pytest.raises(UserError, match=r"1 unknown \['layers.9.ffn.0.weight'\]"):
        load_dense(ours(), converted | {"layers.9.ffn.0.weight": torch.zeros(1)})
    with pytest.raises(UserError, match=r"1 of another shape \['query_tokens \(9, 24\) for \(6, 24\)'\]"):
        load_dense(ours(), converted | {"query_tokens": torch.zeros(9, WIDTH)})
