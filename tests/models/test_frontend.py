"""Inputs of the network against plain indexing."""

import pytest
import torch

from dasr.config import ModelConfig
from dasr.models import frontend


@pytest.mark.parametrize(
    ("subsampling", "splice", "deltas"), [(1, 0, 0), (1, 2, 0), (3, 0, 0), (3, 1, 2), (2, 3, 1)]
)
def test_every_frames_input_is_that_of_the_chunk_in_which_it_is_the_middle(
    subsampling: int, splice: int, deltas: int
) -> None:
    config = ModelConfig(subsampling=subsampling, splice=splice, deltas=deltas)
    utterance = torch.randn(60, 4)
    whole = frontend.every_frame(utterance, config)
    begin, length = 15, 4 * subsampling
    chunk = utterance[begin - config.margin : begin + length + config.margin].unsqueeze(0)
    inputs = frontend.inputs(chunk, config, stride=subsampling)
    assert whole.shape == (60, config.inputs(4))
    assert inputs.shape == (1, 4, config.inputs(4))
    numbers = torch.arange(begin, begin + length).unsqueeze(0)
    torch.testing.assert_close(inputs[0], whole[frontend.middle_labels(numbers, config.subsampling)[0]])


def test_normalised_speakers_have_no_mean_and_unit_variance() -> None:
    frames = (torch.randn(1, 4000, 2) * 3 + 5).half()
    mean, istd = frames.float().mean(1), 1 / frames.float().std(1)
    normal = frontend.normalise(frames, mean, istd)
    torch.testing.assert_close(normal.mean(1), torch.zeros(1, 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.std(1), torch.ones(1, 2), atol=1e-3, rtol=0)
