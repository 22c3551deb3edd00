"""The workflow and the files that a comparison starts from, as the package holds them.

In a clone `workflow`, `profiles`, `corpora` and `config.yaml` are links to those at its top; a wheel has
copies.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SNAKEFILE = str(FOLDER / "workflow" / "Snakefile")
