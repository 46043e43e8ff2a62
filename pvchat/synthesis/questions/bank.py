"""The words of the question bank, in the manner of the paper's tables 2, 3 and 6. ``{s}`` is the subject.

Yes and no answers come in pairs that differ in nothing but the truth: no opening word is commoner on one
side, but for Yes and No themselves. Groups of subjects are in ``patterns.py``."""

from collections.abc import Mapping
from dataclasses import dataclass

from pvchat.batch import QuestionType

EXISTENCE: tuple[str, ...] = (
    "Is {s} in this video?",
    "Is {s} present in this clip?",
    "Can you see {s} here?",
    "Does {s} appear in this footage?",
    "Is there any sign of {s} in this recording?",
    "Do you recognise {s} in this video?",
    "Is {s} anywhere to be seen?",
    "Does this video show {s}?",
    "Can you find {s} in this clip?",
    "Is {s} the person in this video?",
    "Could you check whether {s} is here?",
    "Is {s} visible at any moment?",
    "Does {s} turn up in this video?",
    "Was {s} filmed in this clip?",
    "Can you tell me if {s} is shown here?",
    "Is that {s} in the video?",
    "Do any of the frames show {s}?",
    "Has {s} been recorded here?",
    "Can {s} be spotted in this footage?",
    "Does this clip feature {s}?",
    "Would you say that {s} is in this recording?",
    "Is {s} among the people in this video?",
    "Have you noticed {s} in this clip?",
    "Is the face of {s} in this video?",
    "Do you see {s} in any frame?",
    "Can you confirm that {s} is present?",
    "Is {s} part of this scene?",
    "Does the camera catch {s}?",
)
OPENED: tuple[tuple[str, str], ...] = (
    ("Yes, {s} is in this video.", "No, {s} is not in this video."),
    ("Yes, {s} is here.", "No, {s} is not here."),
    ("Yes, {s} appears in this clip.", "No, {s} does not appear in this clip."),
    ("Yes, I can see {s}.", "No, I cannot see {s}."),
    ("Yes, this video shows {s}.", "No, this video does not show {s}."),
    ("Yes, {s} is present.", "No, {s} is not present."),
    ("Yes, the person in this clip is {s}.", "No, the person in this clip is not {s}."),
    ("Yes, the footage shows {s}.", "No, the footage does not show {s}."),
    ("Yes, {s} can be seen here.", "No, {s} cannot be seen here."),
    ("Yes, I recognise {s}.", "No, I do not recognise {s}."),
)
UNOPENED: tuple[tuple[str, str], ...] = (
    ("{s} is in this video.", "{s} is not in this video."),
    ("{s} is visible.", "{s} is not visible."),
    ("{s} appears in this footage.", "{s} does not appear in this footage."),
    ("{s} can be seen in this clip.", "{s} cannot be seen in this clip."),
    ("{s} has been recorded here.", "{s} has not been recorded here."),
    ("I can see {s} here.", "I cannot see {s} here."),
    ("I can find {s} in this video.", "I cannot find {s} in this video."),
    ("I have spotted {s} in this clip.", "I have not spotted {s} in this clip."),
    ("I recognise {s} in this recording.", "I do not recognise {s} in this recording."),
    ("I can confirm that {s} is present.", "I can confirm that {s} is not present."),
    ("The video shows {s}.", "The video does not show {s}."),
    ("The clip features {s}.", "The clip does not feature {s}."),
    ("The footage contains {s}.", "The footage does not contain {s}."),
    ("This recording includes {s}.", "This recording does not include {s}."),
    ("This clip shows {s}.", "This clip shows no sign of {s}."),
    ("There is footage of {s} here.", "There is no footage of {s} here."),
)
APPEARANCE: tuple[str, ...] = (
    "What is {s} wearing?",
    "What is {s} wearing in this video?",
    "What clothes does {s} have on?",
    "Which colour are the clothes of {s}?",
    "How is {s} dressed?",
    "Can you describe the outfit of {s}?",
)
ACTION: tuple[str, ...] = (
    "What is {s} doing?",
    "What is {s} doing in this video?",
    "How does {s} move in this clip?",
    "What movement does {s} make?",
    "Can you describe what {s} does here?",
    "Which action does {s} perform?",
)
LOCATION: tuple[str, ...] = (
    "Where is {s}?",
    "Where is {s} in this video?",
    "What place is {s} in?",
    "Where was {s} filmed?",
    "What is behind {s}?",
    "Can you describe where {s} is?",
)
OPEN: dict[QuestionType, tuple[str, ...]] = {
    "appearance": APPEARANCE,
    "action": ACTION,
    "location": LOCATION,
}
ANSWERS: dict[QuestionType, tuple[str, ...]] = {
    "appearance": ("{s} is wearing {clothes}.", "{s} has {clothes} on."),
    "action": ("{s} is {doing}.", "In this clip {s} is {doing}."),
    "location": ("{s} is {place}.", "This is {s} {place}."),
}
_UNSEEN = (
    "No, {s} is not in this video",
    "{s} is not in this clip",
    "{s} does not appear here",
    "I cannot see {s} in this video",
    "I cannot find {s} in this footage",
    "This video does not show {s}",
    "There is no sign of {s} here",
    "{s} is absent",
)
_UNSAID: dict[QuestionType, tuple[str, str, str]] = {
    "appearance": ("what {s} is wearing", "how {s} is dressed", "what clothes {s} has on"),
    "action": ("what {s} is doing", "how {s} moves", "what {s} does"),
    "location": ("where {s} is", "what is behind {s}", "where {s} was filmed"),
}


@dataclass(frozen=True)
class Bank:
    """Answers to choose from: pairs that say yes and no, and for each type of open question what is said of
    somebody who is absent, and so does nothing and wears nothing."""

    present_absent: tuple[tuple[str, str], ...]
    refusals: Mapping[QuestionType, tuple[str, ...]]


FIRM = Bank(OPENED, {kind: (f"{_UNSEEN[0]}, so I cannot say {said[0]}.",) for kind, said in _UNSAID.items()})
"""Every existence answer opens with its yes or no, and refusals are all alike: what little data can teach."""
VARIED = Bank(
    OPENED + UNOPENED,
    {
        kind: tuple(f"{seen}, so I cannot say {unsaid}." for seen in _UNSEEN for unsaid in said)
        for kind, said in _UNSAID.items()
    },
)
"""In the manner of the paper: most answers open otherwise."""
