"""Kernels as machine code: compiled once by Numba, kept on disk, loaded without it.

What is kept is an object file that needs nothing of Numba or Python, under a name that is a hash of
all that it was made from: the code of `decide` and of every function that it calls, the numbers
that they read, the fields of the records, the versions of the compilers, the processor. So paths,
times of files and working folders do not matter, an edit of any of these functions compiles anew,
and a process that finds the file loads it within milliseconds, Numba not imported.

Known limits: the code of functions inside of Numba and the C library is covered by their versions
only. On a machine with another processor the first process compiles once more.
"""

import dis
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from strategies.base import StrategyError
from strategies.kernel import KernelStrategy
from strategies.kernel_language import ALLOWED, Part, check_part, parts_of, place_of
from strategies.kernel_records import (
    COMMANDS_MAX,
    LAYOUT_VERSION,
    NONE,
    Command,
    Event,
    Market,
    Out,
    Words,
    slots_of,
)

if TYPE_CHECKING:
    import rustsim

FORMAT: Final = 1  # of the files, and of the way they are made
ENTRY: Final = "kernel"
WORD_BYTES: Final = 8
MARK: Final = "(params)"  # ends the parameters: their type is not that of a state of equal fields
# Bounds are checked: a wrong index is an exception, as it is when interpreted.
_OPTIONS: Final = {"boundscheck": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def is_available() -> bool:
    """Return whether kernels can be compiled here."""
    return importlib.util.find_spec("numba") is not None


# --- the records in compiled memory --------------------------------------------------------------


def layout() -> dict[str, Any]:
    """Return fields and places of the records, as `rustsim.kernel_layout` has them of its own."""
    plain = {"Market": Market, "Event": Event, "Command": Command}
    records: dict[str, list[list[Any]]] = {
        name: [[slot.name, WORD_BYTES * at] for at, slot in enumerate(slots_of(record))]
        for name, record in plain.items()
    }
    records["Out"] = [["count", 0], ["next_id", WORD_BYTES], ["commands", 2 * WORD_BYTES]]
    sizes = {name: WORD_BYTES * len(records[name]) for name in plain}
    sizes["Out"] = 2 * WORD_BYTES + COMMANDS_MAX * sizes["Command"]
    return {
        "version": LAYOUT_VERSION,
        "none": NONE,
        "commands_max": COMMANDS_MAX,
        "records": records,
        "bytes": sizes,
    }


# --- what a kernel is made of --------------------------------------------------------------------


def _meaning(code: CodeType) -> list[Any]:
    """Return what a code object does, without where it stands."""
    constants = [
        _meaning(item) if isinstance(item, CodeType) else f"{type(item).__name__} {item!r}"
        for item in code.co_consts
    ]
    names = [*code.co_names, *code.co_varnames, code.co_name]
    return [code.co_code.hex(), constants, names, code.co_argcount, code.co_exceptiontable.hex()]


def _fields(record: type) -> list[list[Any]]:
    return [[slot.name, slot.code, slot.length] for slot in slots_of(record)]


def _identity(kind: type[KernelStrategy], parts: Sequence[Part]) -> str:
    """Return the hash of all that the machine code of a kernel is made from."""
    binding = _binding()
    made_from = {
        "format": FORMAT,
        "layout": layout(),
        "params": _fields(kind.Params),
        "state": _fields(kind.State),
        "functions": [
            [
                _meaning(part.function.__code__),
                repr(part.function.__defaults__),
                {name: _named(value) for name, value in part.names.items()},
            ]
            for part in parts
        ],
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numba", "llvmlite")},
        "machine": [
            binding.get_process_triple(),
            binding.get_host_cpu_name(),
            binding.get_host_cpu_features().flatten(),
        ],
    }
    text = json.dumps(made_from, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _named(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return f"{type(value).__name__} {name if name else repr(value)}"


# --- machine code --------------------------------------------------------------------------------


class LoadedKernel:
    """A kernel in executable memory."""

    def __init__(self, kind: type[KernelStrategy], engine: Any, *, is_fresh: bool) -> None:
        self.kind = kind
        self.is_fresh = is_fresh  # it was compiled just now
        self._engine = engine  # owns the memory
        self._address: int = engine.get_function_address(ENTRY)
        # What every binding needs: there is one for each replay.
        self._params = Words(kind.Params)
        self._state = Words(kind.State)
        self._layout = json.dumps(layout())

    def bind(self, strategy: KernelStrategy) -> "rustsim.Kernel":
        """Return what replays as `strategy` would: with its parameters, from its state.

        Raises:
            StrategyError: It is another strategy.
        """
        if type(strategy) is not self.kind:
            found = type(strategy).__name__
            raise StrategyError(f"This is the code of {self.kind.__name__}, not of {found}")
        import rustsim

        return rustsim.Kernel(
            self._address,
            self,
            params=self._params.pack(strategy.params) + bytes(WORD_BYTES),
            state=self._state.pack(strategy.state),
            layout=self._layout,
        )


def load_kernel(kind: type[KernelStrategy], cache: Path) -> LoadedKernel:
    """Return the machine code of a kernel strategy, compiled if `cache` does not have it.

    Args:
        kind: The strategy.
        cache: Folder of compiled kernels, which any number of processes may share.

    Raises:
        StrategyError: It cannot be compiled; names the line and what is allowed.
    """
    if importlib.util.find_spec("llvmlite") is None:
        raise StrategyError(_missing(kind))
    parts = parts_of(_decide(kind))
    path = cache / f"{kind.__name__}-{_identity(kind, parts)}.o"
    code = _read(path)
    is_fresh = code is None
    if code is None:
        code = _compile(kind, parts)
        _write(path, code)
    binding = _binding()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(binding))
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return LoadedKernel(kind, engine, is_fresh=is_fresh)


def _missing(kind: type[KernelStrategy]) -> str:
    message = f"{kind.__name__} cannot be compiled: numba is not installed"
    return f"{message}; install it, or take the mode interpreted"


def _decide(kind: type[KernelStrategy]) -> FunctionType:
    function = getattr(kind, "decide", None)
    if not isinstance(function, FunctionType):
        raise StrategyError(f"{kind.__name__} has no function decide to compile")
    return function


def _binding() -> Any:
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _machine(binding: Any) -> Any:
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def _read(path: Path) -> bytes | None:
    """Return the code in a file, None if there is none that is whole."""
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, code = kept[:32], kept[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may compile the same kernel: both write the same, and the last rename holds.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kernel-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(hashlib.sha256(code).digest() + code)
        Path(name).chmod(0o644)  # for workers of other users, as tapes are
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _compile(kind: type[KernelStrategy], parts: Sequence[Part]) -> bytes:
    """Return the object file of a kernel."""
    if not is_available():
        raise StrategyError(_missing(kind))
    import numba
    from numba.core.errors import NumbaError

    for part in parts:
        check_part(part)
    compiled: dict[FunctionType, Any] = {}
    for part in parts:
        names = {
            name: compiled[value] if isinstance(value, FunctionType) else value
            for name, value in part.names.items()
        }
        plain = part.function
        plain = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__)
        compiled[part.function] = numba.njit(**_OPTIONS)(plain)
    decide = compiled[parts[-1].function]
    carray = numba.carray

    def call(market: Any, event: Any, params: Any, state: Any, out: Any) -> None:
        decide(
            carray(market, 1)[0],
            carray(event, 1)[0],
            carray(params, 1)[0],
            carray(state, 1)[0],
            carray(out, 1)[0],
        )

    records = [numba.from_dtype(dtype) for dtype in record_dtypes(kind)]
    signature = numba.void(*(numba.types.CPointer(record) for record in records))
    try:
        function = numba.njit(signature, **_OPTIONS)(call)
    except (NumbaError, KeyError) as error:  # KeyError: a record has no such field
        raise StrategyError(_readable(error, parts)) from error
    _check_types(parts, compiled, dict(zip(records, ("market", "event", "params"), strict=False)))
    (overload,) = function.overloads.values()
    (text,) = function.inspect_llvm().values()
    return _object_file(kind, text, overload.fndesc.llvm_func_name)


def record_dtypes(kind: type[KernelStrategy]) -> list[Any]:
    """Return the five arguments of `decide` in compiled memory, as the compiler takes them."""
    import numpy as np

    def dtype(record: type, *more: str) -> Any:
        columns: list[Any] = []
        for slot in slots_of(record):
            word = "f8" if slot.code == "d" else "i8"
            columns.append((slot.name, word, () if slot.length is None else (slot.length,)))
        columns += [(name, "i8") for name in more]
        # A record without fields has no size; one that nobody reads does no harm.
        return np.dtype(columns or [("nothing", "i8")])

    commands = ("commands", dtype(Command), (COMMANDS_MAX,))
    out = np.dtype([("count", "i8"), ("next_id", "i8"), commands])
    return [dtype(Market), dtype(Event), dtype(kind.Params, MARK), dtype(kind.State), out]


def _object_file(kind: type[KernelStrategy], text: str, name: str) -> bytes:
    """Return an object file with one function that returns 1, or 0 if the kernel raised.

    Numba's functions return a status, 0 if all went well, and take two places in front: one for
    the value, one for what was raised.
    """
    text += f"""
define i64 @{ENTRY}(ptr %market, ptr %event, ptr %params, ptr %state, ptr %out) {{
  %value = alloca i64
  %raised = alloca ptr
  %status = call i32 @"{name}"(ptr %value, ptr %raised,
    ptr %market, ptr %event, ptr %params, ptr %state, ptr %out)
  %is_fine = icmp eq i32 %status, 0
  %code = zext i1 %is_fine to i64
  ret i64 %code
}}
"""
    binding = _binding()
    machine = _machine(binding)
    module = binding.parse_assembly(text)
    for item in (*module.functions, *module.global_variables):
        if not item.is_declaration and item.name != ENTRY:
            item.linkage = "internal"  # so that what is not needed goes
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(3))
    builder.getModulePassManager().run(module, builder)
    kept = [
        item
        for item in (*module.functions, *module.global_variables)
        if not item.is_declaration and item.name != ENTRY
    ]
    for number, item in enumerate(kept):
        item.name = f"{ENTRY}{number}"  # Numba counts in its names: equal sources gave other files
    module.verify()
    needed = [item.name for item in module.functions if item.is_declaration]
    for item in needed:
        if not item.startswith("llvm.") and not re.fullmatch(r"[a-z][a-z0-9]*", item):
            message = f"{kind.__name__}.decide needs memory or strings at run time ({item})"
            raise StrategyError(f"{place_of(_decide(kind))}: {message}. {ALLOWED}")
    code: bytes = machine.emit_object(module)
    return code


def _check_types(
    parts: Sequence[Part], compiled: Mapping[FunctionType, Any], read_only: Mapping[Any, str]
) -> None:
    """Refuse what the compiler takes without a word, but means something else when interpreted.

    Args:
        parts: The functions of a kernel, `decide` last.
        compiled: The compiled ones.
        read_only: Names of the records that nobody may write, by their types.

    Raises:
        StrategyError: Names the line.
    """
    from numba.core import types

    commands = {compiled[part.function] for part in parts if _is_ours(part)}
    # Callers first: a wrong argument is told where it is given, not where it arrives.
    for part in reversed(parts):
        for overload in compiled[part.function].overloads.values():
            notes = overload.type_annotation
            for step in (step for block in notes.blocks.values() for step in block.body):
                where = f"{step.loc.filename}:{step.loc.line}: {part.function.__name__}"
                written, target, values = _written(step, notes, commands)
                if written in read_only:
                    raise StrategyError(f"{where} writes into {read_only[written]}. {ALLOWED}")
                if target and any(isinstance(value, types.Float) for value in values):
                    hint = "say int(...), or declare the field as float"
                    raise StrategyError(f"{where} puts a float into {target}: {hint}")


def _is_ours(part: Part) -> bool:
    return part.function.__module__ == Out.__module__


def _written(step: Any, notes: Any, commands: set[Any]) -> tuple[Any, str, tuple[Any, ...]]:
    """Return the type of the record that a step writes, the integer target, the values' types."""
    from numba.core import ir, types

    kinds = notes.typemap
    if isinstance(step, ir.SetAttr):
        record = kinds[step.target.name]
        is_integer = isinstance(record.typeof(step.attr), types.Integer)
        target = "an integer field" if is_integer else ""
        return record, target, (kinds[step.value.name],)
    if isinstance(step, ir.SetItem | ir.StaticSetItem):
        is_integer = isinstance(kinds[step.target.name].dtype, types.Integer)
        target = "an integer field" if is_integer else ""
        return None, target, (kinds[step.value.name],)
    call = step.value if isinstance(step, ir.Assign) else None
    if isinstance(call, ir.Expr) and call.op == "call":
        called = kinds[call.func.name]
        if isinstance(called, types.Dispatcher) and called.dispatcher in commands:
            return None, "a command, which takes integers", notes.calltypes[call].args
    return None, "", ()


_NOISE: Final = re.compile(r"Failed in nopython|During:|File \"|Pass |raised from|\s*$")


def _readable(error: Exception, parts: Sequence[Part]) -> str:
    """Return one sentence about why a kernel does not compile, with the line to mend."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if isinstance(error, KeyError):
        name = error.args[0]
        return f"{_place_of_field(name, parts)} uses the field {name!r}, which no record has there"
    reason = next((line for line in text.splitlines() if not _NOISE.match(line)), text)
    place = place_of(parts[-1].function)
    found = re.search(r"at (\S+) \((\d+)\)", text)
    if found is not None and found[1] != __file__:
        place = f"{found[1]}:{found[2]}:"
    return f"{place} {reason.strip()[:300]}. {ALLOWED}"


def _place_of_field(name: Any, parts: Sequence[Part]) -> str:
    for part in parts:
        for step in dis.get_instructions(part.function):
            if step.opname in ("LOAD_ATTR", "STORE_ATTR") and step.argval == name:
                line = step.positions.lineno if step.positions else None
                return f"{part.function.__code__.co_filename}:{line}: {part.function.__name__}"
    return place_of(parts[-1].function)
