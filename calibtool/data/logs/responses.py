"""Bodies of OpenAI's Responses API in the form of chat completions, which one reader reads.

`output` is a list of items; those of type "message" hold `content`, parts of text with logprobs
(if the request includes "message.output_text.logprobs") or a refusal. Items of other types
(reasoning, calls of tools) hold no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_body(body: Any) -> bool:
    """Return whether a value is the body of a response: an object with a list of output items."""
    return (
        isinstance(body, Mapping)
        and isinstance(body.get("output"), list)
        and (body.get("object") == "response" or any(map(_parts, body["output"])))
    )


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response as the body of a chat completion of one choice, or of none.

    >>> part = {"type": "output_text", "text": "B", "logprobs": [{"token": "B", "logprob": -0.1}]}
    >>> said = {"output": [{"type": "message", "content": [part]}], "model": "m"}
    >>> as_chat(said)["choices"][0]["logprobs"]["content"][0]["token"]
    'B'
    """
    parts = [part for item in body["output"] for part in _parts(item)]
    refusal = next((p["refusal"] for p in parts if p.get("refusal")), None)
    content: list[Any] = []
    for part in parts:
        listed = part.get("logprobs")
        content += listed if isinstance(listed, list) else []
    logprobs = {"content": content} if content else None
    choice = {"message": {"refusal": refusal}, "logprobs": logprobs}
    return {"choices": [choice] if parts else [], "model": body.get("model")}


def _parts(item: Any) -> list[Mapping[str, Any]]:
    """Return the parts of a message; none of any other item."""
    if not isinstance(item, Mapping) or item.get("type") != "message":
        return []
    content = item.get("content")
    return [p for p in content if isinstance(p, Mapping)] if isinstance(content, list) else []
