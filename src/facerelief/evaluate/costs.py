"""What a network costs: parameters, multiply-accumulates and milliseconds of its ONNX file."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import shape_inference

from facerelief.runtime import CPU, CROP_SIZE, Estimator, find_providers, load

_RUNS = 15
_GPUS = ("cuda", "rocm", "tensorrt", "coreml", "dml")


@dataclass(frozen=True)
class Costs:
    """Of one 256 x 256 crop."""

    parameters: int  # of convolutions and matrices, norms folded in as exported
    multiply_accumulates: int  # of the same; a transposed convolution's at its input's size
    cpu_ms: float  # median, network and post-processing
    gpu_ms: float | None  # the same where ONNX Runtime has a GPU


def costs(name: str, threads: int | None = None) -> Costs:
    """Of a system of the catalogue or an .onnx file; errors as `facerelief.load`."""
    estimator = load(name, threads=threads)
    parameters, products = count(estimator.entry.path)
    return Costs(parameters, products, _milliseconds(estimator), _gpu_milliseconds(name))


def count(path: Path) -> tuple[int, int]:
    """Parameters and multiply-accumulates of the weighted layers of an exported file."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]  # of any number of faces; inferred for one
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    made = {node.output[0]: node.input[0] for node in graph.node if node.op_type in ("Cast", "Mul")}
    sizes = {initializer.name: list(initializer.dims) for initializer in graph.initializer}

    def kernel(name: str) -> list[int]:
        """Dimensions of a weight, which may be stored as integers and a scale."""
        while name not in sizes and name in made:
            name = made[name]
        return sizes.get(name, [])

    parameters = products = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        dims = kernel(node.input[1])
        if not dims:
            continue  # both factors are made of the picture
        weight = int(np.prod(dims))
        biases = kernel(node.input[2]) if len(node.input) > 2 else [0]
        parameters += weight + int(np.prod(biases))
        places = shapes[node.input[0] if node.op_type == "ConvTranspose" else node.output[0]]
        products += weight * int(np.prod(places[2:] if node.op_type.startswith("Conv") else [1]))
    return parameters, products


def _milliseconds(estimator: Estimator) -> float:
    crops = np.random.default_rng(0).integers(0, 256, (1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for _ in range(3):
        estimator.estimate_crops(crops)
    times = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        estimator.estimate_crops(crops)
        times.append(time.perf_counter() - begin)
    return round(1000 * statistics.median(times), 2)


def _gpu_milliseconds(name: str) -> float | None:
    for gpu in _GPUS:
        try:
            providers = find_providers(gpu)
        except ValueError:
            continue
        estimator = load(name, providers=providers)
        if estimator.providers[0] != CPU:
            return _milliseconds(estimator)
    return None
