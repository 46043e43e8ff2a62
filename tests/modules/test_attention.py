"""Each kind of attention against its formula written out in loops, values and gradients."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.attention import Attention, AttentionOutput, DenseAttention, MoHAttention, ReMoHAttention
from pvchat.routing import Routing

BATCH, QUERIES, KEYS, WIDTH, CONTEXT_WIDTH, HEADS, SHARED = 2, 5, 7, 24, 20, 6, 2

KINDS: dict[str, Callable[[int, int], Attention]] = {
    "dense": lambda w, c: DenseAttention(w, c, num_heads=HEADS),
    "moh": lambda w, c: MoHAttention(w, c, num_heads=HEADS, num_shared_heads=SHARED, top_k=2),
    "moh_one_shared": lambda w, c: MoHAttention(w, c, num_heads=HEADS, num_shared_heads=1, top_k=3),
    "remoh": lambda w, c: ReMoHAttention(w, c, num_heads=HEADS, num_shared_heads=SHARED),
    "remoh_released": lambda w, c: ReMoHAttention(
        w, c, num_heads=HEADS, num_shared_heads=SHARED, init="released"
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def built(kind: str, context_width: int = CONTEXT_WIDTH) -> Attention:
    """A layer with weights large enough that a wrong term shows and routers reach their clamps."""
    attention = KINDS[kind](WIDTH, context_width)
    for name, parameter in attention.named_parameters():
        nn.init.normal_(parameter, std=1.5 if "router" in name else 0.15)
    return attention


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    mask = torch.rand(BATCH, KEYS) > 0.3
    mask[:, 0] = True
    return (
        torch.randn(BATCH, QUERIES, WIDTH, requires_grad=True),
        torch.randn(BATCH, KEYS, CONTEXT_WIDTH),
        mask,
    )


def softmax(values: list[Tensor]) -> list[Tensor]:
    exps = [torch.exp(v) for v in values]
    return [e / sum(exps) for e in exps]


def dot(row: Tensor, x: Tensor) -> Tensor:
    return (row * x).sum()


def head_weights(kind: str, p: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """Weights of all heads for one token ``x`` (D,), from the formulas of the paper and of MoH."""
    if kind == "dense":
        return [torch.ones(()) for _ in range(HEADS)]
    balance = [dot(row, x) for row in p["router.balance.weight"]]
    logits = [dot(row, x) for row in p["router.routed.weight"]]
    if kind.startswith("remoh"):
        logits = [z + b for z, b in zip(logits, p["router.routed.bias"], strict=True)]
        a = softmax([torch.clamp(z, -1, 1) for z in balance])
        factor = 1 if kind == "remoh_released" else 2
        gates = [torch.relu(torch.clamp(z, -1, 10)) for z in logits]
        return [factor * a[0]] * SHARED + [factor * a[1] * g for g in gates]
    shared_heads, k = (1, 3) if kind == "moh_one_shared" else (SHARED, 2)
    a = softmax(balance)
    scores = softmax(logits)
    best = sorted(range(len(scores)), key=lambda i: -scores[i].item())[:k]
    total = sum(scores[i] for i in best)
    routed = [k * scores[i] / total if i in best else scores[i] * 0 for i in range(len(scores))]
    shared = [torch.ones(())]
    if shared_heads > 1:
        shared = [shared_heads * s for s in softmax([dot(r, x) for r in p["router.shared.weight"]])]
    return [2 * a[0] * s for s in shared] + [2 * a[1] * r for r in routed]


def reference(kind: str, p: dict[str, Tensor], x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
    size = WIDTH // HEADS
    rows = []
    for b in range(len(x)):
        for token in x[b]:
            weights = head_weights(kind, p, token)
            query = p["heads.query.weight"] @ token + p["heads.query.bias"]
            mixed = []
            for h in range(HEADS):
                part = slice(h * size, (h + 1) * size)
                keys = context[b] @ p["heads.key.weight"][part].T + p["heads.key.bias"][part]
                values = context[b] @ p["heads.value.weight"][part].T + p["heads.value.bias"][part]
                seen = [i for i in range(len(context[b])) if mask[b, i]]
                scores = softmax([dot(query[part], keys[i]) / math.sqrt(size) for i in seen])
                read = sum(s * values[i] for s, i in zip(scores, seen, strict=True))
                mixed.append(weights[h] * read)
            rows.append(p["heads.out_proj.weight"] @ torch.cat(mixed) + p["heads.out_proj.bias"])
    return torch.stack(rows).view(len(x), -1, WIDTH)


@every_kind
@pytest.mark.parametrize("cross", [True, False], ids=["cross", "self"])
def test_equals_the_formula_with_gradients(kind: str, cross: bool) -> None:
    attention = built(kind, CONTEXT_WIDTH if cross else WIDTH)
    x, context, mask = inputs()
    if not cross:
        mask = mask[:, :QUERIES]
    out = attention(x, context if cross else None, mask)
    if kind.startswith("remoh"):  # both clamps are reached
        assert out.routing.logits.min() < -1
        assert out.routing.logits.max() > 10
    leaves = {"x": x, **dict(attention.named_parameters())}
    exact = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
    expected = reference(kind, exact, exact["x"], context.double() if cross else exact["x"], mask)
    assert expected.abs().mean() > 0.05
    torch.testing.assert_close(out.output, expected.float(), rtol=2e-6, atol=2e-6)

    weights = torch.randn(out.output.shape)
    ours = torch.autograd.grad((out.output * weights).mean(), list(leaves.values()))
    theirs = torch.autograd.grad((expected * weights).mean(), list(exact.values()))
    for name, got, want in zip(leaves, ours, theirs, strict=True):
        torch.testing.assert_close(got, want.float(), rtol=2e-6, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "dense"])
def test_routing_reports_what_happened(kind: str) -> None:
    attention = built(kind)
    x, context, mask = inputs()
    routing = attention(x, context, mask).routing
    shared = 1 if kind == "moh_one_shared" else SHARED
    assert routing.scores.shape == routing.logits.shape == routing.routing_map.shape
    assert routing.head_weights.shape == (BATCH, QUERIES, HEADS)
    assert routing.logits.shape[-1] == HEADS - shared
    assert routing.routing_map.dtype == torch.bool
    assert (routing.scores >= 0).all()
    assert torch.equal(routing.head_weights[..., shared:] > 0, routing.routing_map)
    parameters = dict(attention.named_parameters())
    expected = [[torch.stack(head_weights(kind, parameters, t)) for t in row] for row in x]
    torch.testing.assert_close(routing.head_weights, torch.stack([torch.stack(r) for r in expected]))
    if kind.startswith("moh"):
        assert (routing.routing_map.sum(-1) == attention.router.top_k).all()
        torch.testing.assert_close(routing.scores.sum(-1), torch.ones(BATCH, QUERIES))


def test_dense_reports_no_routing() -> None:
    x, context, mask = inputs()
    assert built("dense")(x, context, mask).routing is None


def dense_twin(attention: Attention) -> DenseAttention:
    dense = DenseAttention(WIDTH, CONTEXT_WIDTH, num_heads=HEADS)
    dense.load_state_dict({k: v for k, v in attention.state_dict().items() if not k.startswith("router")})
    return dense


@pytest.mark.parametrize("shared", [1, 2, HEADS - 1])
def test_identity_start_is_the_dense_layer_bit_for_bit(shared: int) -> None:
    attention = ReMoHAttention(WIDTH, CONTEXT_WIDTH, num_heads=HEADS, num_shared_heads=shared)
    x, context, mask = inputs()
    out = attention(100 * x, context, mask)
    assert torch.equal(out.output, dense_twin(attention)(100 * x, context, mask).output)
    assert torch.equal(out.routing.head_weights, torch.ones(BATCH, QUERIES, HEADS))
    assert out.routing.routing_map.all()


def test_released_start_halves_the_shared_heads() -> None:
    attention = KINDS["remoh_released"](WIDTH, CONTEXT_WIDTH)
    nn.init.zeros_(attention.router.balance.weight)
    x, context, mask = inputs()
    weights = attention(x, context, mask).routing.head_weights
    assert torch.equal(weights[..., :SHARED], torch.full((BATCH, QUERIES, SHARED), 0.5))


@pytest.mark.parametrize("shared", [1, 2])
def test_zero_moh_router_with_all_heads_is_dense(shared: int) -> None:
    attention = MoHAttention(
        WIDTH, CONTEXT_WIDTH, num_heads=HEADS, num_shared_heads=shared, top_k=HEADS - shared
    )
    for parameter in attention.router.parameters():
        nn.init.zeros_(parameter)
    x, context, mask = inputs()
    out, dense = (a(x, context, mask).output for a in (attention, dense_twin(attention)))
    torch.testing.assert_close(out, dense, rtol=0, atol=1e-6)


@every_kind
def test_routers_start_drawn_from_the_seed_and_never_from_memory(kind: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(KINDS[kind](HEADS * 40, HEADS * 40).state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
        if name.endswith("bias"):
            assert torch.equal(value, torch.full_like(value, float(kind == "remoh" and "router" in name))), (
                name
            )
        elif kind == "remoh" and "router" in name:
            assert not value.any(), name
        else:
            assert value.std().item() == pytest.approx(0.02, rel=0.15), name
            assert abs(value.mean().item()) < 0.004, name
    torch.manual_seed(4)
    other = KINDS[kind](HEADS * 40, HEADS * 40).state_dict()
    assert not torch.equal(other["heads.query.weight"], states[0]["heads.query.weight"])


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "dense"])
@pytest.mark.parametrize("how", ["autocast", "cast"])
def test_routers_decide_in_full_precision(kind: str, how: str) -> None:
    attention = built(kind)
    x, context, mask = inputs()
    if how == "cast":
        attention, x, context = attention.bfloat16(), x.bfloat16(), context.bfloat16()
        exact = x.float() @ attention.router.routed.weight.float().T
    else:
        exact = x @ attention.router.routed.weight.T
    if attention.router.routed.bias is not None:
        exact = exact + attention.router.routed.bias.float()
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        out: AttentionOutput = attention(x, context, mask)
    assert out.output.dtype == torch.bfloat16
    assert out.routing is not None
    for tensor in (out.routing.scores, out.routing.logits, out.routing.head_weights):
        assert tensor.dtype == torch.float32
    torch.testing.assert_close(out.routing.logits, exact, rtol=1e-6, atol=1e-6)


@every_kind
def test_masked_keys_are_as_good_as_absent(kind: str) -> None:
    attention = built(kind)
    x, context, _ = inputs()
    mask = torch.arange(KEYS).expand(BATCH, -1) < 4
    expected = attention(x, context[:, :4]).output
    for form in (mask, mask[:, None].expand(-1, QUERIES, -1), mask[:, None, None]):
        torch.testing.assert_close(attention(x, context, form).output, expected, rtol=0, atol=2e-6)


@every_kind
def test_a_row_without_keys_is_finite(kind: str) -> None:
    attention = built(kind)
    x, context, mask = inputs()
    mask[1] = False
    context.requires_grad_()
    out = attention(x, context, mask).output
    torch.testing.assert_close(out[1], attention.heads.out_proj.bias.expand(QUERIES, -1))
    torch.testing.assert_close(out[:1], attention(x[:1], context[:1], mask[:1]).output)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert context.grad is not None
    assert not context.grad[1].any()


def test_dropout_in_training_only() -> None:
    attention = DenseAttention(WIDTH, WIDTH, num_heads=HEADS, dropout=0.5)
    x = inputs()[0]
    assert not torch.equal(attention(x).output, attention(x).output)
    attention.eval()
    assert torch.equal(attention(x).output, attention(x).output)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: DenseAttention(24, 24, num_heads=5),
            "num_heads must divide width: got num_heads=5, width=24",
        ),
        (
            lambda: ReMoHAttention(24, 24, num_heads=12, num_shared_heads=12),
            r"num_shared_heads must be in \(0, num_heads\): got num_shared_heads=12, num_heads=12",
        ),
        (
            lambda: MoHAttention(24, 24, num_heads=6, num_shared_heads=0, top_k=2),
            "num_shared_heads must be in",
        ),
        (
            lambda: MoHAttention(24, 24, num_heads=6, num_shared_heads=4, top_k=3),
            r"top_k must be in \[1, 2\], the number of routed heads: got 3",
        ),
    ],
)
def test_bad_sizes_are_explained(build: Callable[[], Attention], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build()


def test_a_dead_head_costs_no_gradient_in_its_projections() -> None:
    """Off means off: nothing flows into the part of the projections that only a dead head reads."""
    attention = built("remoh")
    nn.init.zeros_(attention.router.routed.weight)
    with torch.no_grad():
        attention.router.routed.bias.copy_(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    x, context, mask = inputs()
    out: AttentionOutput = attention(x, context, mask)
    assert isinstance(out.routing, Routing)
    assert out.routing.active_rate.item() == 0.75
    out.output.sum().backward()
    size = WIDTH // HEADS
    dead = slice((SHARED + 1) * size, (SHARED + 2) * size)
    for projection in (attention.heads.query, attention.heads.key, attention.heads.value):
        assert not projection.weight.grad[dead].any()
