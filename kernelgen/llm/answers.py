"""What a model is asked to answer with: one kernel file; it checks form alone, lint and tests do the rest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LONGEST = 100_000


class KernelAnswer(BaseModel):
    """First how, then the file. Two flat fields, so that a person can write an answer too."""

    model_config = ConfigDict(extra="forbid")

    approach: str = Field(max_length=4000, description="In at most five sentences: how the kernels compute the result.")
    source: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="The whole Python file: imports, Triton kernels, and the function named above for each overload.",
    )
