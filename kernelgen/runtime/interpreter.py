"""Make Triton's CPU interpreter faithful to hardware on bf16, and quicker to launch; judges no results.

Four facts about Triton's interpreter make this necessary: it truncates fp32 to bf16 where hardware rounds to nearest
even; it lets bf16 take part in arithmetic although it holds bf16 as raw 16-bit integers, so the result is silently
wrong; it rounds a fused multiply-add twice; and it patches the whole ``triton.language`` module for every launch.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np

LaunchHook = Callable[[Any, dict[str, Any], dict[str, Any]], None]


class Launches:
    """Counts kernel launches; ``hook(function, arguments by name, options)`` sees each one before it runs."""

    def __init__(self) -> None:
        self.count = 0
        self.hook: LaunchHook | None = None


LAUNCHES = Launches()


def to_bf16_bits(values: np.ndarray) -> np.ndarray:
    """Round fp32 ``values`` to bf16, to nearest even; returns the bits as uint16. NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def from_bf16_bits(bits: np.ndarray) -> np.ndarray:
    """Return the fp32 values of bf16 ``bits`` (uint16); exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


class _NoScope:
    """Stands where the interpreter keeps a per-launch patch scope: nothing to undo."""

    def restore(self) -> None:
        """Keep the one lasting patch."""


def install() -> None:
    """Apply the corrections to this process, once. Needs ``TRITON_INTERPRET=1`` set before Triton was imported."""
    import triton.language as tl
    import triton.runtime.interpreter as interp

    if getattr(interp, "_sysmith_installed", False):
        return
    interp._sysmith_installed = True
    np.seterr(all="ignore")
    interp._get_np_dtype = _cached_np_dtype(interp._get_np_dtype, tl)
    _correct_bf16(interp, tl)
    patch_language, no_scope = interp._patch_lang, _NoScope()

    def probe() -> None: ...

    patch_language(types.FunctionType(probe.__code__, {"tl": tl, "core": tl.core}))
    # Triton 3.6 asks NumPy to take an array of one element for an integer, which NumPy 2.4 refuses.
    tl.tensor.__index__ = lambda self: int(self.handle.data.reshape(-1)[0])
    interp._patch_lang = lambda fn: no_scope
    interp.InterpretedFunction.run = _run


def _cached_np_dtype(lookup: Callable[[Any], Any], tl: Any) -> Callable[[Any], Any]:
    known: dict[Any, Any] = {}

    def np_dtype(dtype: Any) -> Any:
        if isinstance(dtype, (tl.pointer_type, tl.block_type)):
            return lookup(dtype) if isinstance(dtype, tl.pointer_type) else np_dtype(dtype.element_ty)
        found = known.get(dtype.name)
        if found is None:
            found = known[dtype.name] = lookup(dtype)
        return found

    return np_dtype


def _correct_bf16(interp: Any, tl: Any) -> None:
    builder, handle = interp.InterpreterBuilder, interp.TensorHandle
    cast, binary, unary = builder.cast_impl, builder.binary_op, builder.unary_op
    bit_operations = {np.bitwise_and, np.bitwise_or, np.bitwise_xor}

    def cast_impl(self: Any, src: Any, dst_type: Any) -> Any:
        source, target = src.dtype.scalar, dst_type.scalar
        data = src.data
        # A comparison's result still carries the type of its operands, so the type alone does not tell.
        if source == target and data.dtype == interp._get_np_dtype(target):
            return src
        if source == tl.bfloat16 and data.dtype == np.uint16:
            data, source = from_bf16_bits(data), tl.float32
        if target == tl.bfloat16:
            return handle(to_bf16_bits(data.astype(np.float32)), target)
        if source == tl.float32 and target == tl.float32:
            return handle(data.astype(np.float32), target)
        return cast(self, handle(data, source), dst_type)

    def refuse(operation: Any, *operands: Any) -> None:
        for operand in operands:
            if operand.dtype.scalar == tl.bfloat16:
                name = getattr(operation, "__name__", "an operation")
                raise TypeError(f"bf16 value used in {name} without a cast to fp32; use x.to(tl.float32) first")

    def binary_op(self: Any, lhs: Any, rhs: Any, op: Any) -> Any:
        if op not in bit_operations:
            refuse(op, lhs, rhs)
        return binary(self, lhs, rhs, op)

    def unary_op(self: Any, arg: Any, op: Any) -> Any:
        refuse(op, arg)
        return unary(self, arg, op)

    def create_fma(self: Any, x: Any, y: Any, z: Any) -> Any:
        refuse(np.multiply, x, y, z)
        data = x.data * y.data + z.data
        if z.dtype.scalar == tl.float32:  # one rounding, as hardware does it; the product is exact in fp64
            data = (x.data.astype(np.float64) * y.data + z.data).astype(np.float32)
        return handle(data, z.dtype.scalar)

    builder.cast_impl, builder.binary_op, builder.unary_op = cast_impl, binary_op, unary_op
    builder.create_fma = create_fma


_SIGNATURES: dict[Any, tuple[inspect.Signature, frozenset[str]]] = {}


def _signature(function: Any) -> tuple[inspect.Signature, frozenset[str]]:
    known = _SIGNATURES.get(function)
    if known is None:
        signature = inspect.signature(function.fn)
        constexprs = frozenset(n for n, p in signature.parameters.items() if "constexpr" in str(p.annotation))
        known = _SIGNATURES[function] = (signature, constexprs)
    return known


def _run(self: Any, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> None:
    """Interpret one launch; replaces ``InterpretedFunction.run`` and skips its host copies (tensors are on the CPU)."""
    import triton.runtime.interpreter as interp
    from torch.utils._python_dispatch import _disable_current_modes

    if warmup:
        return
    signature, constexprs = _signature(self)
    options = {k: v for k, v in kwargs.items() if k not in signature.parameters}
    bound = signature.bind(*args, **{k: v for k, v in kwargs.items() if k in signature.parameters})
    bound.apply_defaults()
    with _disable_current_modes():
        LAUNCHES.count += 1
        if LAUNCHES.hook is not None:
            LAUNCHES.hook(self, bound.arguments, options)
        values = {n: v if n in constexprs else interp._implicit_cvt(v) for n, v in bound.arguments.items()}
        dims = tuple(grid(values) if callable(grid) else grid)
        if not 1 <= len(dims) <= 3:
            raise ValueError(f"a launch grid has 1 to 3 dimensions, not {len(dims)}")
        dims += (1,) * (3 - len(dims))
        body, builder = self.rewrite(), interp.interpreter_builder
        builder.set_grid_dim(*dims)
        for x in range(dims[0]):
            for y in range(dims[1]):
                for z in range(dims[2]):
                    builder.set_grid_idx(x, y, z)
                    body(**values)
