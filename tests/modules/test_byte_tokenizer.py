import pytest

from pvchat.modules.byte_tokenizer import ByteTokenizer
from pvchat.prompts import PromptBuilder, Turn
from pvchat.subjects import SubjectRegistry


@pytest.mark.parametrize(
    "text", ["Is the man in the video?", "", "naïve 😀\n  tabs\t", "<|im|> [/PERSON]", "ß"]
)
def test_any_text_survives(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_words_are_one_token_each() -> None:
    assert len(ByteTokenizer().encode("Yes, the person is in the video.")) == 9


def test_chat_marks_are_one_token_and_can_be_hidden() -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode("<|im_start|>user<|im_end|>")
    assert len(ids) == 3
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids) == "user"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "<|im_start|>user<|im_end|>"


def test_ids_fill_the_vocabulary_once() -> None:
    tokenizer = ByteTokenizer()
    whole = [*range(131), *range(259, len(tokenizer))]  # between them: bytes that are no character alone
    texts = [tokenizer.decode([i], skip_special_tokens=False) for i in whole]
    assert len(set(texts)) == len(texts)
    assert all(tokenizer.encode(text) == [i] for i, text in zip(whole, texts, strict=True))


def test_half_a_character_reads_as_the_replacement_character() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"


def test_serves_the_prompt_builder() -> None:
    tokenizer = ByteTokenizer()
    prompts = PromptBuilder(
        tokenizer=tokenizer,
        registry=SubjectRegistry(["tom"], num_soft_tokens=2),
        vocab_size=len(tokenizer),
        template="chatml",
        tokens_per_view=4,
    )
    encoded = prompts.encode([Turn("Is <tom> here?", "Yes.")])
    assert sum(encoded.visual) == 4
    assert max(encoded.input_ids) == len(tokenizer) + 2
