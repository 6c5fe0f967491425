"""Helpers that kernel files carry a copy of: device (jit) and host (wrapper) parts; never imported at run time."""
