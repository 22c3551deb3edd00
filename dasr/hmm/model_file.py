"""`final.mdl`: Kaldi's transition model followed by its diagonal GMMs, binary, written and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasr.errors import UserError
from dasr.files import atomic
from dasr.hmm.gmm import Gmm
from dasr.hmm.kaldi_io import HEADER, Reader, Writer
from dasr.hmm.topology import Transitions, parse_topology


def write_model(target: Path, transitions: Transitions, gmm: Gmm) -> None:
    """Write `final.mdl`, readable by Kaldi's gmm-* programs."""
    writer = Writer()
    _write_transitions(writer, transitions)
    writer.token("<DIMENSION>")
    writer.int32(gmm.dim)
    writer.token("<NUMPDFS>")
    writer.int32(gmm.num_pdfs)
    for pdf in range(gmm.num_pdfs):
        here = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        precisions = 1 / gmm.variances[here]
        writer.token("<DiagGMM>", "<GCONSTS>")
        writer.vector(gmm.coefficients[-1, here])
        writer.token("<WEIGHTS>")
        writer.vector(gmm.weights[here])
        writer.token("<MEANS_INVVARS>")
        writer.matrix(gmm.means[here] * precisions)
        writer.token("<INV_VARS>")
        writer.matrix(precisions)
        writer.token("</DiagGMM>")
    with atomic(target) as temporary:
        temporary.write_bytes(HEADER + bytes(writer.data))


def _write_transitions(writer: Writer, transitions: Transitions) -> None:
    model = transitions.model
    phones, phone_index, entries = parse_topology(transitions.topology_text).__getstate__()
    writer.token("<TransitionModel>", "<Topology>")
    writer.integers(phones)
    writer.integers(phone_index)
    writer.int32(len(entries))
    for states in entries:
        writer.int32(len(states))
        for state in states:
            writer.int32(state.forward_pdf_class)
            writer.int32(len(state.transitions))
            for following, probability in state.transitions:
                writer.int32(following)
                writer.float32(probability)
    writer.token("</Topology>", "<Triples>")
    writer.int32(len(model.tuples))
    for entry in model.tuples:
        for value in entry.__getstate__()[:3]:  # phone, HMM state, pdf
            writer.int32(value)
    writer.token("</Triples>", "<LogProbs>")
    writer.vector(model.log_probs)
    writer.token("</LogProbs>", "</TransitionModel>")


ROUNDING = 1e-3  # of the logarithm of a probability of 1


@dataclass
class ModelFile:
    """What `final.mdl` holds: transitions, and the GMM (None where a neural network follows)."""

    transitions: Transitions
    gmm: Gmm | None


def read_model(path: Path, tree_data: bytes) -> ModelFile:
    """Read `final.mdl` (ours or Kaldi's), which belongs to that tree. Raises UserError."""
    reader = Reader(path)
    reader.token("<TransitionModel>")
    topology = _read_topology(reader)
    reader.token("<Triples>")
    triples = [tuple(reader.int32() for _ in range(3)) for _ in range(reader.int32())]
    reader.token("</Triples>")
    reader.token("<LogProbs>")
    log_probs = reader.vector()
    reader.token("</LogProbs>")
    reader.token("</TransitionModel>")
    if not (np.isfinite(log_probs) & (log_probs <= ROUNDING)).all():
        raise UserError(f"{path}: a transition's log-probability is not a number up to 0")
    _check_fit(path, tree_data, topology, triples, len(log_probs))
    transitions = Transitions(tree_data, topology, tuple(float(p) for p in log_probs))
    return ModelFile(transitions, _read_gmm(reader) if reader.peek() == "<DIMENSION>" else None)


def _check_fit(
    path: Path, tree_data: bytes, topology: str, triples: list[tuple[int, ...]], num_log_probs: int
) -> None:
    """Raise UserError unless tree and topology give these triples and so many transitions."""
    try:
        model = Transitions(tree_data, topology).model
        found = [entry.__getstate__()[:3] for entry in model.tuples]
        if found != triples or len(model.log_probs) != num_log_probs:
            raise ValueError("their tied states differ")
    except (RuntimeError, ValueError) as error:  # what the C++ code throws, whose text may hold any bytes
        why = "their phones differ" if isinstance(error, UnicodeDecodeError) else str(error).split("\n")[0]
        raise UserError(f"{path} does not belong to the tree beside it: {why[:120]}") from None


def _read_topology(reader: Reader) -> str:
    reader.token("<Topology>")
    phones, phone_index = reader.integers(), reader.integers()
    count = reader.int32()
    if count < 0:
        raise UserError(f"{reader.path}: chain topologies (separate self-loop states) are not supported")
    if not len(phones) or not 0 < phones.min() <= phones.max() < len(phone_index):
        raise reader.broken("phones that have an HMM")
    lines = ["<Topology>"]
    for entry in range(count):
        members = [int(phone) for phone in phones if phone_index[phone] == entry]
        lines += ["<TopologyEntry>", "<ForPhones>", " ".join(map(str, members)), "</ForPhones>"]
        for state in range(reader.int32()):
            pdf_class = reader.int32()
            arcs = "".join(
                f" <Transition> {reader.int32()} {reader.float():.9g}" for _ in range(reader.int32())
            )
            lines.append(
                f"<State> {state}"
                + (f" <PdfClass> {pdf_class}" if pdf_class >= 0 else "")
                + arcs
                + " </State>"
            )
        lines.append("</TopologyEntry>")
    reader.token("</Topology>")
    return "\n".join([*lines, "</Topology>", ""])


def _read_gmm(reader: Reader) -> Gmm:
    reader.token("<DIMENSION>")
    dim = reader.int32()
    reader.token("<NUMPDFS>")
    parts: list[tuple[Any, Any, Any]] = []
    for _ in range(reader.int32()):
        reader.token("<DiagGMM>", "<DiagGMMBegin>")
        if reader.peek() == "<GCONSTS>":
            reader.token()
            reader.vector()
        reader.token("<WEIGHTS>")
        weights = reader.vector().astype(np.float64)
        reader.token("<MEANS_INVVARS>")
        scaled = reader.matrix().astype(np.float64)
        reader.token("<INV_VARS>")
        with np.errstate(divide="ignore"):  # an infinite mean is found below
            variances = 1 / reader.matrix().astype(np.float64)
        reader.token("</DiagGMM>", "<DiagGMMEnd>")
        if not (len(weights) and scaled.shape == variances.shape == (len(weights), dim)):
            raise reader.broken(f"Gaussians of {dim} dimensions, each with a weight")
        parts.append((weights, scaled * variances, variances))
    if not parts:
        raise reader.broken("a mixture for each tied state")
    weights, means, variances = (np.concatenate(field) for field in zip(*parts, strict=True))
    if not (np.isfinite(means).all() and (weights >= 0).all() and (variances > 0).all()):
        raise UserError(f"{reader.path}: a Gaussian has a weight, mean or variance that it cannot have")
    return Gmm(weights, means, variances, np.cumsum([0, *(len(part[0]) for part in parts)]))
