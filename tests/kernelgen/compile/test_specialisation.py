"""Specialisations: launches under the interpreter, canonical JSON and keys; types are held against Triton's own."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelgen.compile.encoding import NotEncodable, decode_constant, encode_constant
from kernelgen.compile.launch import NotSpecialisable, specialise
from kernelgen.compile.specialisation import LAUNCH_OPTIONS, Specialisation, constant_places
from sysmith_errors import InputError

KERNELS = """
from __future__ import annotations
import triton
import triton.language as tl

def plain(x, y, n, alpha=2.0, BLOCK: tl.constexpr = 64, FLAG: "tl.constexpr" = None): pass
def typed(x: tl.const, n: tl.int64, s: float, b: tl.int1): pass
def helper(v): pass

interpreted = triton.runtime.interpreter.InterpretedFunction(plain)
compiled = triton.runtime.jit.JITFunction(plain)
annotated = triton.runtime.jit.JITFunction(typed)
helper = triton.runtime.interpreter.InterpretedFunction(helper)
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    import triton.runtime.interpreter  # noqa: F401  # the file above names it

    path = tmp_path_factory.mktemp("kernels") / "kernels_to_specialise.py"
    path.write_text(KERNELS)
    spec = importlib.util.spec_from_file_location("kernels_to_specialise", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(specialisation: Specialisation) -> dict[str, Any]:
    return dict(specialisation.signature)


@pytest.mark.parametrize("kind", ["interpreted", "compiled"])
def test_a_launch(kernels: ModuleType, kind: str) -> None:
    import torch
    import triton.language as tl

    fn = getattr(kernels, kind)
    x = torch.zeros(3, dtype=torch.bool)
    made = specialise(fn, (x, x.to(torch.bfloat16), 1), {"FLAG": tl.float16, "num_warps": 8, "grid": (1,)})
    assert made.to_json() == {
        "kernel": "plain",
        "signature": [
            ["x", "*i1"],
            ["y", "*bf16"],
            ["n", "i32"],
            ["alpha", "fp32"],
            ["BLOCK", "constexpr"],
            ["FLAG", "constexpr"],
        ],
        "constants": {"BLOCK": 64, "FLAG": {"dtype": "fp16"}},
        "options": {"num_warps": 8},
    }
    assert Specialisation.from_json(json.loads(made.text)) == made
    assert specialise(fn, (x, x.to(torch.bfloat16), 7), {"FLAG": tl.float16, "num_warps": 8}) is made


def test_types_are_tritons_own(kernels: ModuleType) -> None:
    import torch
    from triton.runtime.jit import mangle_type

    names = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64"
    fp8 = "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz"
    values: list[Any] = [torch.zeros(1, dtype=getattr(torch, name)) for name in f"{names} {fp8}".split()]
    values += [True, 0, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**63 - 1, 2**63, 2**64 - 1, 1.5, math.inf]
    values += [(2, 3.0), (torch.zeros(1), (True, 5))]

    def own(kind: Any) -> Any:  # Triton has two names for its one-bit integer
        return (
            tuple(map(own, kind))
            if isinstance(kind, tuple)
            else kind.replace("u1", "i1")
            if kind[-2:] == "u1"
            else kind
        )

    for value in values:
        made = specialise(kernels.interpreted, (value, 0, 0), {})
        assert kinds(made)["x"] == own(mangle_type(value)), value


def test_ones_and_none(kernels: ModuleType) -> None:
    made = specialise(kernels.interpreted, (None, (1, None, (None, 2)), 1), {})
    assert kinds(made)["x"] == "constexpr"
    assert kinds(made)["y"] == ("i32", "constexpr", ("constexpr", "i32"))
    assert kinds(made)["n"] == "i32"
    assert dict(made.constants) == {"x": None, "y.1": None, "y.2.0": None, "BLOCK": 64, "FLAG": None}
    assert Specialisation.from_json(made.to_json()) == made


def test_annotations_fix_types(kernels: ModuleType) -> None:
    import torch

    made = specialise(kernels.annotated, (torch.zeros(1), 3, 4, 5), {})
    assert kinds(made) == {"x": "*kfp32", "n": "i64", "s": "fp32", "b": "i1"}


def test_constants_that_python_calls_equal_stay_apart(kernels: ModuleType) -> None:
    values = [
        0,
        False,
        0.0,
        -0.0,
        None,
        "0",
        1,
        True,
        1.0,
        "1",
        (1,),
        (True,),
        (1.0,),
        (-0.0,),
        (0.0,),
        math.nan,
        math.inf,
    ]
    made = [specialise(kernels.interpreted, (0, 0, 0), {"FLAG": value}) for value in values]
    assert len(set(made)) == len({each.key for each in made}) == len(values)
    for value, each in zip(values, made, strict=True):
        found = decode_constant(dict(Specialisation.from_json(json.loads(each.text)).constants)["FLAG"])
        assert repr(found) == repr(value)


def test_functions_and_subclasses_as_constants(kernels: ModuleType) -> None:
    import numpy as np
    import triton.language as tl

    class Mode(IntEnum):
        SUM = 3

    for value, encoded in [
        (kernels.helper, {"function": "helper"}),
        (Mode.SUM, 3),
        (np.float64(0.5), 0.5),
        (tl.constexpr(7), 7),
        ([1, [2]], {"tuple": [1, {"tuple": [2]}]}),
        (tl.int1, {"dtype": "i1"}),
    ]:
        made = specialise(kernels.interpreted, (0, 0, 0), {"FLAG": value})
        assert dict(made.constants)["FLAG"] == encoded
    assert kinds(specialise(kernels.interpreted, (Mode.SUM, np.float64(1), 0), {}))["x"] == "i32"


def test_reinterpreted_tensors_have_their_new_type(kernels: ModuleType) -> None:
    import torch
    import triton
    import triton.language as tl

    wrapped = triton.reinterpret(torch.zeros(4, dtype=torch.uint8), tl.float8e5)
    assert kinds(specialise(kernels.interpreted, (wrapped, 0, 0), {}))["x"] == "*fp8e5"


def test_what_no_kernel_takes_is_one_sentence(kernels: ModuleType) -> None:
    import torch

    fn = kernels.interpreted
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((torch.zeros(1, dtype=torch.complex64), 0, 0), {}, "plain: the argument x is a tensor of dtype complex64"),
        ((0, "text", 0), {}, "the argument y is a str"),
        ((0, 0, 2**64), {}, "too large for 64 bits"),
        ((0, 0, 0), {"FLAG": torch.zeros(1)}, "the argument FLAG is a value of type torch.Tensor"),
        ((0, 0), {}, "without its argument n"),
        ((0,) * 7, {}, "takes 6 arguments and was launched with 7"),
        ((0, 0, 0), {"blocks": 3}, "launched with blocks=, neither a parameter nor a launch option"),
        ((0, 0, 0), {"ir_override": "other.ttir"}, "ir_override"),
        ((0, 0, 0), {"num_warps": "4"}, "num_warps must be an integer"),
    ]
    for args, kwargs, message in cases:
        with pytest.raises(NotSpecialisable, match=message):
            specialise(fn, args, kwargs)


def test_it_is_cheap(kernels: ModuleType) -> None:
    import timeit

    import torch
    import triton.language as tl

    x = torch.zeros(3)
    kwargs = {"BLOCK": 32, "FLAG": tl.float32, "num_warps": 4}
    seconds = min(timeit.repeat(lambda: specialise(kernels.interpreted, (x, x, 5), kwargs), number=500, repeat=7)) / 500
    assert seconds < 60e-6  # about 7 microseconds where nothing else runs


constants = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(constants)
def test_constants_come_back(value: Any) -> None:
    text = json.dumps(encode_constant(value), allow_nan=False)
    assert repr(decode_constant(json.loads(text))) == repr(value)


scalar_kinds = st.sampled_from(["i32", "*fp32", "*kbf16", "fp64", "**i8", "i1", "constexpr"])
param_kinds = st.recursive(scalar_kinds, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


@st.composite
def specialisations(draw: st.DrawFn) -> Specialisation:
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5))
    signature = tuple((name, draw(param_kinds)) for name in names)
    places = [place for name, kind in signature for place in constant_places(name, kind)]
    options = draw(st.dictionaries(st.sampled_from(sorted(LAUNCH_OPTIONS)), st.integers(0, 64), max_size=3))
    return Specialisation(
        "kernel",
        signature,
        tuple((place, encode_constant(draw(constants))) for place in places),
        tuple(sorted(options.items())),
    )


@given(specialisations())
def test_json_round_trip(made: Specialisation) -> None:
    back = Specialisation.from_json(json.loads(json.dumps(made.to_json())))
    assert back == made
    assert (back.key, hash(back), back.signature, str(back)) == (made.key, hash(made), made.signature, str(made))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["constexpr", "i32", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["kernel", "signature", "constants", "options"], junk)) | junk)
def test_junk_is_refused_or_read(data: Any) -> None:
    try:
        made = Specialisation.from_json(data)
    except InputError:
        return
    assert Specialisation.from_json(made.to_json()) == made


@given(junk)
def test_junk_constants_are_refused(data: Any) -> None:
    try:
        value = decode_constant(data)
    except InputError:
        return
    if not isinstance(value, dict):  # names of dtypes and functions stay as they are
        assert decode_constant(encode_constant(value)) == value


def test_objects_are_not_constants() -> None:
    with pytest.raises(NotEncodable, match="a value of type builtins"):
        encode_constant(object())


def test_the_parents_side_imports_neither_torch_nor_triton() -> None:
    code = "import sys, kernelgen.compile.batch, kernelgen.compile.launch, kernelgen.compile.targets as t\n"
    code += "[x.toolchain() for x in t.parse_targets('interpret,cuda:90,hip:gfx942')]\n"
    code += "assert not {'torch', 'triton'} & set(sys.modules), sorted(sys.modules)"
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
