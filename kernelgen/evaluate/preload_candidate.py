"""Imported once by the candidate server, before any fork: brings PyTorch, OpInfo and the interpreter into memory."""

from kernelgen.evaluate.candidate import preload

preload()
