"""ReMoH in all nine modules against the released forward pass and its losses, written out by its names."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.losses import HeadActivation, RoutingSparsity
from pvchat.modules.attention import Attention, DenseAttention, ReMoHAttention
from pvchat.modules.published.key_table import QFORMER, PublishedSizes, key_table
from pvchat.modules.published.released_names import released
from pvchat.modules.qformer import QFormer

WIDTH, CONTEXT_WIDTH, HEADS, SHARED, LAYERS, FIRST = 48, 40, 12, 8, 12, 6
BERT = "qformer.bert.encoder.layer."
SIZES = replace(PublishedSizes(), qformer_width=WIDTH, qformer_mlp=64, encoder_width=CONTEXT_WIDTH)
LAMBDA, TARGET, K = 0.05, 0.5, 0.8


def dense(width: int, context_width: int) -> Attention:
    return DenseAttention(width, context_width, num_heads=HEADS)


def remoh(width: int, context_width: int) -> Attention:
    return ReMoHAttention(width, context_width, num_heads=HEADS, num_shared_heads=SHARED, init="released")


@pytest.fixture
def qformer() -> QFormer:
    """Weights large enough to matter; routers whose modules differ in how many heads they use."""
    made = QFormer(
        CONTEXT_WIDTH,
        1,
        width=WIDTH,
        num_layers=LAYERS,
        intermediate_width=64,
        num_query_tokens=96,
        num_personal_query_tokens=16,
        dense=dense,
        routed=remoh,
        first_routed_layer=FIRST,
    ).eval()
    modules = [m for m in made.modules() if isinstance(m, ReMoHAttention)]
    for name, parameter in made.named_parameters():
        nn.init.normal_(parameter, mean=float("norm.weight" in name), std=0.15)
    for number, module in enumerate(modules):
        nn.init.normal_(module.router.routed.weight, std=0.8)
        nn.init.constant_(module.router.routed.bias, 4.0 - number)  # nearly all heads, .. hardly any
    return made


def by_released_names(qformer: QFormer) -> dict[str, Tensor]:
    state = {f"{QFORMER}{name}": value.double() for name, value in qformer.state_dict().items()}
    published = {key.published: key for key in key_table(SIZES) if key.ours in state}
    named = {
        name: state[key.ours].flatten()[key.first_row * WIDTH :][: math.prod(key.shape)].view(key.shape)
        for name, key in published.items()
    }
    table = {key.ours for key in published.values()}
    return named | dict(released(name, value) for name, value in state.items() if name not in table)


class Released:
    """The forward pass of the released code, on its names; ``gates`` by module."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state, self.gates = state, dict[str, Tensor]()

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-12)

    def attend(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            self.linear(f"{name}.self.{part}", source).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part, source in (("query", x), ("key", context), ("value", context))
        )
        heads = (q @ k.mT / (WIDTH / HEADS) ** 0.5).softmax(-1) @ v  # (B, H, L, d)
        router = f"{name}.self.router_alpha"
        if f"{router}.router.weight" in self.state:
            gates = self.linear(f"{router}.router", x).clamp(-1, 10).relu()
            alpha = self.linear(f"{router}.alpha_proj", x).clamp(-1, 1).softmax(-1)
            self.gates[name.removeprefix(BERT)] = gates
            shared = heads[:, :SHARED] * alpha[..., 0][:, None, :, None]
            routed = heads[:, SHARED:] * (alpha[..., 1:] * gates).transpose(1, 2).unsqueeze(-1)
            heads = torch.cat([shared, routed], 1)
        out = self.linear(f"{name}.output.dense", heads.transpose(1, 2).flatten(2))
        return self.norm(f"{name}.output.LayerNorm", out + x)

    def __call__(self, context: Tensor) -> Tensor:
        banks = ("query_tokens", "extra_query_tokens", "personal_query_tokens")
        queries = torch.cat([self.state[name] for name in banks], 1).expand(len(context), -1, -1)
        x = self.norm("qformer.bert.embeddings.LayerNorm", queries)
        for i in range(LAYERS):
            x = self.attend(f"{BERT}{i}.attention", x, x)
            if i % 2 == 0:
                x = self.attend(f"{BERT}{i}.crossattention", x, context)
            inner = F.gelu(self.linear(f"{BERT}{i}.intermediate_query.dense", x))
            update = self.linear(f"{BERT}{i}.output_query.dense", inner)
            x = self.norm(f"{BERT}{i}.output_query.LayerNorm", update + x)
        return x


def released_losses(gates: Tensor) -> tuple[float, float, float]:
    """(lambda, SPR, HAE) of one module: lambda moves in the forward pass, before it is used."""
    used = (gates > 0).double()
    active = used.mean().item()
    weight = min(10.0, max(1e-15, LAMBDA * math.exp(K * (TARGET - (1 - active)))))
    sparsity = weight * (used.mean((0, 1)) * gates.mean((0, 1))).sum().item()
    return weight, sparsity, 0.5 * (math.exp(2 * (1 - TARGET - active)) - 1) if active < 1 - TARGET else 0.0


@torch.no_grad()
def test_all_nine_modules_route_as_released(qformer: QFormer) -> None:
    context = torch.randn(2, 21, CONTEXT_WIDTH)
    reference = Released(by_released_names(qformer))
    expected, out = reference(context.double()), qformer(context)
    assert set(reference.gates) == {
        *(f"{i}.attention" for i in range(6, 12)),
        *(f"{i}.crossattention" for i in (6, 8, 10)),
    }
    torch.testing.assert_close(out.hidden, expected.float(), rtol=0, atol=2e-5)
    ours = {"attention": "self", "crossattention": "cross"}
    places = [name.split(".") for name in reference.gates]
    gates = {
        f"layer{i}.{ours[kind]}": g for (i, kind), g in zip(places, reference.gates.values(), strict=True)
    }
    assert gates.keys() == out.routings.keys()
    rates = {name: float((g > 0).double().mean()) for name, g in gates.items()}
    assert max(rates.values()) > 0.7  # SPR presses there, and HAE acts where
    assert 0 < min(rates.values()) < 0.3
    assert max(float(g.max()) for g in gates.values()) == 10.0  # the clamp is reached
    for name, routing in out.routings.items():
        torch.testing.assert_close(routing.scores, gates[name].float(), rtol=0, atol=2e-5)
        assert torch.equal(routing.routing_map, gates[name] > 0), name

    losses = {name: released_losses(g) for name, g in gates.items()}
    spr = RoutingSparsity(target=TARGET, k=K, initial=LAMBDA, num_modules=9)
    spr.update(torch.stack([routing.sparsity for routing in out.routings.values()]))
    weights, pressures, alignments = zip(*(losses[name] for name in out.routings), strict=True)
    assert spr.weight.tolist() == pytest.approx(weights, abs=2e-5)
    hae = HeadActivation(target=TARGET, weight=0.5)
    # the released code sums over modules, here it is the mean
    assert 9 * spr(out.routings).item() == pytest.approx(sum(pressures), rel=2e-5)
    assert 9 * hae(out.routings).item() == pytest.approx(sum(alignments), rel=2e-5)
    assert sum(value > 0 for value in alignments) in range(1, 9)
    for number, (name, routing) in enumerate(out.routings.items()):
        one = RoutingSparsity(initial=weights[number])({name: routing}).item()
        assert one == pytest.approx(pressures[number], abs=2e-5), name
        assert hae({name: routing}).item() == pytest.approx(alignments[number], abs=2e-5), name
