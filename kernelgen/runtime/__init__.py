"""What runs generated kernels behind ordinary PyTorch calls; shipped inside every exported backend, so it needs torch alone."""
