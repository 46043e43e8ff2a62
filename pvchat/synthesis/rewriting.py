"""Answers made personal: "the man", "he" become the subject. By rules, or by a language model."""

import hashlib
import logging
from dataclasses import dataclass

from pvchat.endpoint import Endpoint, Failure, Message, system, together, user
from pvchat.errors import UserError
from pvchat.subjects import mention, mentions
from pvchat.synthesis.person_words import Gender
from pvchat.synthesis.references import personalised
from pvchat.synthesis.roles import Adapter, AnswerRewriter

_log = logging.getLogger(__name__)
_VERSION = "rewriting-1"
_PROMPT = """\
You edit answers about a video so that they name one particular person. The answers were written by somebody \
who did not know the person and says "the man", "a woman", "the person", "he", "her", "they" or the like.

In your version
- each word that stands for this person is replaced by the name {name}, spelled exactly so, angle brackets \
included; possessives become {name}'s, and verbs agree with one person;
- words about other people, or about things, stay as they are;
- nothing else changes: no fact is added, dropped or corrected;
- an answer that does not speak of the person is given back unchanged."""


class RuleRewriter:
    """English rules for one subject, whose ``gender`` helps where an answer tells of several people. Where
    it is unclear who is meant, the word stays. An answer to a question about several subjects stays whole."""

    def __init__(self, *, gender: Gender | None = None) -> None:
        self.gender = gender
        self.adapter = Adapter("rules", "1", "Apache-2.0", True, f"rules-1-{gender}")

    def rewrite(self, question: str, answer: str, *, subject: str) -> str:
        if set(mentions(question)) - {subject}:
            return answer
        return personalised(answer, subject, gender=self.gender)


@dataclass(frozen=True)
class Rewritten:
    answer: str


class EndpointRewriter:
    """A language model does it. ``fallback`` answers where the endpoint cannot, and each time is logged and
    counted in ``fallbacks``; without one the failure is raised. ``licence`` and ``commercial`` are for the
    user to say: they are terms of the endpoint."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        fallback: AnswerRewriter | None = None,
        licence: str = "terms of the endpoint",
        commercial: bool = False,
    ) -> None:
        self.endpoint, self.fallback, self.fallbacks = endpoint, fallback, 0
        digest = hashlib.sha256(f"{_VERSION} {_PROMPT} {endpoint.model} {endpoint.temperature}".encode())
        self.adapter = Adapter("endpoint", endpoint.model, licence, commercial, digest.hexdigest())

    def check(self) -> None:
        """Raises UserError where nobody answers at the endpoint and there is no fallback."""
        if self.fallback is None:
            self.endpoint.check()

    def rewrite(self, question: str, answer: str, *, subject: str) -> str:
        """Raises UserError when there is no usable version and no fallback."""
        known, name = {subject, *mentions(question), *mentions(answer)}, mention(subject)

        def check(new: Rewritten) -> None:
            if not new.answer.strip():
                raise ValueError("answer: it is empty")
            if unknown := [n for n in mentions(new.answer) if n not in known]:
                raise ValueError(f"answer: it names {mention(unknown[0])}, who is nobody here")
            if name not in new.answer and personalised(new.answer, subject) != new.answer:
                raise ValueError(f"answer: {name} is not in it")
            if len(new.answer) > 2 * len(answer) + 100:
                raise ValueError("answer: it is much longer than the original")

        try:
            messages = rewriting_prompt(question, answer, subject=subject)
            new = self.endpoint.ask(messages, version=_VERSION, form=Rewritten, check=check)
            return new.answer.strip()
        except UserError as error:
            if self.fallback is None:
                raise
            self.fallbacks += 1
            _log.warning("%s rewrites %r instead: %s", self.fallback.adapter.name, answer, error)
            return self.fallback.rewrite(question, answer, subject=subject)


def rewriting_prompt(question: str, answer: str, *, subject: str) -> list[Message]:
    name = mention(subject)
    return [system(_PROMPT.format(name=name)), user(f"Question: {question}\nAnswer: {answer}")]


def rewrite_all(
    rewriter: AnswerRewriter, pairs: list[tuple[str, str]], *, subject: str, at_once: int = 4
) -> list[str | Failure]:
    """Answers of ``pairs`` (question, answer) in order; a ``Failure`` where there is none."""
    return together(lambda pair: rewriter.rewrite(*pair, subject=subject), pairs, at_once=at_once)
