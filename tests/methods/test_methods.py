from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

import small
from coterie.cluster import KMeansResult, kmeans
from coterie.config import read
from coterie.errors import UsageError
from coterie.methods import Batch, Method, build_method, learns, method_names, method_type
from coterie.nn.encoder import Encoder
from coterie.schedule import Progress
from coterie.train.estep import cluster as expect_clusters


def build(name: str, *, seed: int = 0, **options: object) -> Method:
    config = read(method_type(name).Config, {**small.options(name), **options})
    return build_method(name, config, backbone="convnet-small", shape=shape(name), n_clusters=3, seed=seed)


def shape(name: str) -> tuple[int, ...]:
    return (1, 8, 8) if method_type(name).inputs == "images" else (6,)


def name_of(method: Method) -> str:
    return type(method).__module__.rpartition(".")[2]


def inputs(name: str, *counts: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*counts, *shape(name), generator=torch.Generator().manual_seed(seed))


def batch(n: int = 12, *, epoch: int = 5, labels: bool = True, seed: int = 0) -> Batch:
    pseudo = (torch.arange(n) % 3).unsqueeze(1) if labels else None
    return Batch(torch.arange(n), pseudo, Progress(epoch * 4, 4, 10, 2), torch.Generator().manual_seed(seed))


def views(n: int = 12) -> list[torch.Tensor]:
    return list(torch.randn(2, n, 1, 8, 8, generator=torch.Generator().manual_seed(0)))


def after_e_step(method: Method, given: Batch) -> Batch:
    """A batch with the pseudo labels the method asked for, which it has received."""
    asked = method.e_step(given.progress)
    if asked is None:
        return dataclasses.replace(given, pseudo_labels=None)
    with torch.inference_mode():
        embeddings = method.eval().embed(inputs(name_of(method), 24, seed=9)).clone()
    method.train()
    found = [kmeans(embeddings, k, metric=asked.metric, generator=torch.Generator()) for k in asked.granularities]
    method.receive(embeddings, found)
    labels = torch.stack([clustering.labels for clustering in found], dim=1)
    return dataclasses.replace(given, pseudo_labels=labels[given.index])


@pytest.mark.parametrize("name", small.LEARNING)
def test_everything_at_once_takes_one_forward(name: str) -> None:
    method, images, forwards = build(name).eval(), inputs(name, 5), []
    for module in method.modules():
        if isinstance(module, Encoder):
            module.register_forward_hook(lambda *_: forwards.append(1))
    with torch.inference_mode():
        embedded = method.represent(images)
        assert len(forwards) == (method_type(name).inputs == "images")
        torch.testing.assert_close(embedded.embeddings, method.embed(images))
        torch.testing.assert_close(embedded.probabilities, method.assign(images))


@pytest.mark.parametrize("name", small.LEARNING)
def test_the_contract(name: str) -> None:
    method = build(name)
    images = list(inputs(name, len(method.views), 12))
    method.check(60)
    for given in (batch(epoch=0), batch(epoch=5)):
        losses = method.losses(images, after_e_step(method, given))
        assert losses
        assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    grouped = [parameter for group in method.parameter_groups() for parameter in group["params"]]
    assert len({id(parameter) for parameter in grouped}) == len(grouped)
    assert {id(p) for p in grouped} == {id(p) for p in method.parameters() if p.requires_grad}
    assert all(parameter.grad is not None for parameter in grouped)
    method.after_step(batch().progress)
    with torch.inference_mode():
        embeddings, probabilities = method.eval().embed(images[0]), method.assign(images[0])
    assert embeddings.shape[0] == 12
    assert embeddings.isfinite().all()
    if probabilities is not None:
        torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(12))


@pytest.mark.parametrize("name", [name for name in method_names() if learns(name)])
def test_the_seed_decides_the_weights_and_nothing_global_changes(name: str) -> None:
    state = torch.get_rng_state()
    first, again, other = build(name), build(name), build(name, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    weights = [nn.utils.parameters_to_vector(method.parameters()) for method in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


class Given(nn.Module):
    """A backbone that comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.features = 5
        self.linear = nn.Linear(64, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1))


@pytest.mark.parametrize("name", [name for name in small.LEARNING if method_type(name).inputs == "images"])
def test_a_given_backbone_keeps_its_weights_and_learns(name: str) -> None:
    backbone = Given()
    weight = backbone.linear.weight.detach().clone()
    config = read(method_type(name).Config, small.options(name))
    method = build_method(name, config, backbone=backbone, shape=(1, 8, 8), n_clusters=3, seed=0)
    encoders = [value for key, value in method.state_dict().items() if key.endswith("backbone.linear.weight")]
    assert encoders
    assert all(torch.equal(value, weight) for value in encoders)
    given = after_e_step(method, batch())
    losses = method.losses(list(inputs(name, len(method.views), 12)), given)
    torch.stack(list(losses.values())).sum().backward()
    assert backbone.linear.weight.grad is not None
    assert backbone.linear.weight.grad.abs().max() > 0


def test_unknown_methods_are_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'propos'"):
        method_type("propose")
    with pytest.raises(UsageError, match="did you mean 'momentum'"):
        read(method_type("byol").Config, {"momentun": 0.9})


def test_propos_scatters_only_after_warm_up() -> None:
    method = build("propos", noise=0.5)
    assert method.e_step(Progress(7, 4, 10, 2)) is None
    asked = method.e_step(Progress(8, 4, 10, 2))
    assert asked is not None
    assert asked.granularities == (3,)
    assert set(method.losses(views(), batch(epoch=0, labels=False))) == {"alignment"}
    assert set(method.losses(views(), batch())) == {"alignment", "scattering"}


def test_positives_are_sampled_from_the_batchs_generator_and_only_after_warm_up() -> None:
    method = build("propos", noise=0.5)
    draws = [method.losses(views(), batch(seed=seed))["alignment"].item() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    warm = [method.losses(views(), batch(epoch=0, seed=seed))["alignment"].item() for seed in (0, 1)]
    assert warm[0] == warm[1]


def test_views_apart_and_together_differ_only_through_batch_norm() -> None:
    together, apart = build("byol"), build("byol", joint_views=False)
    for method in (together, apart):
        method.eval()
    a, b = (method.losses(views(), batch())["alignment"] for method in (together, apart))
    torch.testing.assert_close(a, b)


def test_the_target_moves_after_a_step_and_has_no_gradient() -> None:
    method = build("byol", momentum=0.5, momentum_rises=False)
    with torch.no_grad():
        for parameter in method.projector.parameters():
            parameter.fill_(1.0)
        before = method.target_projector[0].weight.clone()
    method.after_step(batch().progress)
    torch.testing.assert_close(method.target_projector[0].weight, 0.5 * before + 0.5)
    assert not any(parameter.requires_grad for parameter in method.target_encoder.parameters())


def received(labels: torch.Tensor) -> list[KMeansResult]:
    return [KMeansResult(labels, torch.zeros(3, 8), 0.0, 1)]


def test_resampling_favours_small_clusters() -> None:
    method = build("propos", resample=True)
    assert method.sampling_weights() is None
    method.receive(torch.zeros(6, 8), received(torch.tensor([0, 0, 0, 0, 1, 1])))
    weights = method.sampling_weights()
    assert weights is not None
    assert weights.tolist() == [0.25] * 4 + [0.5] * 2


def test_the_queue_holds_the_latest_embeddings_and_joins_the_prototypes() -> None:
    method = build("propos", queue=20)
    plain = build("propos")
    labels = torch.arange(12) % 3
    method.receive(torch.zeros(12, 8), received(labels))
    first = method.losses(views(), batch())["scattering"]
    torch.testing.assert_close(first, plain.losses(views(), batch())["scattering"])  # Still empty.
    second = method.losses([view.flip(0) for view in views()], batch())["scattering"]
    assert not torch.isclose(second, first)
    assert method.queue.index.tolist() == [*range(12), *range(8)]
    torch.testing.assert_close(method.queue.embeddings.norm(dim=1), torch.ones(20))
    assert {"queue.embeddings", "queue.index"} <= set(method.state_dict())


def test_configurations_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        method_type("byol").Config().momentum = 0.5


def test_hadis_distils_from_the_first_step() -> None:
    method = build("hadis")
    assert set(method.losses(views(), batch(epoch=0, labels=False))) == {"alignment", "distillation"}
    assert set(method.losses(views(), batch())) == {"alignment", "scattering", "distillation"}


def test_digpros_groups_move_once_a_step_and_are_found_anew() -> None:
    method = build("digpro", regroup_every=1000)
    before = method.groups.clone()
    assert "grouping" in method.losses(
        views(), dataclasses.replace(batch(epoch=0, labels=False), progress=Progress(1, 4, 10, 2))
    )
    assert int((method.bank.index >= 0).sum()) == 24
    moved = (method.groups - before).norm(dim=1)
    assert 0 < float(moved.max()) < 0.1
    assert not method.groups.requires_grad
    method.config = dataclasses.replace(method.config, regroup_every=1)
    method.losses(views(), batch())
    assert float((method.groups - before).norm(dim=1).max()) > 0.1


def test_pcl_needs_as_many_images_as_prototypes() -> None:
    with pytest.raises(UsageError, match="only 8 images"):
        build("pcl").check(8)
    assert build("pcl", granularities=[]).granularities == (75, 150, 300)


def test_moco_remembers_the_keys_of_both_views() -> None:
    method = build("moco", queue=30)
    start = method.queue.embeddings.clone()
    torch.testing.assert_close(start.norm(dim=1), torch.ones(30))
    method.losses(views(), batch())
    assert (method.queue.index >= 0).sum() == 24
    torch.testing.assert_close(method.queue.embeddings[24:], start[:6])


def test_cadecl_starts_its_centers_once() -> None:
    method = build("cadecl")
    assert method.e_step(batch(epoch=0).progress) is None
    after_e_step(method, batch())
    assert float(method.centers.detach().norm()) > 0
    assert method.e_step(batch(epoch=6).progress) is None


def test_simsiams_predictor_is_off_the_schedule() -> None:
    groups = build("simsiam").parameter_groups()
    assert [group.get("constant", False) for group in groups] == [False, True]


def test_propos_takes_responsibilities_as_soft_pseudo_labels() -> None:
    method = build("propos", estep="mixture", queue=20)
    asked = method.e_step(batch().progress)
    assert asked is not None
    assert asked.model == "mixture"
    images = torch.cat(views())
    embeddings = method.eval().embed(images).detach()
    method.train()
    found = expect_clusters(embeddings, len(embeddings), 3, asked, torch.Generator().manual_seed(0))
    method.receive(embeddings, [found])
    given = dataclasses.replace(batch(), pseudo_labels=found.labels[:12].unsqueeze(1))
    soft = method.losses(views(), given)["scattering"]
    assert soft.isfinite()
    assert found.responsibilities is not None
    method.soft_labels = torch.nn.functional.one_hot(found.labels, 3).float()
    method.queue.index.fill_(-1)
    certain = method.losses(views(), given)["scattering"]
    method.soft_labels = None
    method.queue.index.fill_(-1)
    torch.testing.assert_close(certain, method.losses(views(), given)["scattering"])


def test_lnscc_starts_its_centers_in_the_order_of_the_wanted_proportions() -> None:
    method = build("lnscc", proportions=[0.2, 0.5, 0.3], cluster_at=0.3)
    assert method.e_step(batch(epoch=2).progress) is None
    asked = method.e_step(batch(epoch=3).progress)
    assert asked is not None
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    places = corners.repeat_interleave(torch.tensor([50, 30, 20]), dim=0)
    places = places + 0.1 * torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    method.receive(places, [expect_clusters(places, len(places), 3, asked, torch.Generator().manual_seed(0))])
    torch.testing.assert_close(method.centers.detach(), corners[[2, 0, 1]], atol=0.2, rtol=0)
    assert method.e_step(batch(epoch=4).progress) is None
    assert set(method.losses(list(inputs("lnscc", 2, 12)), batch(epoch=0))) == {"contrast"}
    assert set(method.losses(list(inputs("lnscc", 2, 12)), batch())) == {"contrast", "clustering", "balance"}


def test_cc_weighs_its_cluster_head_beside_the_contrast_of_images() -> None:
    # The same networks by the same seed. The paper has 1.
    whole, less = (build("cc", cluster_weight=weight).losses(views(), batch()) for weight in (1.0, 0.25))
    torch.testing.assert_close(less["contrast"], whole["contrast"])
    for name in ("clusters", "balance"):
        torch.testing.assert_close(less[name], whole[name] / 4)
    assert method_type("cc").Config().cluster_weight == 1
