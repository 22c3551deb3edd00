"""The output layer and its cross-entropy, forward and backward, in chunks of rows: logits are never kept as
a whole, nor in float32.

A kernel turns a chunk of bf16 logits into their gradient in place, as Liger-Kernel does (arXiv 2410.10989);
unlike there, one launch
also sums the gradient over rows, which is the bias' gradient, so each logit is read once and written once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dasr.cuda import kernels
from dasr.models.fast_recurrence import product_into

CHUNK_ROWS = 10_752  # 688 MB of bf16 logits for 32,000 states
COLUMNS_AT_MOST = 32_768  # that a block of the kernel holds


def softmax_gradient_(logits: Tensor, labels: Tensor, scale: float, losses: Tensor, sums: Tensor) -> None:
    """Replace logits [rows, outputs] by scale * d(cross-entropy)/d(logits); label -1: zeros.

    labels: int32 [rows]; fills losses: float32 [rows] and sums: float32 [outputs], the gradient summed over
    rows.
    """
    rows, columns = logits.shape
    kernel_possible = columns <= COLUMNS_AT_MOST and logits.dtype == torch.bfloat16
    if kernel_possible and kernels.available(logits.device):
        index = logits.device.index or 0
        kernel = kernels.softmax_gradient(columns, index)
        blocks = torch.cuda.get_device_properties(index).multi_processor_count
        partial = torch.empty(blocks, logits.stride(0), dtype=torch.float32, device=logits.device)
        kernel(blocks, logits, labels, losses, partial, rows, float(scale))
        torch.sum(partial[:, :columns], 0, out=sums)
        return
    targets = labels.long()
    exact = logits.float()
    losses.copy_(functional.cross_entropy(exact, targets, ignore_index=-1, reduction="none"))
    gradient = exact.softmax(1)
    gradient.scatter_add_(1, targets.clamp_min(0).unsqueeze(1), exact.new_full((rows, 1), -1.0))
    gradient *= (scale * (targets >= 0)).unsqueeze(1)
    torch.sum(gradient, 0, out=sums)
    logits.copy_(gradient)


def linear_cross_entropy(
    z: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    scale: float,
    d_weight: Tensor,
    d_bias: Tensor,
    chunk_rows: int = CHUNK_ROWS,
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies of z @ weight.T + bias over rows whose label is not -1, and its gradient
    times `scale`.

    z: [rows, width]; weight: [outputs, width]; labels: int32 [rows]. Writes d_weight, d_bias (sums of chunks
    are float32 until then); returns (the sum, float32; dz, as z).
    """
    rows, outputs = z.shape[0], weight.shape[0]
    losses = torch.empty(rows, dtype=torch.float32, device=z.device)
    dz = torch.empty_like(z)
    stored = z.new_empty(min(chunk_rows, rows), -(-outputs // 8) * 8)  # rows of whole 16 bytes
    sums = d_bias if d_bias.dtype == torch.float32 else d_bias.float()
    total = d_weight if rows <= chunk_rows or d_weight.dtype == torch.float32 else d_weight.float()
    for begin in range(0, rows, chunk_rows):
        part = slice(begin, min(begin + chunk_rows, rows))
        logits = stored[: part.stop - begin, :outputs]
        torch.addmm(bias, z[part], weight.t(), out=logits)
        products = total if begin == 0 else torch.empty_like(total)
        of_part = sums if begin == 0 else torch.empty_like(sums)
        softmax_gradient_(logits, labels[part], scale, losses[part], of_part)
        torch.mm(logits, weight, out=dz[part])
        product_into(products, logits.t(), z[part])
        if begin:
            total.add_(products)
            sums.add_(of_part)
    if sums is not d_bias:
        d_bias.copy_(sums)
    if total is not d_weight:
        d_weight.copy_(total)
    return losses.sum(), dz
