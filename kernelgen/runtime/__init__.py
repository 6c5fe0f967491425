"""What runs generated kernels behind ordinary PyTorch calls; exported with every backend, so it needs torch alone."""
