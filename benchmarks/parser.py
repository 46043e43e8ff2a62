"""What the presence parser makes of answers whose meaning is known: truth against reading, and each mistake.

python -m benchmarks.parser
"""

from collections import Counter

from benchmarks.presence_answers import Case, cases
from pvchat.metrics.functional.presence import parse_presence
from pvchat.reporting.table import Cell, render_table

SAYINGS: dict[bool | None, str] = {True: "yes", False: "no", None: "nothing plain"}


def main() -> None:
    known = list(cases())
    print(report(known))
    for case in known:
        if (said := parse_presence(case.answer, list(case.truth))) != case.truth:
            print(f"wrong: {case.answer!r} says {case.truth}, read as {said}")


def report(known: list[Case]) -> str:
    """Tables of (answer, person) pairs: truth against reading, and how many are read right by source."""
    pairs: Counter[tuple[bool | None, bool | None]] = Counter()
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for case in known:
        said = parse_presence(case.answer, list(case.truth))
        for name, truth in case.truth.items():
            pairs[truth, said[name]] += 1
            asked[case.source] += 1
            right[case.source] += said[name] is truth
    truths: list[list[Cell]] = [
        [f"says {word}", *(str(pairs[truth, said]) for said in SAYINGS)] for truth, word in SAYINGS.items()
    ]
    head = [f"{len(known)} answers", "read as yes", "as no", "unparsed"]
    confusion = render_table(head, truths, style="markdown")
    sources: list[list[Cell]] = [[source, str(right[source]), str(n)] for source, n in asked.items()]
    by_source = render_table(["source", "pairs read right", "of"], sources, style="markdown")
    return f"{confusion}\n\n{by_source}"


if __name__ == "__main__":
    main()
