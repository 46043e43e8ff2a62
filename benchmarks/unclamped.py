"""How can a loss become nan without SPR and HAE (paper, table 3)? A long training of one routed layer.

    python -m benchmarks.unclamped

A ReMoH layer behind a linear one learns a fixed random map of noise, 800 steps: with neither regulariser;
with SPR whose lambda grows and falls as that of ReMoE does, within limits and without; and both again while
nothing trains that the sparsity depends on, so that it never comes. Prints the first step whose loss is no
number, and lambda at the end. A minute or two.
"""

import argparse
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.losses import RoutingSparsity
from pvchat.modules.attention import ReMoHAttention
from pvchat.reporting.table import Cell, render_table

WIDTH, TOKENS, BATCH = 32, 8, 16
TARGET = 0.75  # above the half that an untrained router of the released form has


class Unclamped(RoutingSparsity):
    """ReMoE's update as published: nothing keeps lambda between limits."""

    @torch.no_grad()
    def update(self, sparsity: Tensor) -> None:
        gap = self.target - sparsity.float().mean()
        self.weight.copy_(self.weight * torch.exp(gap.sign() * math.log(1.2)))


@dataclass(frozen=True)
class Outcome:
    """``broken`` is the first step whose loss is inf or nan."""

    broken: int | None
    sparsity: float
    weight: float | None
    loss: float


def train(sparsity_loss: RoutingSparsity | None, *, steps: int, seed: int, reachable: bool = True) -> Outcome:
    """One layer for ``steps`` steps; its target is not ``reachable`` where router and what it reads stay as
    they are."""
    torch.manual_seed(seed)
    embed, target = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    layer = ReMoHAttention(WIDTH, WIDTH, num_heads=8, num_shared_heads=4, init="released")
    layer.router.requires_grad_(reachable)
    embed.requires_grad_(reachable)
    parameters = [p for p in (*embed.parameters(), *layer.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    broken, loss, sparsity = None, torch.zeros(()), torch.zeros(())
    for step in range(1, steps + 1):
        x = torch.randn(BATCH, TOKENS, WIDTH)
        out = layer(embed(x))
        assert out.routing is not None
        sparsity = out.routing.sparsity.detach()
        loss = F.mse_loss(out.output, target(x))
        if sparsity_loss is not None:
            loss = loss + sparsity_loss({"layer": out.routing})
        if broken is None and not loss.isfinite():
            broken = step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if sparsity_loss is not None:
            sparsity_loss.update(sparsity)
    weight = None if sparsity_loss is None else float(sparsity_loss.weight)
    return Outcome(broken, float(sparsity), weight, float(loss.detach()))


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows: list[list[Cell]] = []
    for name, spr, reachable in (
        ("neither", None, True),
        ("limits", RoutingSparsity, True),
        ("no limits", Unclamped, True),
        ("limits, target out of reach", RoutingSparsity, False),
        ("no limits, target out of reach", Unclamped, False),
    ):
        for seed in range(options.seeds):
            loss = None if spr is None else spr(target=TARGET, update="remoe")
            found = train(loss, steps=options.steps, seed=seed, reachable=reachable)
            broken = "never" if found.broken is None else str(found.broken)
            rows.append([name, seed, broken, found.loss, found.sparsity, f"{found.weight or 0:.1e}"])
    header = ["", "seed", "first loss that is no number", "last loss", "sparsity", "lambda"]
    print(render_table(header, rows, style="markdown"))


if __name__ == "__main__":
    main()
