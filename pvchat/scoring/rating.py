"""What each answer is worth beyond right and wrong: ES and DC of judges, proxies by rule, BERTScore."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pvchat.evaluation import Prediction, signatures
from pvchat.judging import Agreement, Item, Judge, Rating, agreement, detail_proxy, entity_proxy
from pvchat.metrics.functional.bert_score import TextEncoder, bert_scores
from pvchat.scoring.scorecard import Ratings


@dataclass(frozen=True)
class Rated:
    """``ratings`` by metric, how far judges of one rubric agree, and ``signatures`` of what was computed."""

    ratings: Ratings
    agreements: dict[str, Agreement] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, str]:
        """A sentence on each pair of judges."""
        return {
            pair: f"equal {a.exact:.2f}, within one {a.within_one:.2f}, kappa {a.kappa:.2f}, Spearman "
            f"{a.spearman:.2f}, {a.items} answers"
            for pair, a in self.agreements.items()
        }


def rate(
    predictions: Sequence[Prediction], *, judges: Sequence[Judge] = (), encoder: TextEncoder | None = None
) -> Rated:
    """Rate the main answers. Metrics are named by rubric and judge (``es_1to5_gpt-4o``), or by encoder
    (``bertscore_minilm_f1``); without judges there are proxies under their own names."""
    main = [p for p in predictions if p.control == "main" and p.answer is not None]
    items = [Item(p.id, p.question, p.reference, p.answer, p.subjects, p.presence) for p in main]
    given: dict[str, list[Rating]] = (
        {_name(judge): judge.rate(items) for judge in judges}
        if judges
        else {"entity_proxy": entity_proxy(items), "detail_proxy": detail_proxy(items)}
    )
    ratings: dict[str, dict[str, float | None]] = {
        name: {rating.id: rating.score for rating in some}
        for name, some in given.items()
        if judges or any(rating.score is not None for rating in some)  # rules may have nothing to say
    }
    if encoder is not None and main:
        scores = bert_scores([p.answer or "" for p in main], [p.reference for p in main], encoder)
        ratings[f"bertscore_{encoder.name}_f1"] = dict(
            zip((p.id for p in main), scores[:, 2].tolist(), strict=True)
        )
    agreements = {
        f"{_name(a)} and {_name(b)}": agreement(given[_name(a)], given[_name(b)])
        for a, b in combinations(judges, 2)
        if a.rubric == b.rubric
    }
    signed = {f"bertscore_{encoder.name}": encoder.signature} if encoder is not None else {}
    return Rated(ratings, agreements, signatures() | signed)


def _name(judge: Judge) -> str:
    return f"{judge.rubric.name}_{judge.endpoint.model}"
