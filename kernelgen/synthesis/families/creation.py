"""Tensors made from numbers and indices (fills, ranges, identity, triangles), and copies."""

from __future__ import annotations

from collections.abc import Mapping

from kernelgen.synthesis.entry import Entry


def indexed(
    overload: str,
    body: str,
    *,
    shape: str = "(count,)",
    scalars: Mapping[str, str] | None = None,
    integers: Mapping[str, str] | None = None,
    prepare: str = "",
    compute: str = "tl.float32 if dtype in (torch.bfloat16, torch.float16) else tl.float64",
) -> Entry:
    """Return the entry of an operator whose elements follow from their index alone.

    ``body`` is Triton that ends in ``result = ...``; it has ``index`` (int64, row-major) and the ``scalars`` and
    ``integers`` (name -> host expression), the former as blocks of type ``compute``. ``prepare`` is host code that must
    set ``dtype`` when the argument may be None.
    """
    return Entry(
        overload,
        "creation_range.py.j2",
        {
            "body": body,
            "shape": shape,
            "scalars": dict(scalars or {}),
            "integers": dict(integers or {}),
            "prepare": prepare,
            "compute": compute,
        },
    )


_ARANGE_DTYPE = (
    "dtype = (_number_dtype(start + end + step) if dtype is None else dtype)\ncount = _arange_count({}, dtype)"
)
_ARANGE = """\
if COMPUTE.is_floating():
    result = start + index.to(COMPUTE) * step
else:
    result = start + index * step"""
_ARANGE_COMPUTE = (
    "tl.float32 if dtype in (torch.bfloat16, torch.float16) else tl.float64 if dtype.is_floating_point else tl.int64"
)
_DEFAULT_FLOAT = "dtype = torch.get_default_dtype() if dtype is None else dtype"
_STEPS = (
    _DEFAULT_FLOAT
    + "\nif steps < 0:\n    raise RuntimeError('number of steps must be non-negative')"
    + "\nif not dtype.is_floating_point:\n    start, end = {0}(start), {0}(end)"
)
_LINE = "result = _line(index, start, end, numel, out.dtype.element_ty)"
# logspace rounds only its ends to the result's type, and the start of a single element not even so.
_LOGSPACE = """\
first = tl.where(numel == 1, start, _round_to(start, out.dtype.element_ty))
result = _pow(base, _line(index, first, _round_to(end, out.dtype.element_ty), numel, COMPUTE))"""
_ENDS = {"start": "start", "end": "end"}
_LINE_COMPUTE = "_COMPUTE[dtype] if dtype.is_floating_point else tl.float64"
_EYE = "result = (index // columns == index % columns).to(tl.int32)"
_INDICES = """\
place = index % tl.maximum(count, 1)
row = _triangle_row(place, rows, columns, offset, UPPER)
before = _triangle_before(row, columns, offset, UPPER)
first = tl.minimum(tl.maximum(row + offset, 0), columns) if UPPER else index * 0
result = tl.where(index < count, row, place - before + first)"""
_INDEX_DTYPE = (
    "dtype = dtype if isinstance(dtype, torch.dtype) else torch.int64\n"
    "if row < 0 or col < 0:\n    raise RuntimeError('row and col must be non-negative')\n"
    "count = _triangle_count(row, col, offset, {upper})"
)

ENTRIES = [
    Entry("copy_.default", "creation_copy.py.j2"),
    *(Entry(f"fill_.{kind}", "creation_fill.py.j2", {"value": "value"}) for kind in ("Scalar", "Tensor")),
    Entry("zero_.default", "creation_fill.py.j2", {"value": "0"}),
    *(
        indexed(
            f"arange.{kind}",
            _ARANGE,
            scalars={"start": "start", "step": "step"},
            prepare=more + _ARANGE_DTYPE.format("start, end, step"),
            compute=_ARANGE_COMPUTE,
        )
        for kind, more in (("start_step", ""), ("start", "step = 1\n"), ("default", "start, step = 0, 1\n"))
    ),
    indexed(
        "linspace.default", _LINE, shape="(steps,)", scalars=_ENDS, prepare=_STEPS.format("int"), compute=_LINE_COMPUTE
    ),
    indexed(
        "logspace.default",
        _LOGSPACE,
        shape="(steps,)",
        scalars={**_ENDS, "base": "base"},
        prepare=_STEPS.format("int"),
        compute=_LINE_COMPUTE,
    ),
    indexed("eye.m", _EYE, shape="(n, m)", integers={"columns": "m"}, prepare=_DEFAULT_FLOAT, compute="tl.int32"),
    indexed("eye.default", _EYE, shape="(n, n)", integers={"columns": "n"}, prepare=_DEFAULT_FLOAT, compute="tl.int32"),
    *(
        indexed(
            f"{name}_indices.default",
            _INDICES.replace("UPPER", str(upper)),
            shape="(2, count)",
            integers={"rows": "row", "columns": "col", "offset": "offset", "count": "count"},
            prepare=_INDEX_DTYPE.format(upper=upper),
            compute="tl.int64",
        )
        for name, upper in (("tril", False), ("triu", True))
    ),
    *(
        Entry(f"{name}.default", "creation_triangle.py.j2", {"keep": keep})
        for name, keep in (("tril", "<="), ("triu", ">="))
    ),
    indexed(
        "scalar_tensor.default",
        "result = value",
        shape="()",
        scalars={"value": "s"},
        prepare=_DEFAULT_FLOAT,
        compute="_COMPUTE[dtype]",
    ),
    Entry("equal.default", "creation_equal.py.j2"),
]
