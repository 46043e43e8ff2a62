"""The Q-former: routed equals dense at the start, masks of persons and of context, placement of routing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.losses import HeadActivation, RoutingSparsity
from pvchat.modules.attention import Attention, AttentionFactory, DenseAttention, MoHAttention, ReMoHAttention
from pvchat.modules.conversion import load_dense
from pvchat.modules.qformer import QFormer, QFormerOutput

WIDTH, CONTEXT_WIDTH, SHARED_QUERIES, PERSONAL_QUERIES = 24, 20, 4, 3


def dense(width: int, context_width: int) -> Attention:
    return DenseAttention(width, context_width, num_heads=6)


def remoh(width: int, context_width: int) -> Attention:
    return ReMoHAttention(width, context_width, num_heads=6, num_shared_heads=2)


def moh(width: int, context_width: int) -> Attention:
    return MoHAttention(width, context_width, num_heads=6, num_shared_heads=2, top_k=2)


def released(width: int, context_width: int) -> Attention:
    return ReMoHAttention(width, context_width, num_heads=6, num_shared_heads=2, init="released")


def build(routed: AttentionFactory | None = remoh, persons: int = 1, **overrides: Any) -> QFormer:
    options: dict[str, Any] = {
        "width": WIDTH,
        "num_layers": 4,
        "intermediate_width": 32,
        "num_query_tokens": SHARED_QUERIES,
        "num_personal_query_tokens": PERSONAL_QUERIES,
        "first_routed_layer": 1,
        "dropout": 0.1,
    }
    return QFormer(CONTEXT_WIDTH, persons, dense=dense, routed=routed, **(options | overrides))


def strong(qformer: QFormer) -> QFormer:
    """Weights large enough that everything that is seen changes the output; no dropout."""
    for name, parameter in qformer.named_parameters():
        if "norm" not in name and "router" not in name:
            nn.init.normal_(parameter, std=0.3)
    return qformer.eval()


def clip(batch: int = 2, tokens: int = 9) -> Tensor:
    return torch.randn(batch, tokens, CONTEXT_WIDTH)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_identity_start_is_the_dense_qformer_bit_for_bit(training: bool) -> None:
    base = strong(build(None, persons=2)).train(training)
    routed = build(remoh, persons=2, first_routed_layer=0).train(training)
    load_dense(routed, base.state_dict())
    context, context_mask = clip(), torch.rand(2, 9) > 0.3
    person_mask = torch.tensor([[True, False], [True, True]])
    outputs = []
    for qformer in (base, routed):
        torch.manual_seed(1)  # the same dropout
        outputs.append(qformer(context, context_mask=context_mask, person_mask=person_mask))
    assert outputs[0].routings == {}
    assert len(outputs[1].routings) == 6
    assert torch.equal(outputs[0].hidden, outputs[1].hidden)
    for out in outputs:
        out.hidden.square().sum().backward()
    parameters = dict(routed.named_parameters())
    for name, parameter in base.named_parameters():
        torch.testing.assert_close(parameters[name].grad, parameter.grad, rtol=1e-5, atol=1e-5)
    assert all(p.grad is not None and p.grad.any() for n, p in parameters.items() if ".router." in n)


@pytest.mark.parametrize("routed", [remoh, moh, released])
def test_routing_starts_at_its_layer_and_names_its_modules(routed: AttentionFactory) -> None:
    qformer = build(routed, num_layers=5, first_routed_layer=2)
    routings = qformer(clip()).routings
    assert list(routings) == ["layer2.self", "layer2.cross", "layer3.self", "layer4.self", "layer4.cross"]
    for routing in routings.values():
        assert routing.logits.shape == (2, 7, 4)
        assert routing.mask is None


def test_each_layer_has_its_own_attention() -> None:
    qformer = build()
    attentions = [m for m in qformer.modules() if isinstance(m, Attention)]
    assert len(attentions) == len(set(map(id, attentions))) == 6


def test_paper_scale_has_nine_routed_modules_and_41508_router_weights() -> None:
    with torch.device("meta"):
        qformer = QFormer(
            1408,
            1,
            width=768,
            num_layers=12,
            intermediate_width=3072,
            num_query_tokens=96,
            num_personal_query_tokens=16,
            dense=lambda w, c: DenseAttention(w, c, num_heads=12),
            routed=lambda w, c: ReMoHAttention(w, c, num_heads=12, num_shared_heads=8),
            first_routed_layer=6,
            drop_path=0.2,
        )
    assert sum(isinstance(m, ReMoHAttention) for m in qformer.modules()) == 9
    assert sum(p.numel() for n, p in qformer.named_parameters() if ".router." in n) == 41_508
    assert qformer.num_queries == 112


@pytest.mark.parametrize("persons", [1, 2, 3, 5])
def test_personal_queries_learn_from_questions_about_their_person_only(persons: int) -> None:
    qformer = strong(build(released, persons=persons))
    person_mask = torch.zeros(2, persons, dtype=torch.bool)
    person_mask[0, 0] = person_mask[1, persons - 1] = True
    out: QFormerOutput = qformer(clip(), person_mask=person_mask)
    assert out.hidden.shape == (2, SHARED_QUERIES + persons * PERSONAL_QUERIES, WIDTH)
    expected = torch.ones(2, SHARED_QUERIES + persons * PERSONAL_QUERIES, dtype=torch.bool)
    expected[:, SHARED_QUERIES:] = person_mask.repeat_interleave(PERSONAL_QUERIES, 1)
    assert torch.equal(out.mask, expected)
    assert not out.hidden[~out.mask].any()
    # every way a gradient can take: all hidden states, and the routing losses
    loss = (out.hidden * torch.randn_like(out.hidden)).sum()
    loss = loss + RoutingSparsity(initial=1.0)(out.routings) + HeadActivation(target=0.0)(out.routings)
    loss.backward()
    gradient = qformer.personal_query_tokens.grad
    assert gradient is not None
    assert qformer.query_tokens.grad.any()
    for person in range(persons):
        asked = bool(person_mask[:, person].any())
        assert bool(gradient[person].any()) is asked, f"person {person}"


@pytest.mark.parametrize("persons", [2, 3, 5])
def test_who_is_not_asked_about_might_as_well_not_be_registered(persons: int) -> None:
    several, single = strong(build(remoh, persons=persons)), build(remoh)
    state = several.state_dict()
    state["personal_query_tokens"] = state["personal_query_tokens"][1:2]
    single.load_state_dict(state)
    single.eval()
    context, asked = clip(), torch.arange(persons).expand(2, -1) == 1
    out: QFormerOutput = several(context, person_mask=asked)
    alone: QFormerOutput = single(context)
    torch.testing.assert_close(out.hidden[out.mask], alone.hidden.flatten(0, 1), rtol=0, atol=1e-5)
    for name, routing in alone.routings.items():
        counted = out.routings[name].logits[out.routings[name].mask]
        torch.testing.assert_close(counted, routing.logits.flatten(0, 1), rtol=0, atol=1e-5)
        torch.testing.assert_close(out.routings[name].sparsity, routing.sparsity)
    nn.init.normal_(several.personal_query_tokens[0], std=9.0)
    assert torch.equal(several(context, person_mask=asked).hidden, out.hidden)


def test_everybody_asked_about_is_no_mask() -> None:
    qformer, context = strong(build(persons=3)), clip()
    everybody = qformer(context, person_mask=torch.ones(2, 3, dtype=torch.bool))
    out = qformer(context)
    assert out.mask.all()
    torch.testing.assert_close(everybody.hidden, out.hidden, rtol=0, atol=2e-6)


def test_nobody_asked_about_leaves_the_shared_queries() -> None:
    out = strong(build(persons=2))(clip(), person_mask=torch.zeros(2, 2, dtype=torch.bool))
    assert out.mask.sum(1).tolist() == [SHARED_QUERIES] * 2
    assert out.hidden.isfinite().all()


@pytest.mark.parametrize("routed", [None, remoh, moh])
def test_a_clip_without_views_is_finite(routed: AttentionFactory | None) -> None:
    qformer, context = strong(build(routed)), clip()
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1] = False
    out = qformer(context, context_mask=mask)
    assert out.hidden.isfinite().all()
    torch.testing.assert_close(out.hidden[:1], qformer(context[:1]).hidden)
    assert torch.equal(out.hidden[1], qformer(context.add(1), context_mask=mask).hidden[1])
    out.hidden.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in qformer.parameters())


def test_a_qformer_of_personal_queries_only_survives_nobody_asked_about() -> None:
    qformer = strong(build(persons=2, num_query_tokens=0))
    out = qformer(clip(), person_mask=torch.tensor([[False, False], [True, False]]))
    assert not out.hidden[0].any()
    assert out.hidden.isfinite().all()
    out.hidden.square().sum().backward()
    assert qformer.personal_query_tokens.grad.isfinite().all()


def test_masked_context_is_as_good_as_absent() -> None:
    qformer, context = strong(build()), clip()
    mask = torch.arange(9).expand(2, -1) < 5
    expected = qformer(context[:, :5]).hidden
    torch.testing.assert_close(qformer(context, context_mask=mask).hidden, expected, rtol=0, atol=2e-6)


def test_no_personal_queries_is_a_plain_qformer() -> None:
    qformer = strong(build(persons=3, num_personal_query_tokens=0))
    out = qformer(clip(), person_mask=torch.tensor([[True, False, False]] * 2))
    assert out.hidden.shape == (2, SHARED_QUERIES, WIDTH)
    assert out.mask.all()


def test_start_is_drawn_from_the_seed() -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build(released, width=96, intermediate_width=256, persons=4).state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
        if "norm" in name or name.endswith("bias"):
            assert torch.equal(value, torch.full_like(value, float(name.endswith("norm.weight")))), name
        else:
            assert not torch.equal(value, states[2][name]), name
            assert value.std().item() == pytest.approx(0.02, rel=0.15), name


def test_a_wider_start_leaves_the_routers_alone() -> None:
    state = build(released, width=96, intermediate_width=256, init_std=0.1).state_dict()
    weights = {n: v for n, v in state.items() if n.endswith("weight") and "norm" not in n}
    assert any(".router." in name for name in weights)
    for name, value in weights.items():
        assert value.std().item() == pytest.approx(0.02 if ".router." in name else 0.1, rel=0.15), name


def test_drop_path_drops_updates_of_whole_samples_in_training_only() -> None:
    qformer = build(dropout=0.0, drop_path=0.6)
    assert [layer.ffn_norm.drop_path for layer in qformer.layers] == pytest.approx([0.0, 0.2, 0.4, 0.6])
    block = qformer.layers[-1].ffn_norm
    update = torch.randn(2000, 1, 1).expand(-1, 3, WIDTH)
    seen = []
    block.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    block(torch.zeros(2000, 3, WIDTH), update)
    block.eval()
    block(torch.zeros(2000, 3, WIDTH), update)
    kept = (seen[0] != 0).flatten(1)
    assert torch.equal(kept.all(1), kept.any(1))
    assert kept[:, 0].float().mean().item() == pytest.approx(0.4, abs=0.05)
    torch.testing.assert_close(seen[0][kept[:, 0]], update[kept[:, 0]] / 0.4)
    assert torch.equal(seen[1], update)


def test_forward_changes_no_state() -> None:
    qformer = build()
    before = {k: v.clone() for k, v in qformer.state_dict().items()}
    qformer(clip())
    assert all(torch.equal(v, before[k]) for k, v in qformer.state_dict().items())


def test_bf16_autocast_is_close() -> None:
    qformer, context = strong(build()), clip()
    exact = qformer(context)
    with torch.autocast("cpu", torch.bfloat16):
        out = qformer(context)
    assert (out.hidden.float() - exact.hidden).abs().mean() < 0.05
    assert all(r.logits.dtype == torch.float32 for r in out.routings.values())


def test_config_builds_one_attention_per_layer() -> None:
    class Model:
        def __init__(self, qformer: Callable[[int, int], QFormer]) -> None:
            self.qformer = qformer(CONTEXT_WIDTH, 2)

    heads = {"num_heads": 6, "num_shared_heads": 2}
    parser = ArgumentParser()
    parser.add_class_arguments(Model, "model")
    arguments = {
        "width": WIDTH,
        "num_layers": 3,
        "intermediate_width": 32,
        "num_query_tokens": 4,
        "num_personal_query_tokens": 3,
        "dense": {"class_path": "pvchat.modules.attention.DenseAttention", "init_args": {"num_heads": 6}},
        "routed": {"class_path": "pvchat.modules.attention.ReMoHAttention", "init_args": heads},
        "first_routed_layer": 1,
    }
    config = {"class_path": "pvchat.modules.qformer.QFormer", "init_args": arguments}
    parsed = parser.parse_object({"model": {"qformer": config}})
    qformer = parser.instantiate_classes(parsed).model.qformer
    kinds = [type(layer.self_attention) for layer in qformer.layers]
    assert kinds == [DenseAttention, ReMoHAttention, ReMoHAttention]
    assert qformer.layers[1].self_attention is not qformer.layers[2].self_attention
    assert qformer.num_queries == 10


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"first_routed_layer": 4}, r"first_routed_layer must be in \[0, num_layers\): got 4, num_layers=4"),
        ({"num_layers": 0}, "must be >= 1: got 0, 1, 2"),
        ({"persons": 0}, "must be >= 1: got 4, 0, 2"),
        ({"num_query_tokens": 0, "num_personal_query_tokens": 0}, "not both 0: got 0, 0"),
        ({"num_query_tokens": -1}, "must be >= 0"),
    ],
)
def test_bad_sizes_are_explained(overrides: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**overrides)


def test_bad_inputs_are_explained() -> None:
    with pytest.raises(ValueError, match=r"person_mask must be \(B, P\) = \(2, 3\): got \(2, 2\)"):
        build(persons=3)(clip(), person_mask=torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(UserError, match="build QFormer with text_input=True"):
        build()(clip(), text_embeds=torch.zeros(2, 3, WIDTH))
