"""What a model is asked to answer with: one kernel file, or why there can be none; it checks form alone, lint and tests
do the rest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST = 100_000


class KernelAnswer(BaseModel):
    """First how, then the file. Flat fields, so that a person can write an answer too."""

    model_config = ConfigDict(extra="forbid")

    approach: str = Field(max_length=4000, description="In at most five sentences: how the kernels compute the result.")
    source: str = Field(
        default="",
        max_length=LONGEST,
        description="The whole Python file: imports, Triton kernels, and the function named above for each overload.",
    )
    impossible: str = Field(
        default="",
        max_length=1000,
        description="Only where no file can do it under the rules: what stands in the way. Then leave source out.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> KernelAnswer:
        if not (self.source.strip() or self.impossible.strip()):
            raise ValueError("source is missing")
        return self
