import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.token_rows import TokenRows, initial_rows

VOCAB, ROWS, WIDTH = 11, 3, 8


@pytest.fixture
def base() -> tuple[nn.Embedding, nn.Linear]:
    embedding, head = nn.Embedding(VOCAB, WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)
    return embedding.requires_grad_(False), head.requires_grad_(False)


@pytest.fixture
def rows() -> TokenRows:
    rows = TokenRows(ROWS, WIDTH)
    for parameter in rows.parameters():
        nn.init.normal_(parameter)
    return rows


def test_equals_one_grown_table(base: tuple[nn.Embedding, nn.Linear], rows: TokenRows) -> None:
    embedding, head = base
    ids = torch.tensor([[0, VOCAB, 4], [VOCAB + 2, VOCAB - 1, VOCAB + 1]])
    table = torch.cat([embedding.weight, rows.input_rows])
    assert torch.equal(rows.embed(ids, embedding, VOCAB), F.embedding(ids, table))
    hidden = torch.randn(2, 3, WIDTH)
    expected = F.linear(hidden, torch.cat([head.weight, rows.output_rows]))
    torch.testing.assert_close(rows.logits(hidden, head), expected)


def loss(rows: TokenRows, embedding: nn.Embedding, head: nn.Linear) -> Tensor:
    ids = torch.tensor([[1, VOCAB, 2, VOCAB + 2]])
    return F.cross_entropy(rows.logits(rows.embed(ids[:, :-1], embedding, VOCAB), head)[0], ids[0, 1:])


def test_rows_move_and_the_base_is_bit_identical(
    base: tuple[nn.Embedding, nn.Linear], rows: TokenRows
) -> None:
    before = [p.clone() for p in (*base[0].parameters(), *base[1].parameters())]
    start = rows.input_rows.detach().clone(), rows.output_rows.detach().clone()
    everything = nn.ModuleList([*base, rows])
    optimizer = torch.optim.AdamW((p for p in everything.parameters() if p.requires_grad), weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss(rows, *base).backward()
        optimizer.step()
    after = [p for module in base for p in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not torch.isclose(rows.input_rows[0], start[0][0]).all()
    assert not torch.isclose(rows.output_rows, start[1]).all()


def test_gradients_reach_the_rows_that_are_read_and_no_other(
    base: tuple[nn.Embedding, nn.Linear], rows: TokenRows
) -> None:
    loss(rows, *base).backward()
    assert rows.input_rows.grad is not None
    assert rows.input_rows.grad.abs().sum(1).gt(0).tolist() == [True, False, False]  # row 2 is a target only
    assert rows.output_rows.grad is not None
    assert rows.output_rows.grad.abs().sum(1).gt(0).all()


def test_the_released_slice_of_a_table_never_moves() -> None:
    """The released code hands AdamW a slice of the embedding, a detached copy that no forward reads."""
    table = nn.Embedding(VOCAB + 1, WIDTH)
    sks = nn.Parameter(table.weight[VOCAB:].detach().clone())
    optimizer = torch.optim.AdamW([sks], lr=0.1)
    before = table.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        table(torch.tensor([VOCAB])).square().sum().backward()
        optimizer.step()
    assert sks.grad is None
    assert torch.equal(table.weight, before)


def test_one_table_with_masked_gradients_drifts() -> None:
    """Why not mask the gradients of old tokens instead: weight decay moves them all the same."""
    table = nn.Embedding(VOCAB + 1, WIDTH)
    table.weight.register_hook(lambda grad: grad * (torch.arange(VOCAB + 1) == VOCAB).unsqueeze(1))
    before = table.weight.detach().clone()
    table(torch.tensor([0, VOCAB])).square().sum().backward()
    torch.optim.AdamW(table.parameters(), lr=0.1, weight_decay=0.1).step()
    assert not torch.equal(table.weight[:VOCAB], before[:VOCAB])


def test_float32_in_and_out_of_a_bf16_base(rows: TokenRows) -> None:
    embedding, head = nn.Embedding(VOCAB, WIDTH).bfloat16(), nn.Linear(WIDTH, VOCAB, bias=False).bfloat16()
    embedded = rows.embed(torch.tensor([[1, VOCAB]]), embedding, VOCAB)
    assert embedded.dtype == torch.float32
    assert torch.equal(embedded[0, 1], rows.input_rows[0])
    assert rows.logits(torch.randn(2, WIDTH).bfloat16(), head).dtype == torch.float32


def test_without_rows_the_base_is_unchanged(base: tuple[nn.Embedding, nn.Linear]) -> None:
    rows, ids = TokenRows(0, WIDTH), torch.arange(VOCAB)
    embedded = rows.embed(ids, base[0], VOCAB)
    assert torch.equal(embedded, base[0].weight)
    assert torch.equal(rows.logits(embedded, base[1]), base[1](embedded))


def test_an_unknown_token_is_an_error(base: tuple[nn.Embedding, nn.Linear], rows: TokenRows) -> None:
    with pytest.raises(IndexError):
        rows.embed(torch.tensor([VOCAB + ROWS]), base[0], VOCAB)


def test_initial_rows_look_like_words_and_differ() -> None:
    table = torch.randn(5000, 64) * 0.3 + 1
    first, output = initial_rows(table, 200, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first, initial_rows(table, 200, generator=torch.Generator().manual_seed(3))[0])
    assert float(first.mean()) == pytest.approx(1, abs=0.01)
    assert float((first - table.mean(0)).std()) == pytest.approx(0.03, rel=0.05)
    assert len(first.unique(dim=0)) == 200
    assert not output.any()


def test_sizes_are_checked() -> None:
    with pytest.raises(UserError, match="num_rows must be >= 0 and width > 0: got num_rows=-1, width=8"):
        TokenRows(-1, 8)
