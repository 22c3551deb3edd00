"""Weights exchanged with the partners of a round. What comes out is W T - W, to be *added* (as terms that one
pass adds): a gradient that another activity applied meanwhile is not overwritten, and since partners add
opposite differences the mean is conserved.

    w_i <- w_i + gamma sum_j T_ij (x_j - x_i)      x: what both ends know of the weights that were sent

Without compression x are the weights themselves and gamma = 1. With it (CHOCO, Koloskova et al. 2019, arXiv
1902.00340) x are public copies, and what travels is C(w - x):   x <- x + decode(C(w - x)) at both ends.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from torch import Tensor

from dasr.strategies.internals import internals
from dasr.strategies.learner import Learner
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.matrices import matrices_in
from dasr.strategies.parts.awaitables import LazyAwaitable
from dasr.strategies.parts.codecs import Encoded, codec_for
from dasr.strategies.parts.compression import parse
from dasr.strategies.parts.topology import Members, Mixing
from dasr.worlds.interface import Payload, PeerLost

# Consensus step size of the codecs that lose much
GAMMA = {"sign": 0.3, "1bit": 0.3, "topk": 0.3, "powersgd": 0.03}


NOBODY = frozenset[int]()


class PublicCopy:
    """One direction of a link: the sender's vector as both ends know it, updated by compressed differences.

    Only sender and receiver of the same messages agree; with an exact codec nothing is kept."""

    def __init__(self, learner: Learner, spec: str, begin: int = 0, end: int | None = None):
        """`begin`, `end`: where in the model's flat vector the vectors lie."""
        end = len(learner.gradient) if end is None else end
        self.codec = codec_for(parse(spec), matrices_in(internals(learner).shapes, begin, end))
        self.known: Tensor | None = None

    def send(self, vector: Tensor) -> Encoded:
        """What to send so that the other end knows `vector` (about); `known` is then what it knows."""
        if self.codec.exact:
            self.known = vector
            return (vector,)
        difference = vector if self.known is None else vector - self.known
        payload = self.codec.encode(difference)
        self.receive(payload, vector)
        return payload

    def receive(self, payload: Payload, like: Tensor) -> Tensor:
        """The vector as this end knows it after the message."""
        decoded = self.codec.decode(payload, like)
        self.known = decoded if self.codec.exact or self.known is None else self.known + decoded
        return self.known

    def state_dict(self) -> dict[str, Any]:
        known = None if self.codec.exact else self.known
        return {"known": known, "codec": self.codec.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.known = state["known"]
        self.codec.load_state_dict(state["codec"])


class Gossip:
    """Mixes one learner's weights with its partners', round after round."""

    def __init__(self, learner: Learner, mixing: Mixing, compression: str = "fp32", tolerant: bool = False):
        """`tolerant`: a partner that is lost is left out of its round, instead of ending the run."""
        self.learner, self.world = learner, learner.world
        self.mixing, self.spec, self.tolerant = mixing, compression, tolerant
        said = parse(compression)
        self.gamma, self.exact = GAMMA.get(said.name, 1.0), codec_for(said, ()).exact
        self.links: dict[
            int, tuple[PublicCopy, PublicCopy]
        ] = {}  # peer -> (mine as it knows it, its as I know it)

    def difference(
        self, round_: int, weights: Tensor, members: Members | None = None
    ) -> Awaitable[LinearCombination]:
        """Start the round with `weights`, which nobody may change until this ends: this learner's W T - W.

        `members`: those that take part from this round on. One that joins has no trained model: it takes its
        partners' mean, and they leave it out."""
        joining = NOBODY
        if members is not None:
            self.mixing, joining = self.mixing.among(members.ranks), members.joining
        partners = self.mixing.partners(round_, self.world.rank)
        if self.mixing.kind == "uniform" and self.spec == "fp32":
            reduction = self.world.all_reduce(weights.clone(), self.mixing.members)
            return LazyAwaitable(lambda: self._all_reduced(weights, reduction))
        exchanges = []
        for peer in partners:
            if joining and (peer in joining or self.world.rank in joining):
                self.links.pop(peer, None)
            if peer not in self.links:
                self.links[peer] = self._link()
            mine, its = self.links[peer]
            payload = mine.send(weights)
            sent = mine.known
            assert sent is not None
            exchanges.append((peer, its, sent, self.world.exchange(payload, peer)))
        scale = self.gamma / (1 + len(partners))
        if self.world.rank in joining:
            scale = 1 / max(1, len(set(partners) - joining))
        return LazyAwaitable(lambda: self._differences(weights, exchanges, joining, scale))

    def _link(self) -> tuple[PublicCopy, PublicCopy]:
        return PublicCopy(self.learner, self.spec), PublicCopy(self.learner, self.spec)

    async def _differences(
        self,
        weights: Tensor,
        exchanges: list[tuple[int, PublicCopy, Tensor, Awaitable[Payload]]],
        joining: frozenset[int],
        scale: float,
    ) -> LinearCombination:
        terms: list[tuple[float, Tensor]] = []
        for peer, its, sent, exchange in exchanges:
            try:
                theirs = its.receive(await exchange, weights)
                if peer not in joining:
                    terms += [(scale, theirs), (-scale, sent)]
            except PeerLost:
                if not self.tolerant:
                    raise
                self.links.pop(peer, None)
        self.world.accounts.mixes += 1
        return terms

    async def _all_reduced(self, weights: Tensor, reduction: Awaitable[Tensor]) -> LinearCombination:
        try:
            mean = await reduction
        except PeerLost:
            if not self.tolerant:
                raise
            return ()
        self.world.accounts.mixes += 1
        return [(1.0, mean), (-1.0, weights)]

    def state_dict(self) -> dict[str, Any]:
        pairs = {} if self.exact else self.links
        return {"links": {peer: [track.state_dict() for track in pair] for peer, pair in pairs.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for peer, pair in state["links"].items():
            self.links[int(peer)] = self._link()
            for track, kept in zip(self.links[int(peer)], pair, strict=True):
                track.load_state_dict(kept)
