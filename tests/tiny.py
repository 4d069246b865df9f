"""Tiny models of transformers in folders, as the hub would hold them, with made-up weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
_LAYERS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def dinov2(where: Path) -> Path:
    return _saved(where, "Dinov2", "Model", image_size=28, patch_size=14, crop={"height": 28, "width": 28}, **_LAYERS)


def resnet(where: Path) -> Path:
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"}
    return _saved(where, "ResNet", "Model", size={"shortest_edge": 40}, **sizes)


def vit(where: Path) -> Path:
    return _saved(where, "ViT", "Model", image_size=32, patch_size=16, crop=32, **_LAYERS)


def mae(where: Path) -> Path:
    return _saved(where, "ViTMAE", "Model", image_size=32, patch_size=8, crop=32, **_LAYERS)


def swin(where: Path) -> Path:
    sizes: dict[str, Any] = {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 2}
    return _saved(where, "Swin", "Model", image_size=32, drop_path_rate=0.9, hidden_dropout_prob=0.5, crop=32, **sizes)


def clip(where: Path) -> Path:
    text = {**_LAYERS, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    vision = {**_LAYERS, "image_size": 32, "patch_size": 16}
    return _saved(where, "CLIP", "Model", text_config=text, vision_config=vision, projection_dim=8, crop=32)


def classifier(where: Path, family: str, labels: dict[int, str], **settings: Any) -> Path:
    """A model that learnt to classify; the file lacks the pooler, if there is any."""
    sizes = {"ResNet": {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"}}
    rest = sizes.get(family, {"image_size": 32, "patch_size": 16, **_LAYERS})
    return _saved(where, family, "ForImageClassification", crop=32, id2label=labels, **rest, **settings)


def siglip(where: Path) -> Path:
    text = {**_LAYERS, "vocab_size": 20, "max_position_embeddings": 12, "pad_token_id": 2}
    vision = {**_LAYERS, "image_size": 32, "patch_size": 16}
    return _saved(where, "Siglip", "Model", text_config=text, vision_config=vision, crop=32)


def tokenizer(folder: Path, words: Sequence[str], *, masked: bool = True) -> Path:
    """A tokenizer beside a model: a number a word. `masked` ones tell what is padding."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<s>", "</s>", "<pad>", "<unknown>", "a", "photo", "of", *words]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: place for place, word in enumerate(known)}, unk_token="<unknown>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    names = ["input_ids", "attention_mask"] if masked else ["input_ids"]
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unknown>",
        model_input_names=names,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def bert(where: Path) -> Path:
    return _saved(where, "Bert", "Model", vocab_size=20, **_LAYERS)


def _saved(where: Path, family: str, kind: str, *, crop: Any = None, size: Any = None, **settings: Any) -> Path:
    import transformers

    folder = where / family.lower()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, family + kind)(getattr(transformers, family + "Config")(**settings))
    model.save_pretrained(folder)
    processor = {"image_mean": MEAN, "image_std": DEVIATION, "do_normalize": True, "crop_size": crop, "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
