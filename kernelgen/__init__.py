"""A PyTorch ATen backend in Triton: catalog, synthesis, lint, compile, evaluation and export."""
