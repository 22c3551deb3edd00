"""The recurrence's CUDA kernels, run on the CPU by an emulation of what they ask of a GPU, against
nn.LSTM."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from dasr.cuda import kernels

CELLS, BLOCKS = 64, 2  # cells a direction; blocks of 32 of them
LAUNCHERS = """
extern "C" void forward(u32 blocks, bf16* g, bf16* w0, bf16* w1, float* a0, float* a1, float* a2, float* a3,
                        bf16* y, float* c, u32* n, int T, int B, int groups, int wave) {
    run(blocks, 256, 256 * HIDDEN + 98304 + 512,
        [=] { blstm_forward(g, w0, w1, a0, a1, a2, a3, y, c, n, T, B, groups, wave); });
}
extern "C" void backward(u32 blocks, bf16* g, bf16* w0, bf16* w1, bf16* dy, float* c, bf16* p, float* db,
                         u32* n, int T, int B, int groups) {
    run(blocks, 256, 256 * HIDDEN + TEAMS * 24576 + 32768,
        [=] { blstm_backward(g, w0, w1, dy, c, p, db, n, T, B, groups); });
}
"""


class Emulated(NamedTuple):
    """The kernels, compiled for the CPU, and how many tiles a block of threads has in the backward pass."""

    forward: Any
    backward: Any
    teams: int


@pytest.fixture(scope="module", params=[128, 256])
def emulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """The kernels with that many threads a tile in the backward pass."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("emulated")
    texts = "".join((kernels.SOURCES / name).read_text() for name in ("vectors.cuh", *kernels.RECURRENCE))
    defines = f"#define HIDDEN {CELLS}\n#define TEAM {request.param}\n"
    products = "#define MMA_HALF multiply\n#define mma_128 multiply\n#include <emulated_gpu.h>\n"
    text = defines + products + texts + LAUNCHERS
    (folder / "blstm.cpp").write_text(text)
    here = Path(__file__).parents[1] / "support"
    command = [compiler, "-O2", "-std=c++17", "-shared", "-fPIC", f"-I{here}", "-o", "blstm.so", "blstm.cpp"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "blstm.so"))
    return Emulated(library.forward, library.backward, 256 // request.param)


def call(function: Any, blocks: int, *arguments: Tensor | int) -> None:
    function(blocks, *(ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments))


@pytest.mark.parametrize(("batch", "groups", "wave"), [(64, 1, 2), (200, 2, 2), (200, 1, 2)])
def test_recurrence_kernels_equal_an_lstm_layer_for_any_number_of_tiles_groups_and_waves(
    emulated: Emulated, batch: int, groups: int, wave: int
) -> None:
    torch.manual_seed(batch)
    steps, inputs = 3, 24
    layer = torch.nn.LSTM(inputs, CELLS, bidirectional=True)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.copy_((3 * weight).bfloat16())
    x = torch.randn(steps, batch, inputs)
    y, _ = layer(x)
    dy = torch.randn_like(y).bfloat16()
    y.backward(dy.float())

    w = dict(layer.named_parameters())
    gates = (
        torch.stack([x @ w["weight_ih_l0"].T, x @ w["weight_ih_l0_reverse"].T], 2)
        .detach()
        .bfloat16()
        .contiguous()
    )
    recurrent = [w["weight_hh_l0"].detach().bfloat16(), w["weight_hh_l0_reverse"].detach().bfloat16()]
    biases = [w[f"bias_{of}_l0{end}"].detach() for end in ("", "_reverse") for of in ("ih", "hh")]
    tiles = -(-batch // 64)
    out = torch.full((steps, batch, 2 * CELLS), torch.nan, dtype=torch.bfloat16)
    state = torch.full((steps, batch, 2 * CELLS), torch.nan)
    sizes = (steps, batch, groups)
    blocks = 2 * groups * BLOCKS
    call(
        emulated.forward,
        blocks,
        gates,
        *recurrent,
        *biases,
        out,
        state,
        torch.zeros(2 * tiles, dtype=torch.int32),
        *sizes,
        wave,
    )
    assert (out - y).norm() < 6e-3 * y.norm()

    mail = torch.full((2, 2, groups, emulated.teams, BLOCKS, BLOCKS, 64, 32), torch.nan, dtype=torch.bfloat16)
    sums = torch.full((groups, 2, 4 * CELLS), torch.nan)
    arrived = torch.zeros(2 * tiles, dtype=torch.int32)
    call(emulated.backward, blocks, gates, *recurrent, dy, state, mail, sums, arrived, *sizes)
    for direction, end in enumerate(("", "_reverse")):
        d_gates = gates[:, :, direction].float().reshape(-1, 4 * CELLS)
        for found, name in (
            (d_gates.T @ x.reshape(-1, inputs), f"weight_ih_l0{end}"),
            (sums[:, direction].sum(0), f"bias_ih_l0{end}"),
        ):
            gradient = w[name].grad
            assert gradient is not None
            assert (found - gradient).norm() < 1e-2 * gradient.norm(), name
