"""The whole network as an ONNX graph: from pixels or features to embedding, probabilities and cluster.

torch's TorchScript exporter writes it. It needs no package but onnx and takes a second, where the one on torch.export
needs onnxscript of a fitting version and many times as long; both give the same figures.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from coterie.errors import CoterieError
from coterie.export.base import Format, Subject
from coterie.extras import require

# Layer normalisation is one operator from here on.
_OPSET = 17
# More than the last digits of float32, and the graph is wrong.
_TOLERANCE = 1e-4


def check(subject: Subject) -> None:
    from coterie.export._network import check_one_shape

    require("onnx", extra="onnx", what="--onnx")
    check_one_shape(subject.model, "--onnx")


def write(subject: Subject, target: Path) -> str:
    """Write one graph, whose first dimension is free; what it takes and gives is in its metadata.

    Raises:
        CoterieError: ONNX lacks an operator, or onnxruntime comes to other figures than we do.
    """
    from coterie.export._network import Network, describe_input
    from coterie.files import write_atomically

    network = Network(subject.model, subject.pixels)
    graph = _traced(network, subject)
    _describe(graph, subject)
    content = graph.SerializeToString()
    difference = _difference(content, network, subject)
    write_atomically(target, lambda stream: stream.write(content))
    checked = "not checked, for want of onnxruntime"
    if difference is not None:
        checked = f"onnxruntime agrees to {difference:.0e}"
    takes, gives = describe_input(subject.model, subject.pixels), ", ".join(Network.OUTPUTS)
    return f"{target}: ONNX, {takes} to {gives}; {checked}"


def _traced(network: Any, subject: Subject) -> Any:
    """The graph, as onnx's `ModelProto`."""
    import torch

    from coterie.export._network import examples

    names = [_input_name(subject), *network.OUTPUTS]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter is deprecated, and says of every constant that it is one.
        warnings.simplefilter("ignore")
        path = Path(folder) / "graph.onnx"
        try:
            torch.onnx.export(
                network,
                (examples(subject.model, subject.pixels, 2),),
                str(path),
                input_names=names[:1],
                output_names=names[1:],
                dynamic_axes={name: {0: "n"} for name in names},
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:  # There are many kinds of operators that ONNX may lack.
            reason = " ".join(str(error).split())[:200]
            raise CoterieError(f"--onnx: this network cannot be written as ONNX: {reason}") from None
        return require("onnx", extra="onnx", what="--onnx").load(path)


def _describe(graph: Any, subject: Subject) -> None:
    """Give the graph its metadata: strings, of which lists are JSON."""
    import coterie
    from coterie.export._network import describe_input, preparation

    model = subject.model
    properties = {
        "method": model.blueprint.method,
        "backbone": model.blueprint.backbone,
        "input": describe_input(model, subject.pixels),
        "preparation": preparation(model),
        "normalisation": "inside the graph",
        "embedding": "of unit length" if model.groups.metric == "cosine" else "compared by Euclidean distance",
        "clusters": json.dumps(subject.names),
    }
    require("onnx", extra="onnx", what="--onnx").helper.set_model_props(graph, properties)
    graph.producer_name, graph.producer_version = "coterie", coterie.__version__


def _difference(content: bytes, network: Any, subject: Subject) -> float | None:
    """How far onnxruntime is from our own figures, relative to them where they are large; None without onnxruntime."""
    import torch

    from coterie.export._network import examples

    try:
        import onnxruntime
    except ImportError:
        return None
    # Another number than the graph was traced with, as it must not depend on that.
    inputs = examples(subject.model, subject.pixels, 5)
    try:
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 4  # What goes wrong is raised as well.
        session = onnxruntime.InferenceSession(content, quiet, providers=["CPUExecutionProvider"])
        found = session.run(None, {_input_name(subject): inputs.numpy()})
    except Exception as error:  # onnxruntime has its own kinds.
        reason = " ".join(str(error).split())[:200]
        raise CoterieError(f"--onnx: onnxruntime cannot run the graph, so nothing was written: {reason}") from None
    with torch.inference_mode():
        wanted = network(inputs)
    # Clusters follow from probabilities; of two that are equally likely, either may be found.
    pairs = [(torch.from_numpy(theirs), ours) for theirs, ours in zip(found[:2], wanted[:2], strict=True)]
    difference = max(float(((theirs - ours).abs() / ours.abs().clamp(min=1)).max()) for theirs, ours in pairs)
    if not difference < _TOLERANCE:
        raise CoterieError(f"--onnx: onnxruntime's figures differ by {difference:.0e} from ours; nothing was written")
    return difference


def _input_name(subject: Subject) -> str:
    from coterie.export._network import takes_images

    return "images" if takes_images(subject.model) else "features"


FORMAT = Format(
    "the whole network as ONNX, from images or features to embedding, probabilities, cluster, confidence and outlier",
    write,
    check,
    default="model.onnx",
)
