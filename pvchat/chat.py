"""``pvchat chat``: a conversation about a clip with streamed answers."""

import argparse
import io
import sys
from collections.abc import Iterable, Iterator

from pvchat.batch import Features
from pvchat.errors import UserError
from pvchat.loading import PersonalModel, load_run
from pvchat.prompts import Turn

HELP = "/clip FILE changes the clip, /reset forgets the history, /quit ends."


class Conversation:
    """Keeps the clip and the turns; every answer sees the whole history."""

    def __init__(self, model: PersonalModel, clip: str, *, max_new_tokens: int = 64) -> None:
        self.model, self.max_new_tokens = model, max_new_tokens
        self.features: Features = model.look(clip)
        self.turns: list[Turn] = []

    def show(self, clip: str) -> None:
        """Change the clip; what was said about the last one is forgotten."""
        self.features = self.model.look(clip)
        self.turns = []

    def ask(self, text: str) -> Iterator[str]:
        """Stream the answer; plain names of subjects are understood as the subjects."""
        question = self.model.chat.registry.link(text.encode(errors="replace").decode())
        batch = self.model.batch(self.features, question)
        pieces: list[str] = []
        for piece in self.model.chat.stream(
            batch, [*self.turns, Turn(question)], max_new_tokens=self.max_new_tokens
        ):
            pieces.append(piece)
            yield piece.replace("<", "").replace(">", "")
        self.turns.append(Turn(question, "".join(pieces)))


def main(options: argparse.Namespace) -> None:
    conversation = Conversation(load_run(options.run), options.clip, max_new_tokens=options.max_new_tokens)
    if options.ask is not None:
        _say(conversation.ask(options.ask))
        return
    names = ", ".join(conversation.model.chat.registry.names)
    print(f"Ask about {options.clip} (I know {names}). {HELP}")
    for line in _lines():
        _obey(conversation, line)


def _obey(conversation: Conversation, line: str) -> None:
    command, _, argument = line.partition(" ")
    try:
        if command == "/clip":
            clip = _unquoted(argument.strip())
            if not clip:
                raise UserError("give a file: /clip FILE")
            conversation.show(clip)
            print(f"Now watching {clip}.")
        elif command == "/reset":
            conversation.turns = []
            print("History forgotten.")
        elif command.startswith("/"):
            print(HELP)
        elif line:
            _say(conversation.ask(line))
    except UserError as error:  # a wrong file or name must not end the conversation
        print(f"error: {error}", file=sys.stderr)


def _unquoted(text: str) -> str:
    """Names with spaces are often quoted, as in a shell; here they need not be."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def _lines() -> Iterator[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a stray byte must not end the conversation
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        if line == "/quit":
            return
        yield line


def _say(pieces: Iterable[str]) -> None:
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
