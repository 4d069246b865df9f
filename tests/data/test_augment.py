from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from coterie.data.feeding.augment import AugmentConfig, Normalisation, augment, describe_views
from coterie.data.feeding.augment.colour import colour_maps
from coterie.data.feeding.augment.draws import Draws
from coterie.data.feeding.augment.geometry import along_axes, blur_matrix, crop_boxes, resize_matrix
from coterie.errors import UsageError

NOTHING = AugmentConfig(crop=None, flip=0, jitter=0, grey=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> torch.Tensor:
    """Six smooth colour pictures, (6, 3, 24, 24) uint8."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (6, 6, 6, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((24, 24), Image.Resampling.BICUBIC)) for one in small]
    return torch.from_numpy(np.stack(large).transpose(0, 3, 1, 2).copy())


def test_nothing_asked_nothing_done(pictures: torch.Tensor) -> None:
    assert torch.equal(augment(pictures, NOTHING, generator()), pictures.float() / 255)


def test_the_generator_is_the_only_source_of_randomness(pictures: torch.Tensor) -> None:
    config = AugmentConfig(rotation=20, zoom=0.2, shear=10, shift=0.1, gamma=0.4, noise=0.1, blur=(0.5, 0.5))
    state = torch.get_rng_state()
    first, again = augment(pictures, config, generator(1)), augment(pictures, config, generator(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, augment(pictures, config, generator(2)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(jitter=0, grey=0, flip=0),
        AugmentConfig(crop=None, jitter=0, grey=0, flip=0, rotation=30, shear=10, zoom=0.3, shift=0.2),
        AugmentConfig(crop=None, flip=0, jitter=1, grey=0),
        AugmentConfig(crop=None, flip=0, jitter=0, grey=0, gamma=1.0),
        AugmentConfig(crop=None, flip=0, jitter=0, grey=0, blur=(1.0, 1.0)),
        AugmentConfig(crop=None, flip=0, jitter=0, grey=0, noise=0.1),
    ],
)
def test_every_image_has_parameters_of_its_own(pictures: torch.Tensor, config: AugmentConfig) -> None:
    same = pictures[:1].expand(8, -1, -1, -1)
    views = augment(same, config, generator()).flatten(1)
    assert len(torch.unique(views, dim=0)) == 8
    assert views.isfinite().all()


@pytest.mark.parametrize(("start", "length", "out"), [(0, 24, 24), (3, 17, 24), (2, 20, 8), (5, 7, 24), (23, 1, 24)])
def test_crops_are_pillows_with_antialiasing(pictures: torch.Tensor, start: int, length: int, out: int) -> None:
    one = torch.ones(1)
    matrix = resize_matrix(start * one, length * one, torch.tensor([False]), 24, out)
    ours = along_axes(pictures[:1].float(), matrix, matrix)[0].permute(1, 2, 0)
    image = Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).crop((start, start, start + length, start + length))
    pillow = np.asarray(image.resize((out, out), Image.Resampling.BILINEAR), dtype=np.float32)
    np.testing.assert_allclose(ours.numpy(), pillow, atol=1.01)  # Pillow rounds after each axis.


def test_flips_mirror(pictures: torch.Tensor) -> None:
    flipped = augment(pictures, AugmentConfig(crop=None, flip=1, jitter=0, grey=0), generator())
    torch.testing.assert_close(flipped, pictures.flip(3).float() / 255)
    upside = augment(pictures, AugmentConfig(crop=None, flip=0, vertical_flip=1, jitter=0, grey=0), generator())
    torch.testing.assert_close(upside, pictures.flip(2).float() / 255)


def test_crop_boxes_have_the_asked_areas_and_lie_inside() -> None:
    starts, lengths = crop_boxes(32, AugmentConfig(crop=(0.2, 0.6)), Draws(generator(), 4000))
    assert (starts >= 0).all()
    assert (starts + lengths <= 32).all()
    areas = lengths.prod(dim=1) / 32**2
    assert 0.17 < float(areas.min()) < float(areas.max()) < 0.65
    assert float(areas.mean()) == pytest.approx(0.4, abs=0.01)
    ratios = lengths[:, 1] / lengths[:, 0]
    assert 0.68 < float(ratios.min()) < float(ratios.max()) < 1.5
    assert float(ratios.log().mean()) == pytest.approx(0.0, abs=0.02)


def single(config: AugmentConfig, means: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    matrix, offset = colour_maps(torch.tensor([means]), config, Draws(generator(seed), 1))
    return matrix[0].numpy(), offset[0].numpy()


def test_single_colour_changes_do_what_they_say() -> None:
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "jitter": 1.0, "grey": 0.0}
    means = [0.5, 0.4, 0.1]
    luma = np.array([0.299, 0.587, 0.114])
    matrix, offset = single(AugmentConfig(**{**off, "brightness": 0.4}), means)
    factor = matrix[0, 0]
    np.testing.assert_allclose(matrix, factor * np.eye(3), atol=1e-6)
    assert 0.6 <= factor <= 1.4
    assert factor != 1
    matrix, offset = single(AugmentConfig(**{**off, "contrast": 0.4}), means)
    np.testing.assert_allclose(offset, (1 - matrix[0, 0]) * (luma @ means), atol=1e-6)
    matrix, offset = single(AugmentConfig(**{**off, "saturation": 0.4}), means)
    np.testing.assert_allclose(matrix @ [0.3, 0.3, 0.3], [0.3] * 3, atol=1e-6)  # Greys have no saturation.
    np.testing.assert_allclose(luma @ matrix, luma, atol=1e-6)
    np.testing.assert_allclose(offset, 0, atol=1e-7)
    matrix, _ = single(AugmentConfig(**{**off, "grey": 1.0}), means)
    np.testing.assert_allclose(matrix, np.tile(luma, (3, 1)), atol=1e-6)


def test_hue_turns_near_to_hsv() -> None:
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "jitter": 1.0, "grey": 0.0}
    matrix, _ = colour_maps(torch.full((500, 3), 0.5), AugmentConfig(**off, hue=0.1), Draws(generator(), 500))
    colour = torch.tensor([0.6, 0.35, 0.3])
    hues = np.array([colorsys.rgb_to_hsv(*row)[0] for row in (matrix @ colour).clamp(0, 1).tolist()])
    turns = (hues - colorsys.rgb_to_hsv(*colour.tolist())[0] + 0.5) % 1 - 0.5
    assert 0.06 < turns.max() < 0.16
    assert -0.16 < turns.min() < -0.06
    assert abs(turns.mean()) < 0.02


def test_blur_is_gaussian() -> None:
    point = torch.zeros(1, 1, 31, 31)
    point[0, 0, 15, 15] = 1.0
    matrix = blur_matrix(torch.tensor([1.7]), 31)
    blurred = along_axes(point, matrix, matrix)[0, 0]
    offsets = torch.arange(31) - 15
    expected = torch.exp(-0.5 * (offsets / 1.7).square())
    expected = expected / expected.sum()
    torch.testing.assert_close(blurred, torch.outer(expected, expected), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(blur_matrix(torch.tensor([0.0]), 31)[0], torch.eye(31))


def test_blur_near_to_pillows(pictures: torch.Tensor) -> None:
    matrix = blur_matrix(torch.tensor([1.0]), 24)
    ours = along_axes(pictures[:1].float(), matrix, matrix)[0].permute(1, 2, 0).numpy()
    image = Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).filter(ImageFilter.GaussianBlur(1.0))
    # Pillow approximates the Gaussian by boxes and treats borders otherwise.
    np.testing.assert_allclose(ours[4:-4, 4:-4], np.asarray(image, dtype=np.float32)[4:-4, 4:-4], atol=4)


def test_the_shares_of_images_changed_are_those_asked_for() -> None:
    raw = torch.full((2000, 3, 8, 8), 128, dtype=torch.uint8)
    raw[:, 0] = 200
    views = augment(raw, AugmentConfig(crop=None, flip=0, jitter=0, grey=0.2), generator())
    assert float((views[:, 0] == views[:, 1]).all(dim=(1, 2)).float().mean()) == pytest.approx(0.2, abs=0.03)
    views = augment(raw, AugmentConfig(crop=None, flip=0, jitter=0.8, grey=0), generator())
    changed = (views - raw / 255.0).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert float(changed.float().mean()) == pytest.approx(0.8, abs=0.03)
    solarize = AugmentConfig(crop=None, flip=0, jitter=0, grey=0, solarize=(0.0, 0.3))
    second = augment(raw, solarize, generator(), view=1)
    assert float((second[:, 0, 0, 0] < 0.5).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(augment(raw, solarize, generator(), view=0), raw / 255.0)


def test_large_images_too() -> None:
    raw = torch.randint(0, 255, (2, 3, 224, 224), dtype=torch.uint8, generator=generator())
    assert augment(raw, AugmentConfig(), generator()).shape == (2, 3, 224, 224)


def test_grey_images_stay_grey() -> None:
    raw = torch.randint(0, 255, (4, 1, 16, 16), dtype=torch.uint8, generator=generator())
    assert augment(raw, AugmentConfig(), generator()).shape == (4, 1, 16, 16)


def test_normalisation() -> None:
    normalisation = Normalisation((0.5,), (0.25,))
    assert normalisation.plain(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)).eq(2).all()


@pytest.mark.parametrize(
    "options",
    [{"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}, {"flip": 1.2}, {"noise": -1.0}, {"hue": 0.7}, {"blur": (0.1, 2.0)}],
)
def test_senseless_strengths_are_refused(options: dict) -> None:
    with pytest.raises(UsageError, match=r"augment\."):
        AugmentConfig(**options)


def test_views_in_words() -> None:
    assert describe_views(AugmentConfig()) == "cropped, flipped and recoloured"
    assert describe_views(AugmentConfig(crop=None, flip=0, jitter=0, grey=0, noise=0.1)) == "noisy"
    assert describe_views(NOTHING) == "left as they are"


def test_a_share_of_a_batch_gets_the_views_it_has_in_the_whole() -> None:
    raw = torch.randint(0, 256, (12, 3, 16, 16), generator=generator(), dtype=torch.uint8)
    config = AugmentConfig(
        noise=0.1, blur=(0.5, 0.5), solarize=(0.5, 0.5), rotation=10, zoom=0.1, shear=5, shift=0.1, gamma=0.2
    )
    whole = augment(raw, config, generator(3))
    shares = [augment(raw[part], config, Draws(generator(3), 12, part)) for part in (slice(0, 4), slice(4, 12))]
    torch.testing.assert_close(torch.cat(shares), whole)
