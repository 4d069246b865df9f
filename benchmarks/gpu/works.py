"""Does it run on a device: `python -m gpu.works WHAT --device cuda` prints a line of JSON for each thing tried.

`methods`: every method learns for a short epoch. `agreement`: with the same weights and batch its losses and gradients
are those of the CPU, and so are k-means and neighbours. `repeatable`: a deterministic run gives the same bytes again,
also when it was interrupted. `recorded`: work that the device recorded comes to what it does without.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import coterie.recorded
from coterie import Clusterer
from coterie.cluster.kmeans import kmeans
from coterie.cluster.neighbours import nearest_neighbours
from coterie.config import read
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.data.sources import open_source
from coterie.listener import Listener, Stopped
from coterie.methods import Batch, Method, build_method, learns, method_names, method_type
from coterie.plan import Request
from coterie.seeding import generator
from coterie.train.config import TrainConfig
from coterie.train.loop import Epoch, Loop
from coterie.train.runtime import Runtime, choose_runtime
from coterie.workflow.fit import fit

# Heads small enough for digits; without noise or a sample of negatives, which devices draw otherwise.
_OPTIONS = {"hidden": 256, "projection": 64, "noise": 0.0, "queue": 512, "granularities": [150, 200], "negatives": 1000,
            "steps_per_epoch": 20}  # fmt: skip
_BATCH = 128
# Differences that the order of sums in float32 explains.
_LOSS, _COSINE = 1e-3, 0.999
_CPU = Runtime(torch.device("cpu"), "float32", channels_last=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("methods", "agreement", "repeatable", "recorded"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=1024)
    options = parser.parse_args()
    images = digits(options.images)
    failed = False
    for found in {"methods": methods, "agreement": agreement, "repeatable": repeatable, "recorded": recorded}[
        options.what
    ](images, options.device):
        print(json.dumps(found), flush=True)
        failed |= not found["passed"]
    raise SystemExit(int(failed))


def digits(count: int) -> np.ndarray:
    """(N, 1, 8, 8) uint8."""
    source = open_source("sklearn:digits")
    return np.stack([source.decode(place, 8)[..., :1].transpose(2, 0, 1) for place in range(count)])


def tried(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What some work finds and how long it took; where it fails, how."""
    began = time.perf_counter()
    try:
        found = {"passed": True, **work()}
    except Exception as error:  # The next thing is tried all the same.
        found = {"passed": False, "told": f"{type(error).__name__}: {error}"[:300]}
    return {"name": name, "seconds": round(time.perf_counter() - began, 2), **found}


def methods(images: np.ndarray, device: str) -> Iterator[dict[str, Any]]:
    """Every method that learns, for one epoch."""

    def work(name: str) -> dict[str, Any]:
        on_images = method_type(name).inputs == "images"
        more = {"backbone": "convnet-small"} if on_images else {}
        given = images[:, 0] if on_images else images.reshape(len(images), -1).astype(np.float32) / 255
        options = {f"options.{each}": value for each, value in own_options(name).items()} | {"train.batch_size": _BATCH}
        fitted = Clusterer(10, method=name, epochs=1, device=device, options=options, **more).fit(given)
        sizes = np.bincount(fitted.labels_, minlength=10)
        return {"passed": bool(np.isfinite(fitted.embeddings_).all()), "groups": int((sizes > 0).sum())}

    for name in filter(learns, method_names()):
        yield tried(name, lambda name=name: work(name))


def agreement(images: np.ndarray, device: str) -> Iterator[dict[str, Any]]:
    """Losses and gradients of a batch on the CPU and on the device, and what is made of points."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for name in method_names():
        if method_type(name).inputs == "images":
            yield tried(name, lambda name=name: _same_step(name, images, device))
    points = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
    yield tried("k-means", lambda: _same_groups(points, device))
    yield tried("neighbours", lambda: _same_neighbours(points, device))


def _same_step(name: str, images: np.ndarray, device: str) -> dict[str, Any]:
    loop = _loop(name, images)
    loop.run()
    expectation = loop.expect(2)
    labels = None if expectation is None else expectation.pseudo_labels
    index, views = next(iter(loop.feed.batches(2)))
    found = []
    for where in (torch.device("cpu"), torch.device(device)):
        method = _built(name, images, {}).to(where)
        method.load_state_dict(loop.method.state_dict())
        if expectation is not None:
            method.receive(expectation.embeddings.to(where), [_moved(each, where) for each in expectation.clusterings])
        progress = loop.progress(2 * loop.feed.steps_per_epoch)
        own = None if labels is None else labels[index].to(where)
        losses = method.train().losses([view.to(where) for view in views],
                                       Batch(index.to(where), own, progress, generator(where, 0, "step")))  # fmt: skip
        torch.stack(list(losses.values())).sum().backward()
        gradients = [weight.grad.flatten().cpu() for weight in method.parameters() if weight.grad is not None]
        found.append(({each: float(loss.detach()) for each, loss in losses.items()}, torch.cat(gradients).double()))
    (here, first), (there, second) = found
    apart = max(abs(there[each] - value) / max(1.0, abs(value)) for each, value in here.items())
    cosine = float(torch.nn.functional.cosine_similarity(first, second, dim=0))
    return {"passed": apart < _LOSS and cosine > _COSINE, "losses": list(here), "apart": apart, "cosine": cosine}


def _same_groups(points: torch.Tensor, device: str) -> dict[str, Any]:
    """k-means draws otherwise on every device, so that sums of squares are compared."""
    here, there = (
        kmeans(each, 10, n_init=10, generator=torch.Generator(each.device).manual_seed(0)).inertia
        for each in (points, points.to(device))
    )
    return {"passed": abs(there / here - 1) < 1e-2, "apart": there / here - 1}


def _same_neighbours(points: torch.Tensor, device: str) -> dict[str, Any]:
    here, there = (nearest_neighbours(each, 10)[0].cpu() for each in (points, points.to(device)))
    return {"passed": torch.allclose(here, there, rtol=1e-3, atol=1e-3), "apart": float((here - there).abs().max())}


def repeatable(images: np.ndarray, device: str) -> Iterator[dict[str, Any]]:
    """A deterministic run, the same again, and once more with an interrupt after its second epoch."""
    with tempfile.TemporaryDirectory(prefix="coterie-") as scratch:
        pack = Path(scratch) / "digits.npz"
        np.savez(pack, images=images[:, 0])
        settings = tuple(f"options.{name}={value}" for name, value in own_options("propos").items())
        request = Request(
            str(pack), clusters=10, method="propos", backbone="convnet-small", epochs=3, device=device,
            deterministic=True, settings=(*settings, f"train.batch_size={_BATCH}", "train.warmup_epochs=1"),
        )  # fmt: skip

        def run(name: str, listener: Listener, *, resume: bool = False) -> bytes:
            fit(request, Path(scratch) / name, listener, resume=resume)
            return (Path(scratch) / name / "embeddings.npy").read_bytes()

        def resumed() -> dict[str, Any]:
            try:
                run("other", _Stopping())
            except Stopped:
                return {"passed": run("other", Listener(), resume=True) == first}
            raise AssertionError("the interrupt was not heard")

        first = run("one", Listener())
        yield tried("deterministic", lambda: {"passed": run("again", Listener()) == first})
        yield tried("resumed", resumed)


def recorded(images: np.ndarray, device: str) -> Iterator[dict[str, Any]]:
    """Views, and epochs of learning, with every kernel started by itself and with recorded work."""
    runtime = choose_runtime(device, "float32", deterministic=True)
    most = coterie.recorded.MOST

    def work(name: str) -> dict[str, Any]:
        found = []
        for coterie.recorded.MOST in (0, most):
            loop = _loop(name, images, runtime)
            _, views = list(loop.feed.batches(0))[-1]
            with runtime.rules():
                loop.run()
            found.append(
                (torch.cat(views), torch.cat([weight.flatten() for weight in loop.method.parameters()]).detach())
            )
        (seen, plain), (same, replayed) = found
        apart = float((plain - replayed).abs().max())
        return {"passed": torch.equal(seen, same) and apart < _LOSS, "views": torch.equal(seen, same), "apart": apart}

    for name in ("propos", "simclr", "moco", "cc", "simsiam", "cadecl"):
        yield tried(name, lambda name=name: work(name))


class _Stopping(Listener):
    """Asks for the end after two epochs."""

    def learnt(self, epoch: Epoch) -> None:
        if epoch.number == 1:
            self.stopping = signal.SIGTERM


def own_options(name: str) -> dict[str, Any]:
    """Those of the small options that a method has; lists and the like only where it means them so."""
    kind = method_type(name)
    known = {field.name for field in fields(kind.Config)}
    heads = () if kind.inputs == "images" else ("hidden",)  # On features these are layers of another kind.
    return {each: value for each, value in _OPTIONS.items() if each in known and each not in heads}


def _built(name: str, images: np.ndarray, options: dict[str, Any]) -> Method:
    config = read(method_type(name).Config, {**own_options(name), **options})
    return build_method(name, config, backbone="convnet-small", shape=images.shape[1:], n_clusters=10, seed=0)


def _loop(name: str, images: np.ndarray, runtime: Runtime = _CPU) -> Loop:
    """Two epochs, the second past the warm-up."""
    store = Store(images, [str(place) for place in range(len(images))])
    method = _built(name, images, {})
    runtime.prepare(method)
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=method.views,
        batch_size=_BATCH, device=runtime.device, seed=0,
    )  # fmt: skip
    settings = {**method_type(name).train_defaults, "epochs": 2, "warmup_epochs": 1, "batch_size": _BATCH}
    return Loop(method, feed, read(TrainConfig, settings), 0, feed.device)


def _moved(clustering: Any, device: torch.device) -> Any:
    """A clustering's tensors on a device."""
    soft = clustering.responsibilities
    return SimpleNamespace(
        labels=clustering.labels.to(device), centers=clustering.centers.to(device),
        responsibilities=None if soft is None else soft.to(device),
    )  # fmt: skip


if __name__ == "__main__":
    main()
