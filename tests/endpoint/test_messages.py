"""Messages: images inside, and a bound of their tokens that holds."""

import base64
import io

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from pvchat.assets import asset
from pvchat.endpoint.messages import amended, data_url, most_tokens, system, user


def picture() -> np.ndarray:
    ramp = np.arange(200, dtype=np.uint8)
    return np.stack(
        [np.tile(ramp, (100, 1)), np.full((100, 200), 90, np.uint8), np.tile(255 - ramp, (100, 1))], -1
    )


def test_a_data_url_is_the_picture() -> None:
    head, data = data_url(picture(), max_px=1000).split(",")
    assert head == "data:image/jpeg;base64"
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.int16)
    assert image.shape == (100, 200, 3)
    assert np.abs(image - picture()).mean() < 3


def test_large_frames_shrink_and_keep_their_shape() -> None:
    _, data = data_url(picture(), max_px=50).split(",")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (50, 25)
    assert data_url(picture(), max_px=50) == data_url(picture(), max_px=50)


def test_without_frames_content_is_text() -> None:
    assert user("Who?") == {"role": "user", "content": "Who?"}


def test_amended_adds_to_the_last_message_alone() -> None:
    told = [system("a"), user("b")]
    assert amended(told, "c") == [system("a"), user("b\n\nc")]
    assert told[1] == user("b")
    *_, text, added = amended([user("b", [picture()])], "c")[0]["content"]
    assert (text["text"], added["text"]) == ("b", "c")


def test_most_tokens_is_more_than_a_tokenizer_makes() -> None:
    tokenizer = Tokenizer.from_file(str(asset("smollm2-135m-instruct") / "tokenizer.json"))
    # what the template of this model says where nobody gives a system message
    unasked = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    for text in ("Who is it?", "Zoë 🙂 天地玄黄" * 20, "\x00\x01\x02" * 50, "a" * 1000, ""):
        prompt = f"<|im_start|>system\n{unasked}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n"
        ids = tokenizer.encode(f"{prompt}<|im_start|>assistant\n").ids
        assert len(ids) <= most_tokens([user(text)], tokens_per_image=0)


def test_an_image_counts_as_told() -> None:
    one, two = ([user("Who?", [picture()] * n)] for n in (1, 2))
    assert most_tokens(two, tokens_per_image=700) - most_tokens(one, tokens_per_image=700) == 700
