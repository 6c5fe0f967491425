"""Judging kernels against OpInfo: samples, references, the sandboxed candidate run and the comparison."""
