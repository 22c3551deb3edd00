"""Every model by its kind. A file put into this folder is found; another one is `path/to/file.py:Class`."""

from __future__ import annotations

from typing import Any

from torch import nn

import dasr.models
from dasr.config import ModelConfig
from dasr.errors import UserError
from dasr.models.network import Network
from dasr.plugins import Plugins

_PLUGINS: Plugins[Network] = Plugins("model", dasr.models, Network, given=2)  # inputs and outputs

names, find, options, check = _PLUGINS.names, _PLUGINS.find, _PLUGINS.options, _PLUGINS.check


def complete(config: ModelConfig) -> dict[str, Any]:
    """All options of the configured model, its defaults filled in. Raises UserError for an unknown kind,
    option or value."""
    check(config.kind, config.network_options)
    defaults = {name: option.default for name, option in options(config.kind).items()}
    return {**defaults, **config.network_options}


def make(kind: str, inputs: int, outputs: int, given: dict[str, Any]) -> Network:
    """A new network. Raises UserError where the class cannot be used."""
    make_one: Any = find(kind)
    try:
        network: Network = make_one(inputs, outputs, **given)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"model '{kind}' cannot be built: {type(error).__name__}: {error}") from error
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UserError(
                f"model '{kind}': {name} is a BatchNorm, whose statistics no strategy exchanges: "
                "use LayerNorm or GroupNorm"
            )
    if next(network.parameters(), None) is None:
        raise UserError(f"model '{kind}' has no parameters to train")
    return network
