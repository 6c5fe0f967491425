"""Compare a candidate's observation with the reference's; the verdict names the first difference in full."""

from __future__ import annotations

import torch

from kernelgen.evaluate.observe import Leaf, Observation, to_tensor


def difference(
    got: Observation,
    want: Observation,
    tolerance: tuple[float, float] | None,
    *,
    check_strides: bool = True,
    check_values: bool = True,
) -> str:
    """Return "" when ``got`` agrees with ``want``, else one paragraph on the first difference.

    ``tolerance`` is (rtol, atol) or None for ``torch.testing``'s defaults. Integers and booleans compare exactly.
    ``check_values`` is off for operators that promise no values (``empty``).
    """
    if want.error:
        return f"PyTorch itself cannot run this sample here ({want.error}: {want.message}), so nothing can be shown"
    if got.error:
        return f"raised {got.error}: {got.message}"
    if len(got.outputs) != len(want.outputs) or got.structure != want.structure:
        return f"returned the structure {got.structure}; PyTorch returns {want.structure}"
    for position, (g, w) in enumerate(zip(got.outputs, want.outputs, strict=True)):
        text = _leaf(g, w, tolerance, check_strides, check_values)
        if text:
            return f"output {position}: {text}"
    if len(got.inputs) != len(want.inputs):
        return "the number of input tensors changed"
    for position, (g, w) in enumerate(zip(got.inputs, want.inputs, strict=True)):
        if (g.shape, g.stride, g.dtype, g.text) != (w.shape, w.stride, w.dtype, w.text):
            return f"mutated_input: the metadata of input {position} differ from what PyTorch leaves behind"
        text = _values(g, w, tolerance) if g.data != w.data else ""
        if text:
            return f"mutated_input: input {position} differs after the call: {text}"
    return ""


def _leaf(got: Leaf, want: Leaf, tolerance: tuple[float, float] | None, check_strides: bool, check_values: bool) -> str:
    if not want.dtype or want.text:
        same = got.text == want.text or _close_numbers(got.text, want.text, tolerance)
        return "" if same and got.dtype == want.dtype else f"is {got.text or got.dtype}; PyTorch gives {want.text}"
    if got.dtype != want.dtype:
        return f"dtype_mismatch: has dtype {got.dtype or got.text}; PyTorch gives {want.dtype}"
    if got.shape != want.shape:
        return f"has shape {got.shape}; PyTorch gives {want.shape}"
    if got.text:
        return f"is {got.text}; PyTorch gives a strided tensor"
    if got.alias != want.alias:
        if got.alias >= 0:
            return f"aliases_input: shares memory with input {got.alias}; PyTorch's result " + (
                "does not" if want.alias < 0 else f"shares with input {want.alias}"
            )
        return f"does not share memory with input {want.alias}; PyTorch's result does"
    text = _values(got, want, tolerance) if check_values else ""
    if text:
        return text
    if check_strides and _significant(got) != _significant(want):
        return f"has strides {got.stride} for shape {got.shape}; PyTorch gives {want.stride}"
    return ""


def _significant(leaf: Leaf) -> tuple[int, ...]:
    if 0 in leaf.shape:
        return ()
    return tuple(step for size, step in zip(leaf.shape, leaf.stride, strict=True) if size > 1)


def _close_numbers(got: str, want: str, tolerance: tuple[float, float] | None) -> bool:
    (got_type, _, a), (want_type, _, b) = got.partition(" "), want.partition(" ")
    if got_type != want_type or got_type not in ("float", "complex"):
        return False
    rtol, atol = tolerance or (1.3e-6, 1e-5)
    kind = float if got_type == "float" else complex
    try:
        return bool(torch.isclose(torch.tensor(kind(a)), torch.tensor(kind(b)), rtol=rtol, atol=atol, equal_nan=True))
    except ValueError:
        return False


def _values(got: Leaf, want: Leaf, tolerance: tuple[float, float] | None) -> str:
    if got.data == want.data:
        return ""
    a, b = to_tensor(got), to_tensor(want)
    rtol, atol = tolerance if tolerance and (a.is_floating_point() or a.is_complex()) else (None, None)
    try:
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol, equal_nan=True, check_stride=False)
    except AssertionError as error:
        flat_a, flat_b = a.reshape(-1), b.reshape(-1)
        wrong = (~torch.isclose(flat_a, flat_b, rtol=rtol or 1e-5, atol=atol or 1e-8, equal_nan=True)).nonzero()
        place = int(wrong[0]) if len(wrong) else 0
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), a.shape)) if a.dim() else ()
        summary = " ".join(str(error).split())
        return f"wrong_value: at {index} got {flat_a[place].item()}, PyTorch gives {flat_b[place].item()}. {summary}"
    return ""
