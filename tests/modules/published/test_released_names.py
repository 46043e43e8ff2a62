"""What is new has the names of the released code; test_qformer_as_released.py computes by them."""

from functools import partial

import pytest
import torch

from pvchat.modules.attention import DenseAttention, ReMoHAttention
from pvchat.modules.published.key_table import QFORMER, part_of
from pvchat.modules.published.released_names import released
from pvchat.modules.qformer import QFormer


@pytest.mark.parametrize("persons", [1, 2])
def test_all_that_remoh_adds_has_its_released_name(persons: int) -> None:
    """At full size, with the shapes of the released modules: 4 gates with a bias, 2 alphas without."""
    with torch.device("meta"):
        qformer = QFormer(
            1408,
            persons,
            width=768,
            num_layers=12,
            intermediate_width=3072,
            num_query_tokens=96,
            num_personal_query_tokens=16,
            dense=partial(DenseAttention, num_heads=12),
            routed=partial(ReMoHAttention, num_heads=12, num_shared_heads=8),
            first_routed_layer=6,
        )
    state = {f"{QFORMER}{name}": value for name, value in qformer.state_dict().items()}
    new = [released(name, value) for name, value in state.items() if part_of(name) is None]
    routers = [f"{i}.attention" for i in range(6, 12)] + [f"{i}.crossattention" for i in (6, 8, 10)]
    expected: dict[str, tuple[int, ...]] = {"personal_query_tokens": (1, persons * 16, 768)}
    for place in routers:
        router = f"qformer.bert.encoder.layer.{place}.self.router_alpha"
        expected |= {f"{router}.router.weight": (4, 768), f"{router}.router.bias": (4,)}
        expected |= {f"{router}.alpha_proj.weight": (2, 768)}
    assert {name: tuple(value.shape) for name, value in new} == expected


def test_persons_follow_one_another() -> None:
    queries = torch.arange(2 * 3 * 4.0).view(2, 3, 4)
    name, bank = released("qformer.personal_query_tokens", queries)
    assert name == "personal_query_tokens"
    assert torch.equal(bank[0, :3], queries[0])
    assert torch.equal(bank[0, 3:], queries[1])


@pytest.mark.parametrize("name", ["language_model.token_rows.input_rows", "presence_head.bias"])
def test_what_is_ours_alone_keeps_its_name(name: str) -> None:
    value = torch.ones(2)
    assert released(name, value) == (name, value)
