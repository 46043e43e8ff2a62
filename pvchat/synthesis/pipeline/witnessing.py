"""Who answers the questions about a clip."""

from typing import Any

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import decode
from pvchat.synthesis.pipeline.recipe import Part, Recipe
from pvchat.synthesis.questions.witnesses import CaptionedClip, Facts, FirstOf, Witness
from pvchat.synthesis.rewriting import RuleRewriter


def witness_of(part: Part, recipe: Recipe, record: Record, scene: Any) -> Witness | None:
    """Who answers questions about a clip: what was commanded, and of the rest what a captioner sees; of a
    generated clip it sees all, since generators may not obey."""
    facts: Facts | None = part.studio.tell(scene).facts
    seen = captioned(recipe, record)
    if facts is None or seen is None:
        return seen or facts
    return seen if part.studio.origin == "generated" else FirstOf((facts, seen))


def captioned(recipe: Recipe, record: Record) -> Witness | None:
    """A captioner that looks at the clip of ``record``; None where the recipe has none."""
    if recipe.captioner is None:
        return None
    frames = decode(record.path, num_frames=8, start_s=record.start_s, end_s=record.end_s).frames
    return CaptionedClip(frames, recipe.captioner, recipe.rewriter or RuleRewriter())
