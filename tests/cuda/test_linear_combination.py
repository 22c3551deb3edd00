"""Weighted sums: the CUDA kernel under emulation, and the CPU path, against NumPy."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from dasr.cuda import kernels
from dasr.cuda.linear_combination import combine_

EMULATION = Path(__file__).parents[1] / "support"
FACTORS = [0.5, -0.25, 1.0, -0.1]
LAUNCHER = """
extern "C" void launch(float* out, void** v, float* f, int length) {
    run(3, 512, 16, [=] {
        combine(out, v[0], v[1], v[2], v[3], out, out, f[0], f[1], f[2], f[3], 0, 0, length);
    });
}
"""


def vectors(length: int) -> list[torch.Tensor]:
    torch.manual_seed(length)
    return [torch.randn(length) for _ in FACTORS]


def expected(terms: list[torch.Tensor]) -> torch.Tensor:
    return sum((f * v.double() for f, v in zip(FACTORS, terms, strict=True)), start=torch.zeros(()))


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("narrow", [0, 1, 2])
def test_the_kernel_adds_in_one_pass_also_into_one_of_the_vectors(
    width: int, narrow: int, tmp_path: Path
) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    kernel = (kernels.SOURCES / "combine.cu").read_text()
    defines = f"#define COUNT 4\n#define WIDTH {width}\n#define NARROW {narrow}\n"
    (tmp_path / "sum.cpp").write_text(f"{defines}#include <emulated_gpu.h>\n{kernel}{LAUNCHER}")
    command = [compiler, "-O1", "-std=c++17", "-shared", "-fPIC", f"-I{EMULATION}", "-o", "sum.so", "sum.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)
    launch = ctypes.CDLL(str(tmp_path / "sum.so")).launch
    terms = vectors(4 * 1000)
    for place in range(4 - narrow, 4):
        terms[place] = terms[place].bfloat16()
    wanted, out = expected(terms), terms[1]
    pointers = (ctypes.c_void_p * 4)(*(v.data_ptr() for v in terms))
    factors = (ctypes.c_float * 4)(*FACTORS)
    launch(ctypes.c_void_p(out.data_ptr()), pointers, factors, len(out) // width)
    torch.testing.assert_close(out.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cpu_path_gives_the_same_sum(dtype: torch.dtype) -> None:
    terms = [v.to(dtype) for v in vectors(77)]
    wanted = expected(terms)
    given = combine_(terms[2], list(zip(FACTORS, terms, strict=True)))
    assert given is terms[2]
    np.testing.assert_allclose(given.double().numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_equal_models_stay_as_they_are() -> None:
    """What partners exchanged is subtracted before it meets the weights: nothing is rounded twice."""
    weights = torch.randn(1000)
    same = weights.clone()
    combine_(weights, [(1 / 3, same), (-1 / 3, same.clone()), (1.0, weights)])
    assert torch.equal(weights, same)
