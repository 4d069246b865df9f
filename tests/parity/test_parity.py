"""Every method against the figures of the reference implementations; see --parity-dir."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coterie.cluster.estimators import GaussianMixture, KMeans
from coterie.cluster.fuzzy_graph import fuzzy_graph, local_scales
from coterie.cluster.neighbours import nearest_neighbours
from coterie.config import read
from coterie.evaluate.metrics import score
from coterie.evaluate.neighbours import predict_by_neighbours
from coterie.losses.alignment import alignment
from coterie.losses.cluster_contrast import assignment_entropy_gap, cluster_contrast
from coterie.losses.concentration import concentration, prototype_contrast
from coterie.losses.contrastive import info_nce, nt_xent
from coterie.losses.distillation import hardness_aware_distillation
from coterie.losses.grouping import group_loss, moved_groups, nearest_groups
from coterie.losses.prototypes import batch_prototypes, prototype_scattering
from coterie.losses.soft_contrast import balance, curve, soft_contrast
from coterie.losses.student_t import divergence, plain_and_augmented, sharpened, soft_assignment
from coterie.methods.base import Batch
from coterie.methods.hadis import HaDis
from coterie.methods.propos import ProPos
from coterie.nn.encoder import Encoder
from coterie.schedule import Progress, rising_momentum

Figures = dict[str, np.ndarray]


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The file named by the test's `parity` parameter."""
    path: Path = request.config.getoption("--parity-dir") / f"{request.param}.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the reference figures")
    with np.load(path, allow_pickle=False) as pack:
        return {name: pack[name] for name in pack.files}


def leaf(figures: Figures, name: str) -> Tensor:
    return torch.from_numpy(figures[name]).requires_grad_()


def close(ours: Tensor | float, reference: np.ndarray, *, rtol: float = 1e-6) -> None:
    value = ours.detach().numpy() if isinstance(ours, Tensor) else ours
    # An entry near zero is held to the scale of its array.
    np.testing.assert_allclose(value, reference, rtol=rtol, atol=rtol * float(np.abs(reference).max()))


@pytest.mark.parametrize("figures", ["propos_align"], indirect=True)
def test_alignment(figures: Figures) -> None:
    prediction = leaf(figures, "prediction")
    loss = alignment(prediction, torch.from_numpy(figures["target"]))
    loss.backward()
    close(loss, figures["loss"])
    close(prediction.grad, figures["grad_prediction"])


@pytest.mark.parametrize(
    ("figures", "rtol"),
    # The reference gives absent clusters the logit −10 where we leave them out.
    [("propos_scatter_full", 1e-6), ("propos_scatter_empty", 1e-4)],
    indirect=["figures"],
)
def test_prototype_scattering(figures: Figures, rtol: float) -> None:
    online, target, labels = leaf(figures, "q"), torch.from_numpy(figures["k"]), torch.from_numpy(figures["labels"])
    n_clusters = int(figures["num_clusters"])
    loss = prototype_scattering(
        online, target, labels, n_clusters=n_clusters, temperature=float(figures["temperature"])
    )
    loss.backward()
    close(loss, figures["loss"], rtol=rtol)
    close(online.grad, figures["grad_q"], rtol=rtol)
    close(batch_prototypes(online, labels, n_clusters=n_clusters)[0], figures["q_centers"])
    close(batch_prototypes(target, labels, n_clusters=n_clusters)[0], figures["k_centers"])


class _Linear(nn.Linear):
    features: int


OURS = {
    "encoder_q": "encoder.backbone",
    "projector_q": "projector",
    "encoder_k": "target_encoder.backbone",
    "projector_k": "target_projector",
    "predictor": "predictor",
}


def our_name(reference: str) -> str:
    module, _, rest = reference.partition(".")
    return f"{OURS[module]}.{rest}"


M = TypeVar("M", bound=ProPos)


def linear(method_type: type[M], figures: Figures, **options: object) -> M:
    """A method on a linear encoder with the weights of a file."""
    width = figures["param.encoder_q.weight"].shape[0]
    backbone = _Linear(figures["param.encoder_q.weight"].shape[1], width)
    backbone.features = width
    settings = {
        "hidden": figures["param.projector_q.0.weight"].shape[0],
        "projection": figures["param.projector_q.3.weight"].shape[0],
        "noise": 0.0,
        "scattering": 1.0,
        "temperature": float(figures["temperature"]),
    }
    config = read(method_type.Config, {**settings, **options})
    method = method_type(config, Encoder(backbone), n_clusters=int(figures["num_clusters"])).double()
    for name, value in figures.items():
        if name.startswith("param."):
            method.get_parameter(our_name(name.removeprefix("param."))).data.copy_(torch.from_numpy(value))
    return method.train()


def compare_step(method: ProPos, figures: Figures, names: dict[str, str]) -> None:
    """Losses by name, and the gradients of their sum."""
    labels = torch.from_numpy(figures["labels"]).unsqueeze(1)
    batch = Batch(torch.arange(len(labels)), labels, Progress(0, 1, 1), torch.Generator())
    views = [torch.from_numpy(figures["x1"]), torch.from_numpy(figures["x2"])]
    losses = method.losses(views, batch)
    sum(losses.values(), torch.zeros(())).backward()
    assert set(losses) == set(names)
    for ours, reference in names.items():
        close(losses[ours], figures[reference])
    for name, value in figures.items():
        if name.startswith("grad."):
            gradient = method.get_parameter(our_name(name.removeprefix("grad."))).grad
            assert gradient is not None
            # A bias before a batch norm has no gradient but for rounding.
            np.testing.assert_allclose(gradient.numpy(), value, rtol=1e-6, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("figures", ["propos_step"], indirect=True)
def test_propos_step(figures: Figures) -> None:
    names = {"alignment": "contrastive_loss", "scattering": "cluster_loss"}
    compare_step(linear(ProPos, figures), figures, names)


@pytest.mark.parametrize("figures", ["hadis_step"], indirect=True)
def test_hadis_step(figures: Figures) -> None:
    names = {"alignment": "contrastive_loss", "scattering": "cluster_loss", "distillation": "hsd_loss"}
    compare_step(linear(HaDis, figures), figures, names)


def other(figures: Figures, name: str) -> Tensor:
    return torch.from_numpy(figures[name])


@pytest.mark.parametrize("figures", ["simclr_t0.1", "simclr_t0.5"], indirect=True)
def test_nt_xent(figures: Figures) -> None:
    z1, z2 = leaf(figures, "z1"), leaf(figures, "z2")
    loss = nt_xent(z1, z2, temperature=float(figures["temperature"]))
    loss.backward()
    close(loss, figures["loss"])
    close(z1.grad, figures["grad_z1"])
    close(z2.grad, figures["grad_z2"])


@pytest.mark.parametrize("figures", ["moco"], indirect=True)
def test_info_nce(figures: Figures) -> None:
    query = leaf(figures, "q")
    queue = other(figures, "queue").T  # The file has a key a column.
    loss = info_nce(query, other(figures, "k"), queue, temperature=float(figures["temperature"]))
    loss.backward()
    close(loss, figures["loss"])
    close(query.grad, figures["grad_q"])


@pytest.mark.parametrize("figures", ["simsiam"], indirect=True)
def test_simsiam_is_alignment_at_a_quarter(figures: Figures) -> None:
    p1, p2 = leaf(figures, "p1"), leaf(figures, "p2")
    loss = 0.25 * (alignment(p1, other(figures, "z2")) + alignment(p2, other(figures, "z1")))
    loss.backward()
    close(loss, figures["loss"])
    close(p1.grad, figures["grad_p1"])
    close(p2.grad, figures["grad_p2"])


@pytest.mark.parametrize("figures", ["cc_cluster"], indirect=True)
def test_cluster_contrast(figures: Figures) -> None:
    logits1, logits2 = leaf(figures, "logits1"), leaf(figures, "logits2")
    first, second = logits1.softmax(dim=1), logits2.softmax(dim=1)
    contrast = cluster_contrast(first, second, temperature=float(figures["temperature"]))
    entropy = assignment_entropy_gap(first) + assignment_entropy_gap(second)
    (contrast + entropy).backward()
    close(contrast, figures["cluster_loss"])
    close(entropy, figures["entropy_loss"])
    close(logits1.grad, figures["grad_logits1"])
    close(logits2.grad, figures["grad_logits2"])


@pytest.mark.parametrize("figures", ["hadis_hsd", "hadis_hsd_close"], indirect=True)
def test_hardness_aware_distillation(figures: Figures) -> None:
    student = leaf(figures, "student")
    loss = hardness_aware_distillation(other(figures, "teacher"), student, temperature=float(figures["tau"]))
    loss.backward()
    close(loss, figures["loss"])
    close(student.grad, figures["grad_student"])


@pytest.mark.parametrize("figures", ["digpro_group"], indirect=True)
def test_dynamic_grouping(figures: Figures) -> None:
    online, prediction, groups = leaf(figures, "q"), leaf(figures, "predicted_q"), other(figures, "groups")
    assignments = nearest_groups(other(figures, "k"), groups)
    moved = moved_groups(online, groups, beta=float(figures["beta"]))
    loss = group_loss(prediction, moved, assignments, temperature=float(figures["temperature"]))
    loss.backward()
    assert np.array_equal(assignments.numpy(), figures["assignments"])
    close(moved, figures["updated_groups"])
    close(loss, figures["loss"])
    close(online.grad, figures["grad_q"])
    close(prediction.grad, figures["grad_predicted_q"])


@pytest.mark.parametrize("figures", ["cadecl"], indirect=True)
def test_student_t(figures: Figures) -> None:
    views, centers = [leaf(figures, name) for name in ("h", "h1", "h2")], leaf(figures, "centers")
    plain, *augmented = (soft_assignment(view, centers, alpha=float(figures["alpha"])) for view in views)
    target = sharpened(plain)
    cluster, anchor = divergence(target, plain), plain_and_augmented(plain, *augmented)
    (cluster + anchor).backward()
    close(plain, figures["prob"])
    close(target, figures["target"])
    close(cluster, figures["cluster_loss"])
    close(anchor, figures["anchor_loss"])
    for view, name in zip([*views, centers], ("h", "h1", "h2", "centers"), strict=True):
        close(view.grad, figures[f"grad_{name}"])


@pytest.mark.parametrize("figures", ["pcl"], indirect=True)
def test_prototypes_with_concentration(figures: Figures) -> None:
    features, labels, centers = (other(figures, name) for name in ("features", "labels", "centers"))
    density = concentration(features, labels, centers, temperature=float(figures["temperature"]))
    query = leaf(figures, "q")
    positive, negative = other(figures, "positive_ids"), other(figures, "negative_ids")
    loss = prototype_contrast(query, centers, density, positive, negative)
    loss.backward()
    close(density, figures["density"])
    close(loss, figures["proto_loss"])
    close(query.grad, figures["grad_q"])


@pytest.mark.parametrize("figures", ["schedules"], indirect=True)
def test_momentum_schedule(figures: Figures) -> None:
    steps, epochs = int(figures["iters_per_epoch"]), int(figures["epochs"])
    ours = [
        rising_momentum(Progress(int(i), steps, epochs), float(figures["base_momentum"])) for i in figures["iteration"]
    ]
    np.testing.assert_allclose(ours, figures["momentum"], rtol=1e-12)


@pytest.mark.parametrize("figures", ["metrics"], indirect=True)
def test_metrics(figures: Figures) -> None:
    ours = score(figures["labels"], figures["assignments"])
    np.testing.assert_allclose(
        [ours.nmi, ours.ari, ours.acc], [figures["nmi"], figures["ari"], figures["acc"]], rtol=1e-9
    )


@pytest.mark.parametrize("figures", ["kmeans_gmm"], indirect=True)
def test_kmeans_reaches_the_reference(figures: Figures) -> None:
    n_clusters = int(figures["num_clusters"])
    euclidean = KMeans(n_clusters).fit(figures["x"])
    assert euclidean.inertia_ <= float(figures["euclidean_sse"]) * (1 + 1e-4)
    cosine = KMeans(n_clusters, metric="cosine").fit(figures["x"])
    assert cosine.inertia_ <= float(figures["cosine_sum_distance"]) * (1 + 1e-3)


@pytest.mark.parametrize("figures", ["kmeans_gmm"], indirect=True)
def test_mixture_reaches_the_reference(figures: Figures) -> None:
    fitted = GaussianMixture(int(figures["num_clusters"])).fit(figures["x"])
    assert fitted.log_likelihood_ >= float(figures["gmm_mean_log_likelihood"]) - 1e-3
    # Components in the reference's order, by their means.
    distances = np.linalg.norm(fitted.means_[None] - figures["gmm_means"][:, None], axis=2)
    order = distances.argmin(axis=1)
    if fitted.log_likelihood_ <= float(figures["gmm_mean_log_likelihood"]) + 1e-3:
        np.testing.assert_allclose(fitted.means_[order], figures["gmm_means"], atol=0.05)
        np.testing.assert_allclose(fitted.weights_[order], figures["gmm_weights"], atol=0.02)
        np.testing.assert_allclose(fitted.covariances_[order], figures["gmm_covariances"], rtol=0.1)


@pytest.mark.parametrize("figures", ["knn_monitor"], indirect=True)
def test_neighbour_monitor(figures: Figures) -> None:
    predicted = predict_by_neighbours(
        other(figures, "memory"),
        other(figures, "memory_labels"),
        other(figures, "query"),
        k=int(figures["k"]),
        temperature=float(figures["temperature"]),
    )
    assert np.array_equal(predicted.numpy(), figures["predicted"])


@pytest.mark.parametrize("figures", ["lnscc_loss"], indirect=True)
def test_soft_contrast(figures: Figures) -> None:
    head, tail = leaf(figures, "head"), leaf(figures, "tail")
    a, b, rate = float(figures["a"]), float(figures["b"]), int(figures["negative_rate"])
    np.testing.assert_allclose(curve(float(figures["min_dist"])), (a, b), rtol=1e-6)
    loss = soft_contrast(head, tail, other(figures, "negative_permutation"), negative_rate=rate, a=a, b=b)
    loss.backward()
    close(loss, figures["loss"])
    close(head.grad, figures["grad_head"])
    close(tail.grad, figures["grad_tail"])


@pytest.mark.parametrize("figures", ["lnscc_loss"], indirect=True)
def test_sharpening_and_balance_on_a_map(figures: Figures) -> None:
    head, tail, centers = leaf(figures, "head"), leaf(figures, "tail"), other(figures, "centers")
    q = soft_assignment(torch.cat([head, tail]), centers)
    wanted = torch.full((len(centers),), 1 / len(centers), dtype=centers.dtype)
    clustering, evenness = divergence(sharpened(q), q), balance(q, wanted)
    (clustering + evenness).backward()
    close(q, figures["soft_assignment"])
    close(sharpened(q), figures["target"])
    close(clustering, figures["kl_loss"])
    close(evenness, figures["balance_loss"])
    close(head.grad, figures["grad2_head"])
    close(tail.grad, figures["grad2_tail"])


@pytest.mark.parametrize("figures", ["lnscc_graph"], indirect=True)
def test_fuzzy_graph(figures: Figures) -> None:
    k = figures["knn_indices"].shape[1]
    distances, neighbours = nearest_neighbours(other(figures, "x"), k)
    assert np.array_equal(neighbours.numpy(), figures["knn_indices"])
    np.testing.assert_allclose(distances.numpy(), figures["knn_distances"], rtol=1e-4, atol=1e-5)
    rho, sigma = local_scales(distances)
    np.testing.assert_allclose(rho.numpy(), figures["rhos"], rtol=1e-4)
    np.testing.assert_allclose(sigma.numpy(), figures["sigmas"], rtol=1e-4)
    graph = fuzzy_graph(distances, neighbours)
    order = np.lexsort((figures["cols"], figures["rows"]))
    assert np.array_equal(graph.rows.numpy(), figures["rows"][order])
    assert np.array_equal(graph.columns.numpy(), figures["cols"][order])
    np.testing.assert_allclose(graph.weights.numpy(), figures["weights"][order], rtol=1e-4)
    repeats = graph.repeats(int(figures["n_epochs"])).numpy()
    # A weight whose multiple is a whole number but for rounding may fall to either side.
    np.testing.assert_allclose(repeats, figures["edge_repeats"][order], atol=1)
    assert np.array_equal(repeats > 0, figures["edge_repeats"][order] > 0)
