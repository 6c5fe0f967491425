"""Run three plain PyTorch models on an exported backend and compare them with PyTorch's own kernels.

    sysmith kernelgen --ops all --out mybackend
    TRITON_INTERPRET=1 python examples/use_backend.py mybackend

It needs torch, triton and the exported folder; Sysmith need not be installed. Inside ``enable()`` a call that no kernel
serves raises, so a model that finishes has run without any ATen compute. Exit code 1 if a model differs from PyTorch.
"""

import importlib
import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Causal self-attention over ``heads`` heads, as matrix products and a softmax; [B, T, C] to [B, T, C]."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("future", torch.ones(length, length).triu(1).bool())

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=-1)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        weights = scores.masked_fill(self.future[:length, :length], -math.inf).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """One transformer layer: attention, then a two-layer perceptron, each behind a layer norm."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, length)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SmallGPT(nn.Module):
    """A two-layer GPT over a vocabulary of 50 tokens; returns logits [B, T, 50] and the mean next-token loss."""

    def __init__(self, vocabulary: int = 50, width: int = 32, heads: int = 4, length: int = 16) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads, length) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        logits = self.head(self.norm(self.blocks(self.tokens(tokens) + self.places(places))))
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))
        return logits, loss


def models() -> dict[str, tuple[nn.Module, Tensor]]:
    """Each model with an input."""
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    convolutional = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)),
    )
    return {
        "two-layer MLP": (mlp, torch.randn(7, 20)),
        "convolutional network": (convolutional, torch.randn(2, 3, 12, 12)),
        "small GPT": (SmallGPT(), torch.randint(0, 50, (2, 13))),
    }


def main(folder: Path) -> int:
    sys.path.insert(0, str(folder.resolve().parent))
    backend = importlib.import_module(folder.resolve().name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.fp32_precision = "ieee"  # PyTorch's own products must not round to TF32 where ours do not
    alike = True
    for name, (model, x) in models().items():
        model, x = model.to(device).eval(), x.to(device)
        with torch.no_grad():
            expected = model(x)
            with backend.enable() as router:
                result = model(x)
        pairs = list(zip(expected, result, strict=True)) if isinstance(expected, tuple) else [(expected, result)]
        error = max((a - b).abs().max().item() for a, b in pairs)
        same = all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)
        alike &= same
        counts = router.stats
        served = ", ".join(f"{key} {n}" for key, n in sorted(counts.kernel.items()))
        print(f"{name}: {'matches' if same else 'DIFFERS FROM'} PyTorch, largest difference {error:.1e}")
        print(f"  {counts.kernel.total()} calls served by kernels: {served}")
        print(f"  {counts.free.total()} views and allocations by PyTorch; {counts.missing.total()} calls unserved")
    return 0 if alike else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/use_backend.py FOLDER   (a folder that sysmith kernelgen --out wrote)")
    sys.exit(main(Path(sys.argv[1])))
