"""Pretrained tensors into modules of ours."""

import torch
from torch import Tensor, nn

from pvchat.modules.published.checkpoint_folders import Source, check_shapes
from pvchat.modules.published.key_table import Part, key_table, part_of


def fill(
    module: nn.Module,
    source: Source,
    *,
    prefix: str = "",
    parts: tuple[Part, ...] = ("encoder", "bridge", "lora"),
) -> list[str]:
    """Read ``parts`` of ``source`` into ``module``: a ``VideoChat``, or the module at ``prefix`` of one.

    One tensor at a time; weights keep their type, those on the meta device get memory. A Q-former without
    text skips the text's networks. Returns the names that keep their state (routers, personal queries, token
    rows, other parts). Raises UserError, before anything is changed, if a tensor of ``parts`` has no place in
    ``module``, or a weight of ``module`` that belongs to ``parts`` gets none.

    A language model is better loaded from the imported folder by transformers: ``LanguageModel`` keeps a copy
    of its head."""
    state = module.state_dict()
    places = {prefix + name.replace(".base_layer", ""): name for name in state}
    reads_text = any(".text_ffn" in name for name in places)
    wanted = {
        key.ours: key.our_shape
        for key in key_table(source.sizes)
        if key.part in parts and key.ours.startswith(prefix) and (reads_text or ".text_ffn" not in key.ours)
    }
    shapes = {name: tuple(state[place].shape) for name, place in places.items() if part_of(name) in parts}
    advice = f"Take encoder, language model and pretrained from {source.folder} alike, with its sizes."
    check_shapes("the model", shapes, wanted, advice=advice)
    for name in wanted:
        _put(module, places[name], source.read(name))
    return [place for name, place in places.items() if name not in wanted]


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    parent = module.get_submodule(owner)
    current = getattr(parent, leaf)
    if not current.is_meta:
        with torch.no_grad():
            current.copy_(value)
    elif isinstance(current, nn.Parameter):
        fresh = nn.Parameter(value.to(current.dtype), requires_grad=current.requires_grad)
        setattr(parent, leaf, fresh)
    else:
        setattr(parent, leaf, value.to(current.dtype))
