"""Questions that name nobody: about any clip, and of general knowledge with one short answer."""

from typing import NamedTuple


class Known(NamedTuple):
    """A question with the answers that are right, any of them; the first is the usual one."""

    question: str
    answers: tuple[str, ...]


ABOUT_CLIPS = (
    "What is shown in this video?",
    "How many people are there?",
    "What colour is the background?",
    "Where does it take place?",
)

GENERAL_KNOWLEDGE = tuple(
    Known(question, tuple(answers.split("|")))
    for question, answers in (
        ("What is the capital of France?", "Paris"),
        ("What is the capital of Italy?", "Rome"),
        ("What is the capital of Japan?", "Tokyo"),
        ("What is the capital of Germany?", "Berlin"),
        ("What is the capital of Russia?", "Moscow"),
        ("What is the capital of Egypt?", "Cairo"),
        ("On which continent is Kenya?", "Africa"),
        ("Which is the largest ocean on Earth?", "Pacific"),
        ("Which is the largest planet of the solar system?", "Jupiter"),
        ("Which planet is known as the red planet?", "Mars"),
        ("Which star does the Earth orbit?", "Sun"),
        ("What is 2 + 2?", "4|four"),
        ("What is 3 + 5?", "8|eight"),
        ("What is 10 - 4?", "6|six"),
        ("What is 6 times 7?", "42|forty-two"),
        ("How many days are in a week?", "7|seven"),
        ("How many months are in a year?", "12|twelve"),
        ("How many legs does a spider have?", "8|eight"),
        ("How many sides does a triangle have?", "3|three"),
        ("How many minutes are in an hour?", "60|sixty"),
        ("What colour is a ripe banana?", "yellow"),
        ("What colour is grass?", "green"),
        ("What colour is fresh snow?", "white"),
        ("What colour do you get when you mix blue and yellow?", "green"),
        ("What is the opposite of hot?", "cold"),
        ("What is the opposite of up?", "down"),
        ("What is the past tense of the verb go?", "went"),
        ("Which language is spoken in Brazil?", "Portuguese"),
        ("Who wrote Romeo and Juliet?", "Shakespeare"),
        ("What is the chemical symbol of gold?", "Au"),
        ("What is frozen water called?", "ice"),
        ("What do bees make?", "honey"),
        ("Which animal barks?", "dog|dogs"),
        ("What is a young cat called?", "kitten"),
    )
)
