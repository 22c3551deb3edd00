"""The output layer's cross-entropy in chunks: the CUDA kernel under emulation, and the CPU path, against
PyTorch."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from dasr.cuda import kernels
from dasr.models.fast_head import linear_cross_entropy

LAUNCHER = """
extern "C" void launch(u32 blocks, bf16* x, int* labels, float* losses, float* sums, int rows, float scale) {
    run(blocks, 1024, 4 * STRIDE + 256, [=] { softmax_gradient(x, labels, losses, sums, rows, scale); });
}
"""


@pytest.mark.parametrize(("rows", "columns"), [(5, 37), (4, 9001)])
def test_softmax_kernel_equals_autograd_and_leaves_out_uncounted_rows(
    rows: int, columns: int, tmp_path: Path
) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    kernel = "".join((kernels.SOURCES / name).read_text() for name in ("vectors.cuh", "head.cu"))
    text = f"#define COLUMNS {columns}\n#include <emulated_gpu.h>\n{kernel}{LAUNCHER}"
    (tmp_path / "head.cpp").write_text(text)
    include = f"-I{Path(__file__).parents[1] / 'support'}"
    command = [compiler, "-O1", "-std=c++17", "-shared", "-fPIC", include, "-o", "head.so", "head.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)
    launch = ctypes.CDLL(str(tmp_path / "head.so")).launch

    torch.manual_seed(rows)
    stride, blocks, scale = -(-columns // 8) * 8, 2, 0.25
    stored = torch.full((rows, stride), torch.nan, dtype=torch.bfloat16)
    stored[:, :columns] = 4 * torch.randn(rows, columns)
    logits = stored[:, :columns].float().requires_grad_()
    labels = torch.randint(columns, (rows,), dtype=torch.int32)
    labels[1] = -1
    expected = functional.cross_entropy(logits, labels.long(), ignore_index=-1, reduction="none")
    (scale * expected.sum()).backward()
    losses, sums = torch.full((rows,), torch.nan), torch.full((blocks, stride), torch.nan)
    pointers = (ctypes.c_void_p(t.data_ptr()) for t in (stored, labels, losses, sums))
    launch(blocks, *pointers, rows, ctypes.c_float(scale))
    assert logits.grad is not None
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stored[:, :columns].float(), logits.grad, rtol=2**-8, atol=1e-8)
    torch.testing.assert_close(sums.sum(0)[:columns], logits.grad.sum(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk_rows", [7, 64])
def test_chunked_output_layer_equals_cross_entropy_of_a_linear_layer(chunk_rows: int) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(12, 37)
    z = torch.randn(50, 12, requires_grad=True)
    labels = torch.randint(-1, 37, (50,), dtype=torch.int32)
    expected = functional.cross_entropy(linear(z), labels.long(), ignore_index=-1, reduction="sum")
    (expected / 50).backward()
    d_weight, d_bias = torch.full_like(linear.weight, torch.nan), torch.full_like(linear.bias, torch.nan)
    loss, dz = linear_cross_entropy(
        z.detach(), linear.weight.detach(), linear.bias.detach(), labels, 1 / 50, d_weight, d_bias, chunk_rows
    )
    torch.testing.assert_close(loss, expected.detach())
    for found, gradient in ((dz, z.grad), (d_weight, linear.weight.grad), (d_bias, linear.bias.grad)):
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-7)
