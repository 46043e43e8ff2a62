"""Rewriters: a table of sentences for the rules, the model's version checked, failures never silent."""

import pytest
from openai_server import Reply, Server, in_turn, last_text

from pvchat.endpoint import Endpoint, Failure
from pvchat.errors import UserError
from pvchat.synthesis.rewriting import EndpointRewriter, RuleRewriter, rewrite_all

ONE_PERSON = {
    "The man is wearing a blue shirt.": "<tom> is wearing a blue shirt.",
    "The woman is sitting at a desk.": "<tom> is sitting at a desk.",
    "The person is smiling.": "<tom> is smiling.",
    "the man is talking.": "<tom> is talking.",
    "A man is riding a bicycle.": "<tom> is riding a bicycle.",
    "An elderly woman is knitting.": "<tom> is knitting.",
    "The young, bearded man is nodding.": "<tom> is nodding.",
    "A middle-aged man with glasses is reading.": "<tom> with glasses is reading.",
    "The individual stands near a window.": "<tom> stands near a window.",
    "Someone is cooking in a kitchen.": "<tom> is cooking in a kitchen.",
    "He is standing in a park.": "<tom> is standing in a park.",
    "She waves at the camera.": "<tom> waves at the camera.",
    "Yes, he is here.": "Yes, <tom> is here.",
    "No, she is not smiling.": "No, <tom> is not smiling.",
    "I can see a man.": "I can see <tom>.",
    "There is a woman in the video.": "There is <tom> in the video.",
    "The video shows a man in a suit.": "The video shows <tom> in a suit.",
    "The man in the video is wearing a hat.": "<tom> is wearing a hat.",
    "The woman seen in this clip has long hair.": "<tom> has long hair.",
    "The man's shirt is red.": "<tom>'s shirt is red.",
    "The person\u2019s jacket is black.": "<tom>'s jacket is black.",
    "The man's clothing is casual.": "<tom>'s clothing is casual.",
    "The man's holding a cup.": "<tom> is holding a cup.",
    "His shirt is red.": "<tom>'s shirt is red.",
    "Her hair is long and dark.": "<tom>'s hair is long and dark.",
    "The hat is his.": "The hat is <tom>'s.",
    "The red bag is hers.": "The red bag is <tom>'s.",
    "She holds her phone in her left hand.": "<tom> holds <tom>'s phone in <tom>'s left hand.",
    "The camera follows her.": "The camera follows <tom>.",
    "The camera follows her through the park.": "The camera follows <tom> through the park.",
    "The wall behind her is white.": "The wall behind <tom> is white.",
    "A dog jumps at her happily.": "A dog jumps at <tom> happily.",
    "Her slightly curly hair is brown.": "<tom>'s slightly curly hair is brown.",
    "The light makes her down jacket shine.": "The light makes <tom>'s down jacket shine.",
    "The crane lifts her up.": "The crane lifts <tom> up.",
    "A book lies in front of him.": "A book lies in front of <tom>.",
    "The man raises his arm and he laughs.": "<tom> raises <tom>'s arm and <tom> laughs.",
    "He's wearing a scarf.": "<tom> is wearing a scarf.",
    "She's got a red bag.": "<tom> has got a red bag.",
    "He'll sit down.": "<tom> will sit down.",
    "She\u2019d like to leave.": "<tom> would like to leave.",
    "The man looks at himself in a mirror.": "<tom> looks at <tom> in a mirror.",
    "She sits by herself on a bench.": "<tom> sits alone on a bench.",
    "They are wearing a green coat.": "<tom> is wearing a green coat.",
    "The person is outdoors. They walk slowly.": "<tom> is outdoors. <tom> walks slowly.",
    "They slowly carry a box.": "<tom> slowly carries a box.",
    "They have short hair.": "<tom> has short hair.",
    "They were laughing.": "<tom> was laughing.",
    "They can be seen at a table.": "<tom> can be seen at a table.",
    "They sat down.": "<tom> sat down.",
    "They're in a gym.": "<tom> is in a gym.",
    "They've moved to a door.": "<tom> has moved to a door.",
    "They aren't happy.": "<tom> isn't happy.",
    "They carry a box.": "<tom> carries a box.",
    "They watch a film.": "<tom> watches a film.",
    "Their coat is long.": "<tom>'s coat is long.",
    "The person is in an office with a lamp behind them.": "<tom> is in an office with a lamp behind <tom>.",
    "The male speaker wears a tie.": "<tom> wears a tie.",
    "The person, who is seated, turns the page.": "<tom>, who is seated, turns the page.",
    "This man is running.": "<tom> is running.",
    "The woman is in a café. She\u2019s “happy”.": "<tom> is in a café. <tom> is “happy”.",
    "He is a man in a suit. He nods.": "<tom> is a man in a suit. <tom> nods.",
    "The person appears to be a woman. She nods.": "<tom> appears to be a woman. <tom> nods.",
    "The person sits with their arms crossed. They nod.": "<tom> sits with <tom>'s arms crossed. <tom> nods.",
    "THE MAN SMILES.": "<tom> SMILES.",
}
OTHERS_STAY = {
    "She is standing with a man behind her.": "<tom> is standing with a man behind <tom>.",
    "The woman is seated; a woman stands behind her.": "<tom> is seated; a woman stands behind <tom>.",
    "The man is talking to a woman. She is laughing.": "<tom> is talking to a woman. She is laughing.",
    "The man is talking to a woman. He nods at her.": "<tom> is talking to a woman. <tom> nods at her.",
    "He sits next to a man.": "<tom> sits next to a man.",
    "The man hugs the woman.": "<tom> hugs the woman.",
    "The man is with another man. He is laughing.": "<tom> is with another man. He is laughing.",
    "The man smiles while the other man reads.": "<tom> smiles while the other man reads.",
    "She is holding her son. He is crying.": "<tom> is holding <tom>'s son. He is crying.",
    "He is walking with his wife.": "<tom> is walking with <tom>'s wife.",
    "Talking to a woman.": "Talking to a woman.",
    "Hugging a child.": "Hugging a child.",
    "The person is talking to a woman. She is tall.": "<tom> is talking to a woman. She is tall.",
    "Two men are talking. They are in a bar.": "Two men are talking. They are in a bar.",
    "Two men talk. The man on the left wears red.": "Two men talk. The man on the left wears red.",
    "The man is in a crowd of people. They clap.": "<tom> is in a crowd of people. They clap.",
    "Next to the man is a man. He nods.": "Next to <tom> is a man. He nods.",
    "<tom> hugs the man.": "<tom> hugs the man.",
    "The man hugs the man while the man waves.": "<tom> hugs the man while <tom> waves.",
    "He has two dogs. They are white.": "<tom> has two dogs. They are white.",
    "The person wears boots. They are brown.": "<tom> wears boots. They are brown.",
    "The person wears boots. They are running.": "<tom> wears boots. <tom> is running.",
    "The person picks flowers and smells them.": "<tom> picks flowers and smells them.",
    "The man on the left is talking to the man on the right.":
        "<tom> on the left is talking to the man on the right.",
    "There is no man in the video.": "There is no man in the video.",
    "<ann> is here. A man is behind her.": "<ann> is here. A man is behind her.",
}  # fmt: skip
NOBODY = [
    "A blue shirt.",
    "Yes.",
    "There is a man-made lake in the park.",
    "It shows the human body.",
    "The theme and the weather are there, not here.",
    "The subject of the talk is unclear.",
    "<tom> is in this video.",
    "",
]


@pytest.mark.parametrize(("answer", "expected"), (ONE_PERSON | OTHERS_STAY).items())
def test_rules(answer: str, expected: str) -> None:
    rewriter = RuleRewriter()
    assert rewriter.rewrite("What is <tom> doing?", answer, subject="tom") == expected


@pytest.mark.parametrize("answer", NOBODY)
def test_what_speaks_of_nobody_stays(answer: str) -> None:
    assert RuleRewriter().rewrite("What is <tom> doing?", answer, subject="tom") == answer


@pytest.mark.parametrize("answer", [*ONE_PERSON.values(), *OTHERS_STAY.values()])
def test_what_is_personal_stays(answer: str) -> None:
    if "<ann>" not in answer and "<tom>" in answer:
        assert RuleRewriter().rewrite("?", answer, subject="tom") == answer


def test_the_gender_tells_who_is_meant() -> None:
    answer = "A man and a woman are talking. She wears a red dress."
    women = RuleRewriter(gender="female").rewrite("?", answer, subject="ann")
    assert women == "A man and <ann> are talking. <ann> wears a red dress."
    men = RuleRewriter(gender="male").rewrite("?", answer, subject="tom")
    assert men == "<tom> and a woman are talking. She wears a red dress."


def test_names_with_spaces_are_mentions_too() -> None:
    assert (
        RuleRewriter().rewrite("?", "His hat is red.", subject="Mary O'Neil") == "<Mary O'Neil>'s hat is red."
    )


def test_questions_about_several_subjects_are_left_alone() -> None:
    assert RuleRewriter().rewrite("Are <tom> and <ann> here?", "He is here.", subject="tom") == "He is here."


def rewriter_at(server: Server, cache, **options) -> EndpointRewriter:
    endpoint = Endpoint(model="m", base_url=server.url, api_key="k", cache_dir=cache, first_wait_s=0.01)
    return EndpointRewriter(endpoint=endpoint, **options)


def test_a_model_is_told_the_name_and_answers_in_json(tmp_path) -> None:
    with Server(in_turn('{"answer": "<tom> läuft."}')).running() as server:
        rewriter = rewriter_at(server, tmp_path)
        assert rewriter.rewrite("What is <tom> doing?", "He runs.", subject="tom") == "<tom> läuft."
        first, last = server.requests[0]["messages"]
        assert "replaced by the name <tom>" in first["content"]
        assert last["content"].startswith("Question: What is <tom> doing?\nAnswer: He runs.")
        assert rewriter.rewrite("What is <tom> doing?", "He runs.", subject="tom") == "<tom> läuft."
        assert len(server.requests) == 1
    assert rewriter.adapter.version == "m"
    assert not rewriter.adapter.commercial


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ('{"answer": " "}', "it is empty"),
        ('{"answer": "The man runs."}', "<tom> is not in it"),
        ('{"answer": "<bob> runs."}', "it names <bob>, who is nobody here"),
        ('{"answer": "' + "<tom> runs. " * 20 + '"}', "much longer than the original"),
    ],
)
def test_a_version_that_will_not_do_is_asked_for_again(tmp_path, bad: str, why: str) -> None:
    with Server(in_turn(bad, '{"answer": "<tom> runs."}')).running() as server:
        assert rewriter_at(server, tmp_path).rewrite("?", "He runs.", subject="tom") == "<tom> runs."
        assert why in last_text(server.requests[1])


def test_falling_back_is_chosen_and_said(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    with Server(in_turn(Reply("too long", status=400))).running() as server:
        with pytest.raises(UserError, match="answers 400"):
            rewriter_at(server, tmp_path).rewrite("?", "He runs.", subject="tom")
        rewriter = rewriter_at(server, tmp_path, fallback=RuleRewriter())
        assert rewriter.rewrite("?", "He runs.", subject="tom") == "<tom> runs."
    assert rewriter.fallbacks == 1
    assert "rules rewrites 'He runs.' instead: " in caplog.text


def test_many_answers_keep_their_order_and_list_what_failed(tmp_path) -> None:
    def answer(request):
        text = last_text(request)
        return Reply("no", status=400) if "She" in text else Reply('{"answer": "<tom> %s."}' % ("He" in text))

    with Server(answer).running() as server:
        pairs = [("?", "He runs."), ("?", "She runs."), ("?", "It runs.")]
        results = rewrite_all(rewriter_at(server, tmp_path), pairs, subject="tom", at_once=2)
    assert results[::2] == ["<tom> True.", "<tom> False."]
    assert isinstance(results[1], Failure)
