"""Words for what a backbone sees: ImageNet's names, classifiers, the reading part of a CLIP, and the way to disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

import tiny
from coterie.errors import CoterieError
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained import Architecture, Pretrained, open_pretrained
from coterie.nn.pretrained.saved import load_backbone, save_backbone
from coterie.nn.pretrained.vocabulary import Vocabulary, imagenet_words, of_classifier

# Far apart, so that a name left out or put in anywhere shows.
ANCHORS = {
    0: "tench", 1: "goldfish", 84: "peacock", 134: "crane (bird)", 151: "Chihuahua", 207: "golden retriever",
    217: "English springer", 281: "tabby", 291: "lion", 340: "zebra", 388: "giant panda", 404: "airliner",
    482: "cassette player", 491: "chain saw", 497: "church", 517: "crane (machine)", 566: "French horn",
    569: "garbage truck", 571: "gas pump", 574: "golf ball", 638: "maillot", 639: "tank suit", 701: "parachute",
    817: "sports car", 920: "traffic light", 954: "banana", 963: "pizza", 985: "daisy", 999: "toilet tissue",
}  # fmt: skip


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_imagenets_names_stand_in_the_order_of_its_classes() -> None:
    words = imagenet_words()
    assert len(words) == 1000
    assert {place: words[place] for place in ANCHORS} == ANCHORS
    assert len({word.casefold() for word in words}) == 1000
    assert all(word == " ".join(word.split()) and 0 < len(word) < 40 for word in words)


def test_shares_are_mean_probabilities() -> None:
    vocabulary = Vocabulary(("one", "two"), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 1.0]))
    features = torch.tensor([[1.0, 0.0], [0.0, 0.0], [3.0, 3.0]])
    e = torch.e
    expected = torch.tensor([[0.5, 0.5], [1 / (1 + e), e / (1 + e)], [1 / (1 + e), e / (1 + e)]])
    torch.testing.assert_close(vocabulary.probabilities(features), expected)
    shares = vocabulary.shares(features, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(shares, torch.stack([expected[:2].mean(0), torch.zeros(2), expected[2]]))


def test_only_a_classifier_of_imagenets_classes_has_known_names() -> None:
    weight, bias = torch.rand(1000, 4), torch.rand(1000)
    known = of_classifier(weight, bias, 4)
    assert known is not None
    assert known.words == imagenet_words()
    for other in ((None, bias), (weight, None), (weight[:10], bias[:10]), (weight[:, :3], bias), (weight, bias[1:])):
        assert of_classifier(*other, 4) is None


def test_a_resnet_of_torchvision_brings_its_classifier(tmp_path: Path) -> None:
    weights = {f"module.{name}": value for name, value in build_backbone("resnet18", 3, 32).state_dict().items()}
    weights |= {"module.fc.weight": torch.rand(1000, 512), "module.fc.bias": torch.rand(1000)}
    torch.save(weights, tmp_path / "resnet18.pth")
    opened = open_pretrained(str(tmp_path / "resnet18.pth"), side=32)
    assert opened.vocabulary is not None
    assert torch.equal(opened.vocabulary.weight, weights["module.fc.weight"])
    torch.save({name: value for name, value in weights.items() if "fc" not in name}, tmp_path / "headless.pth")
    assert open_pretrained(str(tmp_path / "headless.pth"), side=32).vocabulary is None


def reading(tmp_path: Path, kind: str) -> Path:
    masked = kind == "clip"
    return tiny.tokenizer(getattr(tiny, kind)(tmp_path), ["red", "blue", "fish", "car"], masked=masked)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_clip_says_of_images_what_its_whole_model_says(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = reading(tmp_path, kind)
    opened = open_pretrained(f"hf:{folder}")
    assert opened.vocabulary is None
    told = opened.having_read(["red fish", "blue car", "car"])
    assert told.reader is None
    assert told.vocabulary is not None
    assert told.vocabulary.words == ("red fish", "blue car", "car")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    images, tokens = torch.rand(4, 3, 32, 32, generator=draw()), [[0, 4, 5, 6, 4, 7, 9, 1], [0, 4, 5, 6, 4, 8, 10, 1]]
    tokens = [*tokens, [0, 4, 5, 6, 4, 10, 1, 2]]
    if kind == "siglip":
        tokens = [row + [2] * (12 - len(row)) for row in tokens]
    with torch.no_grad():
        whole = model(pixel_values=images, input_ids=torch.tensor(tokens)).logits_per_image.softmax(dim=1)
        found = told.vocabulary.probabilities(opened.backbone(images))
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)
    assert opened.having_read().vocabulary.words == imagenet_words()


def test_a_model_that_cannot_read_says_so_when_it_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert open_pretrained(f"hf:{tiny.dinov2(tmp_path)}").reader is None
    opened = open_pretrained(f"hf:{tiny.clip(tmp_path)}")  # Without a tokenizer.
    with pytest.raises(CoterieError, match="cannot read words") as caught:
        opened.having_read(["red"])
    assert "\n" not in str(caught.value)
    tiny.tokenizer(tmp_path / "clip", [f"word{number}" for number in range(30)])  # Of a larger model.
    with pytest.raises(CoterieError, match="cannot read words"):
        opened.having_read(["word29"])


@pytest.mark.parametrize("family", ["ViT", "ResNet", "Dinov2"])
def test_a_classifier_of_the_hub_names_its_own_classes(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = tiny.classifier(tmp_path, family, {0: "red_deer, hind", 1: "cat", 2: "blue jay"})
    opened = open_pretrained(f"hf:{folder}")
    if family == "Dinov2":  # Its classifier takes more than the features.
        assert opened.vocabulary is None
        return
    assert opened.vocabulary is not None
    assert opened.vocabulary.words == ("red deer", "cat", "blue jay")
    images = torch.rand(3, 3, 32, 32, generator=draw())
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = opened.vocabulary.probabilities(opened.backbone(images))
        torch.testing.assert_close(found, model(pixel_values=images).logits.softmax(dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({0: "LABEL_0", 1: "LABEL_1"}, None),
        ({0: "crane, bird", 1: "crane, machine"}, ("crane, bird", "crane, machine")),
        ({place: f"LABEL_{place}" for place in range(1000)}, imagenet_words()),
        ({0: "tench, Tinca tinca"} | {place: f"c{place}" for place in range(1, 1000)}, imagenet_words()),
        ({place: f"c{place}" for place in range(1000)}, tuple(f"c{place}" for place in range(1000))),
    ],
)
def test_names_of_classes_are_short_and_distinct(
    labels: dict[int, str], words: tuple[str, ...] | None, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    found = open_pretrained(f"hf:{tiny.classifier(tmp_path, 'ViT', labels)}").vocabulary
    assert (None if found is None else found.words) == words


def small(vocabulary: Vocabulary | None) -> Pretrained:
    architecture = Architecture("coterie", "convnet-small", {"channels": 1, "side": 8})
    network = build_backbone("convnet-small", 1, 8)
    return Pretrained("small", architecture, network, 8, (0.5,), (0.5,), vocabulary)


@pytest.mark.parametrize("projected", [False, True])
def test_words_are_kept_with_the_backbone(projected: bool, tmp_path: Path) -> None:
    width = small(None).backbone.features
    projection = torch.rand(3, width, generator=draw()) if projected else None
    weight = torch.rand(2, 3 if projected else width, generator=draw())
    vocabulary = Vocabulary(("ü", "<b>"), weight, torch.rand(2, generator=draw()), projection)
    save_backbone(small(vocabulary), tmp_path)
    again = load_backbone(tmp_path).vocabulary
    assert again is not None
    assert again.words == vocabulary.words
    features = torch.rand(5, width, generator=draw())
    assert torch.equal(again.probabilities(features), vocabulary.probabilities(features))
    save_backbone(small(None), tmp_path)
    assert load_backbone(tmp_path).vocabulary is None


def test_words_that_do_not_fit_the_backbone_are_damage(tmp_path: Path) -> None:
    width = small(None).backbone.features
    fitting = Vocabulary(("one", "two"), torch.zeros(2, width), torch.zeros(2))
    description, weights = tmp_path / "backbone.json", tmp_path / "backbone.safetensors"
    for words in (["one"], ["one", "two", "three"], 7, None):
        save_backbone(small(fitting), tmp_path)
        description.write_text(json.dumps({**json.loads(description.read_text()), "words": words}))
        with pytest.raises(CoterieError, match="is damaged"):
            load_backbone(tmp_path)
    for part, value in {"bias": torch.zeros(3), "weight": torch.zeros(2, width + 1), "more": torch.zeros(1)}.items():
        save_backbone(small(fitting), tmp_path)
        safetensors.torch.save_file({**safetensors.torch.load_file(weights), f"vocabulary.{part}": value}, weights)
        with pytest.raises(CoterieError, match="is damaged"):
            load_backbone(tmp_path)


def test_words_do_not_outlive_learning() -> None:
    vocabulary = Vocabulary(("one", "two"), torch.zeros(2, 4), torch.zeros(2))
    silent = replace(small(vocabulary), reader=lambda _: vocabulary).silent()
    assert (silent.vocabulary, silent.reader) == (None, None)


def test_features_of_unit_length_meet_text_at_the_models_temperature() -> None:
    """By loops: exp(s·cos) over its sum."""
    text, features = torch.rand(3, 4, generator=draw()), torch.rand(2, 5, generator=draw())
    projection, scale = torch.rand(4, 5, generator=draw()), 7.0
    vocabulary = Vocabulary(("a", "b", "c"), scale * F.normalize(text, dim=1), torch.zeros(3), projection)
    found = vocabulary.probabilities(features)
    for row in range(2):
        seen = projection @ features[row]
        scores = [torch.exp(scale * (seen @ word) / (seen.norm() * word.norm())) for word in text]
        for place in range(3):
            assert float(found[row, place]) == pytest.approx(float(scores[place] / sum(scores)), rel=1e-5)
