"""dasr: which strategy of distributed SGD should I use for my acoustic model, what does it cost in WER?"""

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """`dasr.compare`, imported when it is used: parsing the workflow imports no torch."""
    if name != "compare":
        raise AttributeError(f"module 'dasr' has no attribute '{name}'")
    import importlib

    return importlib.import_module("dasr.any_module").compare
