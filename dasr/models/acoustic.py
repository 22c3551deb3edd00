"""The acoustic model: front end and network; saved, loaded, and scored over whole utterances."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from dasr import checksums
from dasr.config import ModelConfig
from dasr.errors import UserError
from dasr.files import atomic
from dasr.models import frontend, registry
from dasr.models.network import Network, shorter
from dasr.plugins import FILE as FROM_FILE

MODEL_FILE = "model.safetensors"
WINDOW_FRAMES = 42  # in which an utterance is scored
HOP_FRAMES = 14  # from one window to the next
WINDOWS_AT_ONCE = 256  # so that memory stays bounded


class AcousticModel(nn.Module):
    """Front end and network. Frames in, scores of tied states (or other units) out."""

    def __init__(self, config: ModelConfig, feature_dim: int, num_outputs: int):
        """Raises UserError for a kind, an option or a value that does not exist."""
        super().__init__()
        self.config = config
        self.feature_dim = feature_dim
        self.num_outputs = num_outputs
        self.options = registry.complete(config)
        self.network = self._new_network()
        factor = self.network.subsampling
        self.subsampling = config.subsampling * factor  # frames an output
        context = self.network.context
        # Inputs that a chunk has on either side besides its own: whole outputs
        self._context = None if context is None else -(-context // factor) * factor

    def _new_network(self) -> Network:
        inputs = self.config.inputs(self.feature_dim)
        return registry.make(self.config.kind, inputs, self.num_outputs, self.options)

    @property
    def margin(self) -> int:
        """Frames on either side of a chunk that its outputs depend on. Raises UserError for a network that
        needs whole utterances."""
        if self._context is None:
            raise UserError(
                f"model '{self.config.kind}' needs whole utterances (its context is None): it cannot be "
                "trained on chunks"
            )
        return self.config.margin + self._context * self.config.subsampling

    def initialise(self, seed: int) -> None:
        """The same weights for the same seed on every learner."""
        own = getattr(self.network, "initialise", None)
        if own is not None:
            own(seed)
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network.load_state_dict(self._new_network().state_dict())

    def forward(self, frames: Tensor) -> Tensor:
        """Normalised frames [chunks, T + 2 * margin, dim] to logits [chunks, T / subsampling, outputs]."""
        inputs = frontend.inputs(frames, self.config, self.config.subsampling)
        logits = self._run(inputs.to(next(self.parameters()).dtype))
        cut = (self._context or 0) // self.network.subsampling
        return logits[:, cut : logits.shape[1] - cut]

    def utterances(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Whole utterances: normalised frames [B, T + 2 * config.margin, dim], lengths int64 [B] (where the
        frames are), to logits [B, T', outputs], of which output_lengths() count."""
        inputs = frontend.inputs(frames, self.config, self.config.subsampling)
        given = torch.div(lengths, self.config.subsampling, rounding_mode="floor")
        return self._run(inputs.to(next(self.parameters()).dtype), given.clamp_min(1))  # an empty place too

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """How many outputs utterances of so many frames have; int64 [B]."""
        given = torch.div(lengths, self.config.subsampling, rounding_mode="floor")
        return shorter(given, self.network.subsampling)

    @torch.inference_mode()
    def whole(self, frames: Tensor) -> Tensor:
        """Normalised frames of an utterance, float32 [T, dim], to log-posteriors float32 [T', outputs]: in
        one pass, as it learned from whole utterances."""
        self.eval()
        device, margin = next(self.parameters()).device, self.config.margin
        padded = functional.pad(frames.T.unsqueeze(0), (margin, margin), mode="replicate").transpose(1, 2)
        logits = self.utterances(padded.to(device), torch.tensor([len(frames)], device=device))
        return logits[0].float().log_softmax(dim=-1).cpu()

    def _run(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The network on [B, T, inputs]. Raises UserError where its outputs are not of the shape it says."""
        size, steps = inputs.shape[:2]
        if lengths is None:
            lengths = torch.full((size,), steps, device=inputs.device)
        logits: Tensor = self.network(inputs, lengths)[0]
        expected = (size, -(-steps // self.network.subsampling), self.num_outputs)
        if tuple(logits.shape) != expected:
            raise UserError(
                f"model '{self.config.kind}': forward() gave logits of shape {list(logits.shape)} for "
                f"inputs of shape {list(inputs.shape)}; its subsampling of {self.network.subsampling} "
                f"asks for {list(expected)}"
            )
        return logits

    def log_posteriors_of(self, utterances: Sequence[Tensor]) -> list[Tensor]:
        """log_posteriors() of several utterances; faster together than one by one."""
        step = self.subsampling
        phases = [range(min(step, len(frames))) for frames in utterances]
        scores = iter(self._scores(utterances, phases))
        results = []
        for frames, own in zip(utterances, phases, strict=True):
            result = torch.empty(len(frames), self.num_outputs)
            for phase in own:
                result[phase::step] = next(scores)
            results.append(result)
        return results

    def log_posteriors(self, frames: Tensor) -> Tensor:
        """Normalised frames of a whole utterance, float32 [T, dim], to log-posteriors float32 [T, outputs].

        One output for *every* frame, also with subsampling: then `subsampling` passes, each shifted by a
        frame, are interleaved, so that decoding keeps the HMM's frame rate.
        """
        return self.log_posteriors_of([frames])[0]

    def log_posteriors_of_groups(self, utterances: Sequence[Tensor]) -> list[Tensor]:
        """log_posteriors_of(), but only of the frames `subsampling // 2 :: subsampling`, as in training."""
        middle = self.subsampling // 2
        return self._scores(utterances, [range(middle, middle + 1)] * len(utterances))

    def _scores(self, utterances: Sequence[Tensor], phases: Sequence[range]) -> list[Tensor]:
        """Log-posteriors [n, outputs] of the frames `phase :: subsampling`, for each utterance and phase."""
        sequences = [
            sequence
            for frames, own in zip(utterances, phases, strict=True)
            for sequence in self._sequences(frames, own)
        ]
        return self._in_windows(sequences) if self.network.windowed else self._whole(sequences)

    def _sequences(self, frames: Tensor, phases: range) -> Iterator[Tensor]:
        """The network's inputs [n, inputs] whose outputs are those of frames `phase :: subsampling`, with the
        context on either side that a finite network needs."""
        stride, step = self.config.subsampling, self.subsampling
        around = (self._context or 0) * stride
        beyond = step + around
        rows = frontend.every_frame(frames, self.config, beyond)
        # In training an output has the label of the middle frame of its group, here of frame `phase`.
        before = step // 2 - stride // 2
        for phase in phases:
            outputs = len(range(phase, len(frames), step))
            first = beyond + phase - before - around
            inputs = outputs * self.network.subsampling + 2 * (self._context or 0)
            yield rows[first : first + inputs * stride : stride][:inputs]

    @torch.inference_mode()
    def _whole(self, sequences: Sequence[Tensor]) -> list[Tensor]:
        """Each sequence in one pass, alone: no padding."""
        self.eval()
        device = next(self.parameters()).device
        cut = (self._context or 0) // self.network.subsampling
        scores = []
        for sequence in sequences:
            outputs = len(sequence) // self.network.subsampling - 2 * cut
            if outputs == 0:  # a group whose middle lies beyond the utterance
                scores.append(torch.empty(0, self.num_outputs))
                continue
            logits = self._run(sequence.unsqueeze(0).to(device))[0, cut : cut + outputs]
            scores.append(logits.float().log_softmax(dim=-1).cpu())
        return scores

    @torch.inference_mode()
    def _in_windows(self, sequences: Sequence[Tensor]) -> list[Tensor]:
        """Log-posteriors [n, outputs] of each sequence of inputs [n, inputs], on the CPU.

        The network has learned from short chunks, so it is given overlapping windows, and each output is
        taken from the window in which it is most central. Measured on AN4's dev set this beats chunks side by
        side and passing over the utterance as a whole."""
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
            self._run(part.to(device)).float().log_softmax(dim=-1).cpu()
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
        "config": model.config.values(),
        "feature_dim": model.feature_dim,
        "num_outputs": model.num_outputs,
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


def load(run_dir: Path | str, device: str = "cpu", own_kind: str = "") -> AcousticModel:
    """The consensus model of a run's folder, for log_posteriors(). Raises UserError if there is none.

    `own_kind`: what the user's configuration names. A Python file that only the model's file names is not
    loaded: the model may come from elsewhere."""
    path = Path(run_dir) / MODEL_FILE
    with _told_of(path):
        shape, tensors = _read(path, device)
        config = ModelConfig(**shape["config"])
        if FROM_FILE in config.kind and config.kind != own_kind:
            raise ValueError(f"it is of the kind '{config.kind}', which model.kind does not name")
        model = AcousticModel(config, shape["feature_dim"], shape["num_outputs"])
        model.load_state_dict(tensors)
    return model.to(device).eval()


def dimensions(path: Path) -> tuple[int, int]:
    """Of the model in that file: the width of a frame, and the number of outputs. Raises UserError."""
    with _told_of(path):
        shape, _ = _read(path)
        return int(shape["feature_dim"]), int(shape["num_outputs"])


def _read(path: Path, device: str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model's shape and its tensors, checked against their checksum."""
    with safe_open(path, framework="pt", device=device) as stored:
        shape: dict[str, Any] = json.loads(stored.metadata()["acoustic_model"])
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if stored.metadata()["checksum"] != _checksum(tensors, stored.metadata()):
            raise ValueError("it does not have the checksum that was written with it")
    return shape, tensors


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """What is wrong with a model's file as UserError, in one line."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: the run has not been trained to its end") from None
    except (SafetensorError, UserError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not an acoustic model of dasr ({why}): train the run again") from None
