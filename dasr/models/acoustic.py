"""The acoustic model: front end and network; saved, loaded, and scored over whole utterances."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dasr import checksums
from dasr.config import ModelConfig
from dasr.errors import UserError
from dasr.files import atomic
from dasr.models import frontend
from dasr.models.blstm import BLSTM

MODEL_FILE = "model.safetensors"
WINDOW_FRAMES = 42  # in which an utterance is scored
HOP_FRAMES = 14  # from one window to the next
WINDOWS_AT_ONCE = 256  # so that memory stays bounded


class AcousticModel(nn.Module):
    """Front end and network. Frames in, scores of tied states out."""

    def __init__(self, config: ModelConfig, feature_dim: int, num_pdfs: int):
        super().__init__()
        self.config = config
        self.feature_dim = feature_dim
        self.num_pdfs = num_pdfs
        self.network = BLSTM(config, config.inputs(feature_dim), num_pdfs)

    def forward(self, frames: Tensor) -> Tensor:
        """Normalised frames [chunks, T + 2 * margin, dim] to logits [chunks, T / subsampling, pdfs]."""
        logits: Tensor = self.network(frontend.inputs(frames, self.config, self.config.subsampling))
        return logits

    def log_posteriors_of(self, utterances: Sequence[Tensor]) -> list[Tensor]:
        """log_posteriors() of several utterances; faster together than one by one."""
        step = self.config.subsampling
        starts = [range(min(step, len(frames))) for frames in utterances]
        rows = [frontend.every_frame(frames, self.config) for frames in utterances]
        scores = iter(
            self._scores([row[i::step] for row, own in zip(rows, starts, strict=True) for i in own])
        )
        results = []
        for row, own in zip(rows, starts, strict=True):
            result = torch.empty(len(row), self.num_pdfs)
            for start in own:
                result[start::step] = next(scores)
            results.append(result)
        return results

    def log_posteriors(self, frames: Tensor) -> Tensor:
        """Normalised frames of a whole utterance, float32 [T, dim], to log-posteriors float32 [T, pdfs].

        One output for *every* frame, also with subsampling: then `subsampling` passes, each shifted by a
        frame, are interleaved, so that decoding keeps the HMM's frame rate.
        """
        return self.log_posteriors_of([frames])[0]

    def log_posteriors_of_groups(self, utterances: Sequence[Tensor]) -> list[Tensor]:
        """log_posteriors_of(), but only of the frames `subsampling // 2 :: subsampling`, as in training."""
        step = self.config.subsampling
        return self._scores(
            [frontend.every_frame(frames, self.config)[step // 2 :: step] for frames in utterances]
        )

    @torch.inference_mode()
    def _scores(self, sequences: Sequence[Tensor]) -> list[Tensor]:
        """Log-posteriors [n, pdfs] of each sequence of inputs [n, inputs], on the CPU.

        The network has learned from short chunks, so it is given overlapping windows, and each output is
        taken from the window in which it is most central. Measured on AN4's dev set this beats chunks side by
        side and passing over the utterance as a whole (docs/recipes.md)."""
        self.eval()
        size = max(1, WINDOW_FRAMES // self.config.subsampling)
        hop = max(1, HOP_FRAMES // self.config.subsampling)
        device = next(self.parameters()).device
        starts = [_starts(len(sequence), size, hop) for sequence in sequences]
        windows = [  # a sequence shorter than a window is filled up with its last input
            sequence[(own.unsqueeze(1) + torch.arange(size)).clamp_max(len(sequence) - 1)]
            for sequence, own in zip(sequences, starts, strict=True)
        ]
        parts = [
            self.network(part.to(device)).float().log_softmax(dim=-1).cpu()
            for part in torch.split(torch.cat(windows), WINDOWS_AT_ONCE)
        ]
        scores = torch.split(torch.cat(parts), [len(own) for own in starts])
        return [_central(own, part, len(x)) for own, part, x in zip(starts, scores, sequences, strict=True)]


def _starts(length: int, size: int, hop: int) -> Tensor:
    """Where windows begin: every `hop`, the last one so that it ends with the sequence."""
    last = max(0, length - size)
    return torch.tensor([*range(0, last, hop), last])


def _central(starts: Tensor, scores: Tensor, length: int) -> Tensor:
    """Scores [windows, size, pdfs] -> [length, pdfs], each from the window in which it is most central."""
    place = torch.arange(length).unsqueeze(1) - starts
    window = (place - (scores.shape[1] - 1) / 2).abs().argmin(dim=1)
    return scores[window, place[torch.arange(length), window]]


def save(model: AcousticModel, path: Path, facts: dict[str, Any] | None = None) -> None:
    """Write weights and shape to `path` (safetensors), atomically. `facts`: kept beside them."""
    shape = {
        "config": model.config.model_dump(),
        "feature_dim": model.feature_dim,
        "num_pdfs": model.num_pdfs,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"format": "pt", "acoustic_model": json.dumps(shape), "facts": json.dumps(facts or {})}
    metadata["checksum"] = _checksum(tensors, metadata)
    with atomic(path, durable=True) as temporary:
        save_file(tensors, temporary, metadata)


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Of all that a model's file says: a bit that flips changes what is recognised, not whether it loads."""
    said = [f"{name}={metadata[name]}".encode() for name in ("acoustic_model", "facts")]
    named = ((name.encode(), tensors[name].cpu().contiguous().numpy()) for name in sorted(tensors))
    return checksums.of_bytes([*said, *itertools.chain.from_iterable(named)])


def load(run_dir: Path | str, device: str = "cpu") -> AcousticModel:
    """The consensus model of a run's folder, for log_posteriors(). Raises UserError if there is none."""
    path = Path(run_dir) / MODEL_FILE
    try:
        with safe_open(path, framework="pt", device=device) as stored:
            shape = json.loads(stored.metadata()["acoustic_model"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            if stored.metadata()["checksum"] != _checksum(tensors, stored.metadata()):
                raise ValueError("it does not have the checksum that was written with it")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: the run has not been trained to its end") from None
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path} is not an acoustic model of dasr ({error}): train the run again") from None
    model = AcousticModel(ModelConfig(**shape["config"]), shape["feature_dim"], shape["num_pdfs"])
    model.load_state_dict(tensors)
    return model.to(device).eval()
