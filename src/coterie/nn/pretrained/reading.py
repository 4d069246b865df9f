"""The part of a CLIP (Radford et al., arXiv 2103.00020) or SigLIP (arXiv 2303.15343) that reads: words among images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.errors import CoterieError
from coterie.hub import PREFIX, quietly, reason
from coterie.nn.pretrained.vocabulary import Reader, Vocabulary

# Types of models whose pooled outputs meet in one space.
_KINDS = ("clip", "siglip")
_PROMPT = "a photo of a {}"
_AT_ONCE = 128


def reader_of(model: Any, library: Any, name: str) -> Reader | None:
    """What makes vocabularies for the features of this model of images and text; None for other models.

    Args:
        model: of transformers, both parts of it, with its weights.
        library: transformers.
        name: of the model, where its tokenizer is looked for once there is something to read.
    """
    if model.config.model_type not in _KINDS:
        return None
    text_model, scale = model.text_model, model.logit_scale.detach().exp()
    written = getattr(model, "text_projection", nn.Identity())
    seen = getattr(model, "visual_projection", None)
    longest = model.config.text_config.max_position_embeddings

    def read(words: Sequence[str]) -> Vocabulary:
        try:
            with quietly(), torch.inference_mode():
                tokenizer = library.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
                parts = [
                    written(text_model(**_tokens(tokenizer, words[start : start + _AT_ONCE], longest)).pooler_output)
                    for start in range(0, len(words), _AT_ONCE)
                ]
        except Exception as error:  # Of a hub, a network, a disk and three libraries.
            raise CoterieError(f"{PREFIX}{name} cannot read words: {reason(error)}") from None
        weight = scale * F.normalize(torch.cat(parts), dim=1)
        projection = torch.eye(weight.shape[1]) if seen is None else seen.weight.detach()
        return Vocabulary(tuple(words), weight, torch.zeros(len(weight)), projection)

    return read


def _tokens(tokenizer: Any, words: Sequence[str], longest: int) -> dict[str, Tensor]:
    """Prompts as numbers, no more than `longest` each."""
    # Where nothing tells padding from text, there must be as much of it as in training.
    padding = "longest" if "attention_mask" in tokenizer.model_input_names else "max_length"
    prompts = [_PROMPT.format(word) for word in words]
    tokens = tokenizer(prompts, padding=padding, truncation=True, max_length=longest, return_tensors="pt")
    # Without its files, some versions of transformers make a tokenizer that knows no text at all.
    if set(tokens["input_ids"].flatten().tolist()) <= set(tokenizer.all_special_ids):
        raise ValueError("its tokenizer is missing")
    return {key: value for key, value in tokens.items() if key in ("input_ids", "attention_mask")}
