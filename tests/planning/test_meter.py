"""Operations and bytes, against hand counts and against torch's own counter."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from pvchat.planning.meter import Meter


def test_bytes_alive_and_at_the_peak() -> None:
    """Two of three matrices of 4 MB live at once; a view and a second look cost nothing."""
    with Meter() as meter:
        x = torch.zeros(1000, 1000)
        meter.track(x.t())
        y = x + 1
        del x
        z = y + 1
        del y
    assert (meter.now, meter.peak) == (4_000_000, 8_000_000)
    del z
    assert meter.now == 0


def test_operations_of_products_forward_and_backward() -> None:
    """2 m n k a product; the backward pass has two of them."""
    x, w = (torch.randn(8, 16, requires_grad=True), torch.randn(16, 4, requires_grad=True))
    with Meter() as meter:
        (x @ w).sum().backward()
    assert meter.flops == 3 * 2 * 8 * 16 * 4


def test_operations_equal_torchs_counter() -> None:
    layer = torch.nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    counter, x = FlopCounterMode(display=False), torch.randn(2, 10, 32)
    with counter:
        layer(x).sum().backward()
    with Meter() as meter:
        layer(x).sum().backward()
    assert meter.flops == counter.get_total_flops() > 0


@pytest.mark.parametrize("fake", [True, False])
def test_checkpointed_blocks_free_what_they_recompute(fake: bool) -> None:
    """Eight blocks that keep 8 x 400 KB: with checkpointing the inputs and one block at a time."""

    def peak(recompute: bool) -> int:
        blocks = [torch.nn.Sequential(torch.nn.Linear(100, 100), torch.nn.GELU()) for _ in range(8)]
        x = torch.zeros(1000, 100, requires_grad=True)
        with Meter() as meter:
            y = x
            for block in blocks:
                y = checkpoint(block, y, use_reentrant=False) if recompute else block(y)
            y.sum().backward()
        return meter.peak

    def both() -> tuple[int, int]:
        return peak(False), peak(True)

    if fake:
        with FakeTensorMode():
            kept, recomputed = both()
    else:
        kept, recomputed = both()
    assert recomputed < 0.75 * kept
