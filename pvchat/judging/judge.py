"""A language model as judge: ratings by a rubric, through any OpenAI-compatible endpoint."""

from collections.abc import Sequence

from pvchat.endpoint import Endpoint, Failure
from pvchat.errors import UserError
from pvchat.judging.items import Item, Rating
from pvchat.judging.quoting import Quotation, judging_prompt, quoted
from pvchat.judging.rubrics import Rubric, Verdict

_VERSION = "judging-1"


class Judge:
    """Rates by ``rubric`` with the model behind ``endpoint``, which caches, retries and keeps the budget.

    The judge sees texts alone, no video: the reference and who is on screen stand for it. ``most_chars`` is
    how much of each text it is shown; what is cut is said in the reason."""

    def __init__(self, *, rubric: Rubric, endpoint: Endpoint, most_chars: int = 2000) -> None:
        if most_chars < 1:
            raise UserError(f"most_chars must be >= 1: got {most_chars}.")
        temperature = endpoint.extra.get("temperature", endpoint.temperature)
        if temperature:
            raise UserError(
                f"a judge needs temperature 0, or its scores are drawn: got {temperature}. Set it to 0, or "
                'extra={"temperature": None} for a model that takes none.'
            )
        self.rubric, self.endpoint, self.most_chars = rubric, endpoint, most_chars

    def rate(self, items: Sequence[Item]) -> list[Rating]:
        """A rating of each item, in order. An item the endpoint gives no score for (dead, budget spent,
        nonsense) is unscored with the reason; a later call, with an endpoint that works, pays for those
        alone. An empty answer has the lowest score and is not asked about."""
        ruled = [self._by_rule(item) for item in items]
        shown = [
            quoted(item, most_chars=self.most_chars)
            for item, rating in zip(items, ruled, strict=True)
            if rating is None
        ]
        prompts = [judging_prompt(self.rubric, quotation) for quotation in shown]
        verdicts = self.endpoint.ask_all(prompts, version=_VERSION, form=self.rubric.form)
        judged = zip(shown, verdicts, strict=True)
        return [rating or _rating(item, *next(judged)) for item, rating in zip(items, ruled, strict=True)]

    def _by_rule(self, item: Item) -> Rating | None:
        if item.answer is None:
            return Rating(item.id, None, "no answer was written")
        if not item.answer.strip():
            return Rating(item.id, float(self.rubric.lowest), "the answer is empty")
        if not item.reference.strip():
            return Rating(item.id, None, "there is no reference to judge by")
        return None


def _rating(item: Item, quotation: Quotation, verdict: Verdict | Failure) -> Rating:
    if isinstance(verdict, Failure):
        return Rating(item.id, None, verdict.reason)
    cuts = f"({'; '.join(quotation.cuts)}) " if quotation.cuts else ""
    return Rating(item.id, float(verdict.score), cuts + verdict.reason)
