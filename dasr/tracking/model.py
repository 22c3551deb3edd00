"""A run's model in MLflow's format (flavour pyfunc), with the shapes that it takes and gives: its signature.

    mlflow.pyfunc.load_model("runs:/RUN/model").predict(frames)

Weights come from safetensors; nothing is pickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import dasr

if TYPE_CHECKING:
    import numpy as np
    from mlflow.models import ModelSignature
    from numpy.typing import NDArray

    from dasr.models.acoustic import AcousticModel


class Scorer:
    """What MLflow gives to whoever loads the model."""

    def __init__(self, model: AcousticModel):
        self.model = model

    def predict(self, frames: NDArray[np.float32], params: object = None) -> NDArray[np.float32]:
        """Normalised frames of one utterance, [T, dim], to log-posteriors of the tied states, [T, pdfs]."""
        import numpy as np
        import torch

        return self.model.log_posteriors(torch.from_numpy(np.array(frames))).numpy()


def _load_pyfunc(weights: str) -> Scorer:
    """MLflow calls this, by this name."""
    from dasr.models import acoustic

    return Scorer(acoustic.load(Path(weights).parent))


def save(weights: Path, folder: Path) -> None:
    """Save the run's model.safetensors `weights` as an MLflow model in `folder`."""
    import mlflow.pyfunc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no example of an input
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=__name__,
            data_path=str(weights),
            signature=_signature(weights),
            pip_requirements=[f"dasr=={dasr.__version__}"],  # given, or MLflow would look for them
        )


def _signature(weights: Path) -> ModelSignature:
    """Frames float32 [T, dim] to log-posteriors float32 [T, pdfs]."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from dasr.models import acoustic

    given, scores = acoustic.dimensions(weights)
    number = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, given))]), outputs=Schema([TensorSpec(number, (-1, scores))])
    )
