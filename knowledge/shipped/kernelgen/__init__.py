"""Shipped knowledge for kernelgen: Triton's dialect, its targets and its interpreter, as Markdown beside this file."""
