"""A real small language model behind an OpenAI-compatible server: the embedded SmolLM2-135M-Instruct.

JSON schemas of flat objects are enforced: the model fills in the values, the server writes the rest."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import torch
from openai_server import Reply
from transformers import AutoModelForCausalLM, AutoTokenizer

from pvchat.assets import asset


class LanguageServer:
    """Answers of the model, greedy, as ``openai_server.Server`` takes them; one at a time."""

    def __init__(self) -> None:
        folder = asset("smollm2-135m-instruct")
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._alone = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> Reply:
        if "messages" not in request:
            return Reply(body=json.dumps({"object": "list", "data": [{"id": "smollm2", "object": "model"}]}))
        prompt = self.tokenizer.apply_chat_template(
            request["messages"], add_generation_prompt=True, tokenize=False
        )
        schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
        with self._alone, torch.inference_mode():
            if schema is None:
                text, finish = self._continue(prompt, request["max_tokens"])
            else:
                text, finish = self._fill(prompt, schema), "stop"
        return Reply(text, finish=finish, usage=(self._count(prompt), self._count(text)))

    def _continue(self, prompt: str, most: int, *, until: str | None = None) -> tuple[str, str]:
        ids = self.tokenizer(prompt, return_tensors="pt")
        options = {"stop_strings": [until], "tokenizer": self.tokenizer} if until else {}
        out = self.model.generate(**ids, max_new_tokens=most, do_sample=False, pad_token_id=2, **options)
        new = out[0, ids["input_ids"].shape[1] :]
        is_cut = len(new) == most and int(new[-1]) != self.tokenizer.eos_token_id
        return str(self.tokenizer.decode(new, skip_special_tokens=True)), "length" if is_cut else "stop"

    def _fill(self, prompt: str, schema: dict[str, Any]) -> str:
        text = "{"
        for name, kind in schema["properties"].items():
            text += f'{", " if len(text) > 1 else ""}"{name}": '
            text += self._value(prompt + text, kind)
        return text + "}"

    def _value(self, prompt: str, kind: dict[str, Any]) -> str:
        if "enum" in kind:
            return self._likeliest(prompt, [json.dumps(value) for value in kind["enum"]])
        if kind["type"] == "boolean":
            return self._likeliest(prompt, ["true", "false"])
        if kind["type"] in ("integer", "number"):
            low, high = kind.get("minimum", 0), kind.get("maximum", 10)
            return self._likeliest(prompt, [str(n) for n in range(low, high + 1)])
        written, _ = self._continue(f'{prompt}"', 60, until='"')
        return json.dumps(written.split('"')[0].strip(), ensure_ascii=False)

    def _likeliest(self, prompt: str, values: Sequence[str]) -> str:
        def score(value: str) -> float:
            ids = self.tokenizer(prompt + value, return_tensors="pt")["input_ids"]
            start = self._count(prompt)
            logits = self.model(ids).logits[0, start - 1 : -1].log_softmax(-1)
            return float(logits.gather(-1, ids[0, start:, None]).mean())

        return max(values, key=score)

    def _count(self, text: str) -> int:
        return len(self.tokenizer(text)["input_ids"])
