"""Graphs as ONNX models, by themselves or behind another model. Only this module imports onnx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from calibtool.calibrators.export.graph import OPSET, Graph
from calibtool.errors import InputError, UsageError
from calibtool.version import __version__

IR_VERSION = 7  # the version of the file format that was released with OPSET
LARGEST = (1 << 31) - 1  # bytes in a protobuf message, by its specification


def require_onnx() -> Any:
    """Return the package onnx; raise UsageError if it is not installed."""
    try:
        import onnx
        import onnx.version_converter
    except ImportError as error:
        raise UsageError(
            "ONNX files need the package onnx, which is not installed; "
            "run: pip install 'calibtool[onnx]'"
        ) from error
    return onnx


def alone(g: Graph, name: str, result: str, about: str) -> bytes:
    """Return a serialised model of this graph only, from (N, K) or (N, 1) float32 to (N, K)."""
    onnx = require_onnx()
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    columns = 1 if g.form.one_column else g.classes
    graph = helper.make_graph(
        _nodes(g),
        "calibrate",
        [helper.make_tensor_value_info(name, float32, ["N", columns])],
        [helper.make_tensor_value_info(result, float32, ["N", g.classes])],
        _constants(g),
    )
    model = helper.make_model(
        graph,
        producer_name="calibtool",
        producer_version=__version__,
        doc_string=about,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", g.opset)],
    )
    return _whole(model, "the model")


@dataclass
class Host:
    """A model that gets a calibrator behind one of its outputs.

    Attributes:
        path: its file.
        model: the model itself.
        output: the name of that output.
        dtype: the dtype of the output.
        one_column: whether the output is (N, 1).
        opset: the version of the model's default operators, at least 13.
    """

    path: str
    model: Any
    output: str
    dtype: DTypeLike
    one_column: bool
    opset: int

    @classmethod
    def read(
        cls, path: str | Path, output: str | None, classes: int, *, one_column: bool = False
    ) -> Self:
        """Read a model from its file.

        Args:
            path: the file.
            output: the name of the output to calibrate; None if there is only one.
            classes: K of the calibrator.
            one_column: whether the output is (N, 1), if the file does not say so.

        Raises InputError for a file that is not a model, UsageError for outputs that do not fit.
        """
        where = str(path)
        model = _read(where)
        opset = _opset(model)
        if opset < OPSET:
            model, opset = _converted(model, where, opset), OPSET
        tensor = _output(model, where, output)
        dtype, columns = _dtype_and_columns(tensor, where)
        if one_column and columns not in (None, 1):
            raise UsageError(f"{where}: {tensor.name} has {columns} columns; omit --one-column")
        if columns not in (None, classes) and not (columns == 1 and classes == 2):
            raise UsageError(
                f"{where}: {tensor.name} has {columns} columns, the calibrator was fitted for "
                f"{classes} classes"
            )
        return cls(where, model, tensor.name, dtype, one_column or columns == 1, opset)

    @property
    def prefix(self) -> str:
        """The prefix of names inside the calibrator: one that no name in the model has."""
        prefix = "calibtool/"
        while any(name.startswith(prefix) for name in self._names()):
            prefix = f"again/{prefix}"
        return prefix

    @property
    def result(self) -> str:
        """The name of the calibrated probabilities: one that is not taken in the model."""
        name, taken = "probabilities", self._names()
        while name in taken:
            name = f"calibrated_{name}"
        return name

    def extended(self, g: Graph, about: str) -> bytes:
        """Return the serialised model with the calibrator's graph, whose result is its output."""
        onnx, result = require_onnx(), self.result
        graph = self.model.graph
        graph.node.extend(_nodes(g))
        graph.initializer.extend(_constants(g))
        output = next(value for value in graph.output if value.name == self.output)
        rows = "N"
        if output.type.tensor_type.HasField("shape"):
            first = output.type.tensor_type.shape.dim[0]
            rows = first.dim_value or first.dim_param or "N"
        kind = onnx.TensorProto.FLOAT
        output.CopyFrom(onnx.helper.make_tensor_value_info(result, kind, [rows, g.classes]))
        self.model.ir_version = max(self.model.ir_version, IR_VERSION)
        self.model.metadata_props.add(key=g.prefix + __version__, value=about)
        return _whole(self.model, self.path)

    def _names(self) -> set[str]:
        graph = self.model.graph
        values = (*graph.input, *graph.initializer, *graph.output)
        inner = {name for node in graph.node for name in node.output}
        return {value.name for value in values} | inner


def _read(where: str) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    onnx = require_onnx()
    try:
        model = onnx.load(where, format="protobuf")
    except DecodeError as error:
        raise InputError(f"{where}: not an ONNX model, or truncated") from error
    except OSError as error:
        raise InputError(f"{where}: {error.strerror or error}") from error
    except (ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"{where}: cannot be read completely: {error}") from error
    if not model.ir_version or not model.graph.output:
        raise InputError(f"{where}: not an ONNX model: it has no graph")
    return model


def _opset(model: Any) -> int:
    opsets = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if not opsets:  # all its operators are from another domain
        opsets = [model.opset_import.add(domain="", version=OPSET)]
    return int(opsets[0].version)


def _converted(model: Any, where: str, opset: int) -> Any:
    onnx = require_onnx()
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
        raise UsageError(
            f"{where}: has opset {opset} and cannot be converted to {OPSET}, which the calibrator "
            f"needs ({error}); export the model again with opset {OPSET} or later"
        ) from error


def _output(model: Any, where: str, name: str | None) -> Any:
    names = [output.name for output in model.graph.output]
    if name is None and len(names) > 1:
        raise UsageError(
            f"{where}: has {len(names)} outputs; name the one to calibrate with --output-name: "
            f"{', '.join(names)}"
        )
    if name is not None and name not in names:
        raise UsageError(f"{where}: has no output {name!r}; its outputs are {', '.join(names)}")
    return model.graph.output[names.index(name) if name else 0]


def _dtype_and_columns(output: Any, where: str) -> tuple[DTypeLike, int | None]:
    """Return the dtype of an output, and its number of columns if that is known."""
    onnx = require_onnx()
    if output.type.WhichOneof("value") != "tensor_type":
        raise UsageError(
            f"{where}: {output.name} is not a tensor; if the model comes from scikit-learn, "
            "convert it with zipmap=False"
        )
    tensor = output.type.tensor_type
    kinds = {
        onnx.TensorProto.FLOAT: np.float32,
        onnx.TensorProto.FLOAT16: np.float16,
        onnx.TensorProto.DOUBLE: np.float64,
    }
    if tensor.elem_type not in kinds:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise UsageError(
            f"{where}: {output.name} holds {kind}; logits or probabilities must be float16, float "
            "or double"
        )
    if not tensor.HasField("shape"):
        return kinds[tensor.elem_type], None
    dims = tensor.shape.dim
    if len(dims) != 2:
        raise UsageError(
            f"{where}: {output.name} has {len(dims)} dimensions; (rows, classes) are expected"
        )
    return kinds[tensor.elem_type], dims[1].dim_value or None


def _nodes(g: Graph) -> list[Any]:
    helper = require_onnx().helper
    nodes = []
    for op, inputs, out, attributes in g.nodes:
        converted = {
            name: helper.np_dtype_to_tensor_dtype(v) if isinstance(v, np.dtype) else v
            for name, v in attributes.items()
        }
        nodes.append(helper.make_node(op, inputs, [out], name=g.prefix + out, **converted))
    return nodes


def _constants(g: Graph) -> list[Any]:
    from_array = require_onnx().numpy_helper.from_array
    return [from_array(np.ascontiguousarray(v), name) for name, v in g.constants.items()]


def _whole(model: Any, where: str) -> bytes:
    """Return the serialised model; raise UsageError if it is too large."""
    if model.ByteSize() > LARGEST:
        raise UsageError(f"{where}: is over 2 GB with the calibrator; ONNX files cannot be larger")
    data: bytes = model.SerializeToString()
    return data
