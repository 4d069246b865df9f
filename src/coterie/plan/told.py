"""What a recipe and a user say of a run, and the method it comes to where nobody names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coterie.data.base import Outline
from coterie.methods import method_type
from coterie.nn.pretrained.base import USUAL_SIDE
from coterie.nn.pretrained.naming import full_name
from coterie.plan.defaults import default_method, is_long
from coterie.plan.recipes import Recipe, recipe
from coterie.plan.request import Request
from coterie.plan.words import asked_values, flattened
from coterie.train.runtime import choose_runtime

YOU = "you"
# Settings that say nothing of how to learn.
_APART = ("clusters", "seed", "device", "precision", "deterministic", "compiled", "groups", "words", "labels", "data.")


@dataclass(frozen=True)
class Layer:
    """Values, and who says so; of some of them somebody else does."""

    origin: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """The recipe, the user's own words, the method they come to, and what it was chosen with where nobody named one.

    `long` is a run on a GPU that is to be as long as those of the papers.
    """

    recipe: Layer
    user: Layer
    method: str
    by_default: Layer = Layer()
    photographs: Layer = Layer()
    long: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """What was said of an option, by the user, or else by the recipe, or else by what photographs ask for."""
        values = {**self.photographs.values, **self.recipe.values, **self.user.values}
        return values.get(name, default)

    @property
    def of_learning(self) -> bool:
        """Whether the user or a recipe says anything of how to learn, or by what."""
        return bool(self.recipe.origin) or any(not name.startswith(_APART) for name in self.user.values)

    def looking_at_photographs(self, backbone: str) -> Told:
        """With what is best for photographs where nothing was said: k-means on a pretrained network's features."""
        values = {"method": "kmeans", "backbone": backbone, "data.side": USUAL_SIDE}
        return replace(
            self, method="kmeans", by_default=Layer(), photographs=Layer("default: colour photographs", values)
        )


def told(request: Request, outline: Outline | None = None) -> Told:
    """The layers of a request.

    Args:
        outline: of the images, which the default method depends on; None while they are not known.

    Raises:
        UsageError: an unknown method, recipe or option.
    """
    asked_for = None if request.method == "auto" else request.method
    stated = Layer() if request.recipe is None else _stated(request.recipe, recipe(request.recipe), asked_for)
    gpu = request.device != "cpu" and choose_runtime(request.device or "auto").device.type != "cpu"
    named = asked_for or stated.values.get("method")
    by_default, why = default_method(outline, long=False)
    asked = asked_values(request, _known(named or by_default["method"]))
    epochs = {**stated.values, **asked}.get("train.epochs")
    long = gpu and outline is not None and is_long(outline.count, epochs, request.minutes)
    named = asked.get("method", named)
    if long and not named:
        by_default, why = default_method(outline, long=True)
        asked = asked_values(request, by_default["method"])
    if isinstance(asked.get("backbone"), str):
        asked["backbone"] = full_name(asked["backbone"])
    chosen = str(named or by_default["method"])
    default = Layer() if named else Layer(f"default: {why}", by_default)
    return Told(stated, Layer(YOU, asked), chosen, by_default=default, long=long)


def _known(method: Any) -> str:
    """The name of a method that there is."""
    method_type(str(method))
    return str(method)


def _stated(name: str, found: Recipe, method: str | None) -> Layer:
    """What a recipe states; the options of its method only where no other `method` is asked for."""
    values = flattened(found.values)
    values.pop("data.source", None)
    if method not in (None, values.get("method")):
        values = {option: value for option, value in values.items() if not option.startswith("options.")}
    others = {option: f"recipe {name}, by {who}" for option, who in found.origins.items() if who != found.name}
    return Layer(f"recipe {name}", values, others)
