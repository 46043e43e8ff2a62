"""The bridge from vision to language: learned queries that read the clip (BLIP-2's Q-former, BERT inside)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.attention.base import Attention, AttentionFactory, AttentionOutput, linear
from pvchat.routing import Routing


@dataclass(frozen=True)
class QFormerOutput:
    """``hidden`` (B, Q, D), zero where ``mask`` (B, Q) is False (queries of persons not asked about);
    ``routings`` by module, e.g. ``layer6.self``, ``layer6.cross``; ``text_hidden`` (B, S, D), if any."""

    hidden: Tensor
    mask: Tensor
    routings: dict[str, Routing]
    text_hidden: Tensor | None = None


class QFormer(nn.Module):
    """Queries attend to each other and to the visual tokens of a clip.

    Q = ``num_query_tokens + num_persons * num_personal_query_tokens``: shared queries first, then person 0,
    person 1 and so on. Layers from ``first_routed_layer`` on are built by ``routed`` (None: all are dense).
    Cross-attention is in every ``cross_attention_every``-th layer. ``drop_path`` grows linearly from 0 in the
    first layer. With ``text_input`` the layers have BLIP-2's second feed-forward network, for text.
    ``init_std`` is BERT's; with ``width ** -0.5`` and a context of unit scale, what is read weighs as much as
    the query that reads it. Patches of the embedded ViT (root mean square 2.6) then outweigh it."""

    def __init__(
        self,
        context_width: int,
        num_persons: int,
        *,
        width: int,
        num_layers: int,
        intermediate_width: int,
        num_query_tokens: int,
        num_personal_query_tokens: int,
        dense: AttentionFactory,
        routed: AttentionFactory | None = None,
        first_routed_layer: int = 0,
        cross_attention_every: int = 2,
        dropout: float = 0.1,
        drop_path: float = 0.0,
        text_input: bool = False,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        if min(num_layers, num_persons, cross_attention_every) < 1:
            raise UserError(
                "num_layers, num_persons and cross_attention_every must be >= 1: got "
                f"{num_layers}, {num_persons}, {cross_attention_every}."
            )
        if min(num_query_tokens, num_personal_query_tokens) < 0 or not (
            num_query_tokens + num_personal_query_tokens
        ):
            raise UserError(
                "num_query_tokens and num_personal_query_tokens must be >= 0 and not both 0: got "
                f"{num_query_tokens}, {num_personal_query_tokens}."
            )
        if routed is not None and not 0 <= first_routed_layer < num_layers:
            raise UserError(
                f"first_routed_layer must be in [0, num_layers): got {first_routed_layer}, "
                f"num_layers={num_layers}. For a Q-former without routing set routed to null."
            )
        self.query_tokens = nn.Parameter(torch.empty(num_query_tokens, width).normal_(std=0.02))
        self.personal_query_tokens = nn.Parameter(
            torch.empty(num_persons, num_personal_query_tokens, width).normal_(std=0.02)
        )
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList()
        for i in range(num_layers):
            attention = dense if routed is None or i < first_routed_layer else routed
            self.layers.append(
                QFormerLayer(
                    width=width,
                    intermediate_width=intermediate_width,
                    self_attention=attention(width, width),
                    cross_attention=None if i % cross_attention_every else attention(width, context_width),
                    dropout=dropout,
                    drop_path=drop_path * i / max(1, num_layers - 1),
                    text_input=text_input,
                )
            )
        self.width, self.text_input, self.routed = width, text_input, routed is not None
        self._widen(init_std)

    @torch.no_grad()
    def _widen(self, init_std: float) -> None:
        """From BERT's standard deviation of weights to ``init_std``; routers keep their own start."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and "router" not in name.split("."):
                module.weight.mul_(init_std / 0.02)

    @property
    def num_queries(self) -> int:
        persons, personal, _ = self.personal_query_tokens.shape
        return len(self.query_tokens) + persons * personal

    def forward(
        self,
        context: Tensor,
        *,
        context_mask: Tensor | None = None,
        person_mask: Tensor | None = None,
        text_embeds: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> QFormerOutput:
        """Read ``context`` (B, K, Dc); ``context_mask`` (B, K) is True at tokens that show something.

        ``person_mask`` (B, P) is True for persons asked about, None for all: the queries of the others are
        seen by nobody, count nowhere and get no gradient. ``text_embeds`` (B, S, D) are word plus position
        embeddings, ``text_mask`` (B, S) is False at padding; text and queries see each other."""
        query_mask = self.query_mask(person_mask, len(context))
        queries = torch.cat([self.query_tokens, self.personal_query_tokens.flatten(0, 1)])
        x = queries.expand(len(context), -1, -1)
        mask = query_mask
        if text_embeds is not None:
            if not self.text_input:
                raise UserError(
                    "text_embeds need the text feed-forward networks: build QFormer with text_input=True."
                )
            if text_mask is None:
                text_mask = query_mask.new_ones(text_embeds.shape[:2])
            x, mask = torch.cat([x, text_embeds], 1), torch.cat([query_mask, text_mask], 1)
        keys = None if person_mask is None and text_embeds is None else mask
        x = self.dropout(self.norm(x))
        routings: dict[str, Routing] = {}
        for i, layer in enumerate(self.layers):
            x, found = layer(x, self.num_queries, keys, context, context_mask)
            for name, routing in found.items():
                counted = mask[:, : routing.logits.shape[1]]
                routings[f"layer{i}.{name}"] = routing if keys is None else replace(routing, mask=counted)
        hidden, text_hidden = x[:, : self.num_queries], x[:, self.num_queries :]
        if person_mask is not None:
            hidden = hidden.masked_fill(~query_mask.unsqueeze(-1), 0.0)
        return QFormerOutput(hidden, query_mask, routings, None if text_embeds is None else text_hidden)

    def query_mask(self, person_mask: Tensor | None, batch_size: int) -> Tensor:
        """(B, P) persons asked about -> (B, Q) queries in use."""
        persons, personal, _ = self.personal_query_tokens.shape
        device = self.query_tokens.device
        if person_mask is None:
            return torch.ones(batch_size, self.num_queries, dtype=torch.bool, device=device)
        if person_mask.shape != (batch_size, persons):
            raise ValueError(
                f"person_mask must be (B, P) = {(batch_size, persons)}: got {tuple(person_mask.shape)}."
            )
        shared = torch.ones(batch_size, len(self.query_tokens), dtype=torch.bool, device=device)
        return torch.cat([shared, person_mask.to(device, torch.bool).repeat_interleave(personal, 1)], 1)


class QFormerLayer(nn.Module):
    """BERT's layer (post-norm) with cross-attention, and a feed-forward network per kind of token."""

    def __init__(
        self,
        *,
        width: int,
        intermediate_width: int,
        self_attention: Attention,
        cross_attention: Attention | None,
        dropout: float,
        drop_path: float,
        text_input: bool,
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.self_norm = AddNorm(width, dropout=dropout, drop_path=drop_path)
        self.cross_attention = cross_attention
        if cross_attention is not None:
            self.cross_norm = AddNorm(width, dropout=dropout, drop_path=drop_path)
        self.ffn = feed_forward(width, intermediate_width)
        self.ffn_norm = AddNorm(width, dropout=dropout, drop_path=drop_path)
        if text_input:
            self.text_ffn = feed_forward(width, intermediate_width)
            self.text_ffn_norm = AddNorm(width, dropout=dropout, drop_path=drop_path)

    def forward(
        self, x: Tensor, num_queries: int, mask: Tensor | None, context: Tensor, context_mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Routing]]:
        """x (B, Q + S, D): queries, then text, which skips cross-attention. Also returns the routings."""
        routings: dict[str, Routing] = {}
        attended: AttentionOutput = self.self_attention(x, mask=mask)
        if attended.routing is not None:
            routings["self"] = attended.routing
        x = self.self_norm(x, attended.output)
        queries, text = x[:, :num_queries], x[:, num_queries:]
        if self.cross_attention is not None:
            attended = self.cross_attention(queries, context, context_mask)
            if attended.routing is not None:
                routings["cross"] = attended.routing
            queries = self.cross_norm(queries, attended.output)
        queries = self.ffn_norm(queries, self.ffn(queries))
        if text.shape[1]:
            text = self.text_ffn_norm(text, self.text_ffn(text))
            queries = torch.cat([queries, text], 1)
        return queries, routings


class AddNorm(nn.Module):
    """``LayerNorm(x + update)``, with dropout of values and of whole samples (drop path) on the update."""

    def __init__(self, width: int, *, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = drop_path

    def forward(self, x: Tensor, update: Tensor) -> Tensor:
        update = self.dropout(update)
        if self.training and self.drop_path:
            keep = 1.0 - self.drop_path
            update = update * update.new_empty(len(update), 1, 1).bernoulli_(keep) / keep
        output: Tensor = self.norm(x + update)
        return output


def feed_forward(width: int, intermediate_width: int) -> nn.Sequential:
    return nn.Sequential(linear(width, intermediate_width), nn.GELU(), linear(intermediate_width, width))
