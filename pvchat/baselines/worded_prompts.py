"""The paper's prompt for systems without tokens of a person's own: persons are called by plain names."""

from collections.abc import Sequence

from pvchat.prompts import Encoded, PromptBuilder
from pvchat.subjects import mentions, split_mentions


class WordedPrompts(PromptBuilder):
    """``prompts`` in plain words. ``clips_of``: before the clip that is asked about, a video of each of these
    persons is shown by name. ``slots_of``: behind it is a visual slot for each of these. ``descriptions`` of
    persons stand before the first question."""

    def __init__(
        self, prompts: PromptBuilder, *, clips_of: Sequence[str] = (), slots_of: Sequence[str] = ()
    ) -> None:
        vars(self).update(vars(prompts))
        self.clips_of, self.slots_of = tuple(clips_of), tuple(slots_of)
        self.descriptions: dict[str, str] = {}

    def _video(self, out: Encoded, with_subjects: bool) -> None:
        for name in self.clips_of if with_subjects else ():
            self._text(out, f"This is {name}: ")
            super()._video(out, with_subjects)
            self._text(out, "\n")
        if self.clips_of and with_subjects:
            self._text(out, "This is another video: ")
        super()._video(out, with_subjects)
        self._slots(out, len(self.slots_of) if with_subjects else 0)

    def _subjects(self, out: Encoded) -> None:
        for name, text in self.descriptions.items():
            self._text(out, f"{name}: {plain(text)} ")

    def _mentions(self, out: Encoded, text: str, with_subjects: bool, *, supervised: bool) -> None:
        self._text(out, plain(text) if with_subjects else plain(text, "the person"), supervised=supervised)


def plain(text: str, name: str | None = None) -> str:
    """``text`` with persons as words: their names, or all of them as ``name``."""
    return "".join(name or found[0] if (found := mentions(p)) else p for p in split_mentions(text))
