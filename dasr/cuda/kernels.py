"""Compiles and launches the CUDA kernels of `cuda/`, with NVRTC (a part of PyTorch's CUDA wheels): no
toolkit is needed."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dasr import torch_private

SOURCES = Path(__file__).parent
RECURRENCE = ("blstm.cuh", "blstm_forward.cu", "blstm_backward.cu")
HOPPER = (9, 0)  # the recurrence is written for its matrix unit


@lru_cache
def available(device: torch.device) -> bool:
    """Whether NVRTC's Python bindings are installed for a GPU."""
    if device.type != "cuda":
        return False
    try:
        import cuda.bindings.driver
        import cuda.bindings.nvrtc  # noqa: F401
    except ImportError:
        return False
    return True


def matrix_product(columns: int) -> str:
    """CUDA text of `mma_<columns>`: float acc[64 x columns] (+)= bf16 a[64 x 16] b[columns x 16]^T, a
    warpgroup, both in shared memory."""
    registers = columns // 2
    shape = f"m64n{columns}k16.f32.bf16.bf16"
    accumulators = ", ".join(f"%{i}" for i in range(registers))
    outputs = ", ".join(f'"+f"(d[{i}])' for i in range(registers))
    a, b, scale = (f"%{registers + i}" for i in range(3))
    return f"""
DEVICE void mma_{columns}(float (&d)[{registers}], u64 a, u64 b, int accumulate) {{
    asm volatile("{{.reg .pred p; setp.ne.b32 p, {scale}, 0; "
        "wgmma.mma_async.sync.aligned.{shape} {{{accumulators}}}, {a}, {b}, p, 1, 1, 0, 0;}}"
        : {outputs} : "l"(a), "l"(b), "r"(accumulate));
}}
"""


def recurrence_source(cells: int, team: int) -> str:
    """CUDA text of the recurrence for `cells` cells a direction; `team`: threads that carry a tile
    backward."""
    products = "".join(matrix_product(columns) for columns in sorted({128, cells // 2}))
    defines = f"#define HIDDEN {cells}\n#define MMA_HALF mma_{cells // 2}\n#define TEAM {team}\n"
    return defines + _text("hopper.cuh", "vectors.cuh") + products + _text(*RECURRENCE)


def head_source(columns: int) -> str:
    """CUDA text of the softmax's gradient over `columns` outputs."""
    return f"#define COLUMNS {columns}\n" + _text("hopper.cuh", "vectors.cuh", "head.cu")


def _text(*names: str) -> str:
    return "".join((SOURCES / name).read_text() for name in names)


def compiled(source: str, architecture: str = "sm_90a") -> bytes:
    """The cubin of a CUDA text. Raises RuntimeError with the compiler's log."""
    from cuda.bindings import nvrtc

    def checked(result: Any) -> Any:
        code, *values = result
        if code != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise RuntimeError(f"NVRTC: {code}: {log()}")
        return values[0] if values else None

    def log() -> str:
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        text: bytes = b" " * size
        nvrtc.nvrtcGetProgramLog(program, text)
        return text.decode(errors="replace")

    program = None
    program = checked(nvrtc.nvrtcCreateProgram(source.encode(), b"dasr.cu", 0, [], []))
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    checked(nvrtc.nvrtcCompileProgram(program, len(options), options))
    cubin: bytes = b" " * checked(nvrtc.nvrtcGetCUBINSize(program))
    checked(nvrtc.nvrtcGetCUBIN(program, cubin))
    checked(nvrtc.nvrtcDestroyProgram(program))
    return cubin


class Kernel:
    """One kernel, launched on PyTorch's current stream."""

    def __init__(self, module: Any, name: str, threads: int, shared_bytes: int, cooperative: bool):
        """`cooperative`: its blocks wait for each other, so all of them must run at once."""
        from cuda.bindings import driver

        self.driver, self.name, self.threads, self.shared_bytes = driver, name, threads, shared_bytes
        self.launch = driver.cuLaunchCooperativeKernel if cooperative else driver.cuLaunchKernel
        self.end = () if cooperative else (0,)  # cuLaunchKernel takes `extra` too
        self.function = self._checked(driver.cuModuleGetFunction(module, name.encode()))
        limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        self._checked(driver.cuFuncSetAttribute(self.function, limit, shared_bytes))

    def __call__(self, blocks: int, *arguments: Tensor | int | float) -> None:
        values = tuple(a.data_ptr() if isinstance(a, Tensor) else a for a in arguments)
        kinds = {int: ctypes.c_int, float: ctypes.c_float}
        types = tuple(kinds.get(type(a), ctypes.c_void_p) for a in arguments)
        # torch.cuda.current_stream() takes a slow host 14 us
        stream = torch_private.raw_stream(torch.cuda.current_device())
        shape = (blocks, 1, 1, self.threads, 1, 1, self.shared_bytes, stream)
        self._checked(self.launch(self.function, *shape, (values, types), *self.end))

    def _checked(self, result: Any) -> Any:
        code, *values = result
        if code != self.driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"{self.name}: {code}")
        return values[0] if values else None


MOST_COMBINED = 6  # vectors that one launch of `combine` adds


def combine_source(count: int, width: int, narrow: int) -> str:
    """CUDA text of the weighted sum of vectors, `width` numbers at a time; the last `narrow` are bf16."""
    defines = f"#define COUNT {count}\n#define WIDTH {width}\n#define NARROW {narrow}\n"
    return defines + _text("hopper.cuh", "combine.cu")


@lru_cache
def combine(count: int, width: int, narrow: int, device_index: int) -> Kernel:
    """The kernel that adds `count` vectors, on any GPU from Ampere on."""
    source = combine_source(count, width, narrow)
    module = _loaded(compiled(source, _architecture(device_index)), device_index)
    return Kernel(module, "combine", 512, 0, cooperative=False)


@lru_cache
def recurrence(cells: int, team: int, device_index: int) -> tuple[Kernel, Kernel]:
    """(blstm_forward, blstm_backward) for that width on that device, compiled at the first call (seconds)."""
    module = _loaded(compiled(recurrence_source(cells, team)), device_index)
    forward = Kernel(module, "blstm_forward", 256, cells * 256 + 2 * 6 * 8192 + 512, cooperative=True)
    backward = cells * 256 + 256 // team * (2 * 8192 + 8192) + 32768
    return forward, Kernel(module, "blstm_backward", 256, backward, cooperative=True)


@lru_cache
def softmax_gradient(columns: int, device_index: int) -> Kernel:
    """The kernel of the output layer for that many outputs, on any GPU from Ampere on."""
    module = _loaded(compiled(head_source(columns), _architecture(device_index)), device_index)
    row = -(-columns // 8) * 16
    return Kernel(module, "softmax_gradient", 1024, 2 * row + 256, cooperative=False)


def _architecture(device_index: int) -> str:
    major, minor = torch.cuda.get_device_capability(device_index)
    return f"sm_{major}{minor}"


def _loaded(cubin: bytes, device_index: int) -> Any:
    from cuda.bindings import driver

    with torch.cuda.device(device_index):
        torch.cuda.current_stream().synchronize()  # makes the device's context current
        code, module = driver.cuModuleLoadData(cubin)
        if code != driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"cannot load the CUDA kernels: {code}")
    return module
