"""The semi-orthogonal factor of a TDNN-F, and what its outputs see."""

from __future__ import annotations

import torch

from dasr.models.tdnnf import TDNNF, semi_orthogonal


def test_a_semi_orthogonal_step_leads_to_rows_at_right_angles_of_one_length() -> None:
    matrix = torch.randn(4, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for _ in range(40):
        matrix = semi_orthogonal(matrix)
    product = matrix @ matrix.t()
    torch.testing.assert_close(product, product[0, 0] * torch.eye(4, dtype=torch.float64))


def test_an_output_sees_layers_times_stride_inputs_on_either_side_and_no_more() -> None:
    torch.manual_seed(0)
    network = TDNNF(3, 2, layers=2, width=8, bottleneck=4, stride=3).double().eval()
    frames, lengths = torch.randn(1, 40, 3, dtype=torch.float64), torch.tensor([40])
    changed = frames.clone()
    changed[:, 20] += 1.0
    difference = (network(changed, lengths)[0] - network(frames, lengths)[0]).abs().sum(2)[0]
    assert network.context == 6
    assert difference[:14].eq(0).all() and difference[27:].eq(0).all()
    assert difference[14] > 0 and difference[26] > 0
