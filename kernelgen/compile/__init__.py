"""Ahead-of-time compilation of the kernel specialisations that ran; linting and running them live elsewhere."""
