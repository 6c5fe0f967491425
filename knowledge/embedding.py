"""Text to vectors, with no network: ``lsa`` fitted on the manuals themselves, and ``minilm`` where it is installed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from knowledge.files import REBUILD
from knowledge.tokens import terms
from sysmith_errors import InputError, InternalFault

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

NAMES = ("lsa", "minilm")
DIMENSIONS = 256


class Embedding(Protocol):
    """Maps texts to unit vectors of one length, so that the inner product is the cosine."""

    name: str
    share: float
    """The weight of its ranking beside that of BM25, which is 1; see ``knowledge.ranking``."""
    pretrained: bool
    """Whether a text has the same vector in every store, so that a vector made before can be used again."""

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from the texts of the store; a pretrained model learns nothing."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text; a text without a known word gives zeros."""
        ...

    def save(self, folder: Path) -> None:
        """Write what ``fit`` learned. Raises OSError."""

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote. Raises InternalFault where it is damaged."""


def make(name: str) -> Embedding:
    """A new embedding. Raises InputError for an unknown name and MissingPart where its package is not installed."""
    if name == "lsa":
        return Lsa()
    if name == "minilm":
        from knowledge.minilm import MiniLm

        return MiniLm()
    raise InputError(f"--embedding {name!r} is not known", mend=f"Choose one of {', '.join(NAMES)}.")


def preferred() -> str:
    """The name of the best embedding that is installed: what a new store uses."""
    from knowledge.minilm import installed

    return "minilm" if installed() else "lsa"


class Lsa:
    """Latent semantic analysis: tf-idf over search terms, reduced by a truncated SVD (Deerwester et al., 1990).

    Weights: 1 + log(tf), smoothed idf; both and the reduced rows are scaled to unit length. The model is a vocabulary
    and two arrays, stored as JSON and NumPy files (no pickle), and is the same for the same texts.
    """

    name = "lsa"
    share = 0.2
    pretrained = False

    def __init__(self) -> None:
        self._vocabulary: dict[str, int] = {}
        self._idf: Vectors | None = None
        self._components: Vectors | None = None

    def fit(self, texts: Sequence[str]) -> None:
        import numpy as np

        bags = [Counter(terms(text)) for text in texts]
        document_counts = Counter(term for bag in bags for term in bag)
        # A term of one document cannot relate it to another one, but a small collection has hardly any others.
        least = 2 if len(texts) > 50 else 1
        kept = sorted(term for term, count in document_counts.items() if count >= least)
        self._vocabulary = {term: i for i, term in enumerate(kept)}
        counts = np.array([document_counts[term] for term in kept], dtype=np.float32)
        self._idf = np.log((1 + len(texts)) / (1 + counts)) + 1
        size = min(DIMENSIONS, len(kept) - 1, len(texts) - 1)
        if size < 2:
            self._components = None
            return
        from sklearn.decomposition import TruncatedSVD

        reduced = TruncatedSVD(n_components=size, n_iter=4, random_state=0).fit(self._weigh(bags))
        self._components = np.ascontiguousarray(reduced.components_, dtype=np.float32)

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        weighed = self._weigh([Counter(terms(text)) for text in texts])
        rows = weighed.toarray() if self._components is None else weighed @ self._components.T
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Vectors = (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
        # A store needs at least one column, even where no word is left.
        return unit if unit.shape[1] else np.zeros((len(texts), 1), dtype=np.float32)

    def _weigh(self, bags: Sequence[Counter[str]]):  # type: ignore[no-untyped-def]  # scipy.sparse has no types
        import numpy as np
        from scipy.sparse import csr_matrix

        assert self._idf is not None, "fit or load comes first"
        columns, values, starts = [], [], [0]
        for bag in bags:
            row = [(self._vocabulary[term], count) for term, count in bag.items() if term in self._vocabulary]
            weights = np.array([(1 + np.log(count)) * self._idf[column] for column, count in row], dtype=np.float32)
            length = float(np.linalg.norm(weights))
            columns += [column for column, _ in row]
            values += list(weights / length if length else weights)
            starts.append(len(columns))
        return csr_matrix((values, columns, starts), shape=(len(bags), len(self._vocabulary)), dtype=np.float32)

    def save(self, folder: Path) -> None:
        import numpy as np

        (folder / "vocabulary.json").write_text(json.dumps(list(self._vocabulary)), encoding="utf-8")
        assert self._idf is not None, "fit comes first"
        np.save(folder / "idf.npy", self._idf)
        empty = np.zeros((0, 0), dtype=np.float32)
        np.save(folder / "components.npy", empty if self._components is None else self._components)

    def load(self, folder: Path) -> None:
        import numpy as np

        try:
            words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
            self._idf = np.load(folder / "idf.npy", allow_pickle=False)
            components = np.load(folder / "components.npy", allow_pickle=False)
            self._vocabulary = {str(word): i for i, word in enumerate(words)}
            if len(self._idf) != len(words) or (components.size and components.shape[1] != len(words)):
                raise ValueError("its parts do not fit together")
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise InternalFault(f"the vector model in {folder} is damaged: {error}", mend=REBUILD) from None
        self._components = components if components.size else None
