"""The weights of a TorchScript archive, read without running the program that is in it.

CLIP was first published so. The archive is a zip file of tensors, a pickle that says which module has which, and the
modules' code. Here the code is never looked at, and of the pickle only the few names are understood that tensors need;
any other name ends the reading.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from boonart.errors import ModelFileError

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


class _Module:
    """Stands for any module of the archive: it has attributes and does nothing."""

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def is_torchscript(file: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(file: Path) -> dict[str, Tensor]:
    """The tensors of an archive's modules, by dotted name.

    Raises:
        ModelFileError: it is damaged, or names more than tensors need.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            (entry,) = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            with archive.open(entry) as stream:
                root = _Reader(stream, archive, entry.removesuffix("data.pkl") + "data/").load()
        found: dict[str, Tensor] = {}
        _collect(root, "", found)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        LookupError,
        ValueError,
        TypeError,
        EOFError,
        RuntimeError,
    ) as error:
        raise ModelFileError(f"{file.name} is no TorchScript archive of plain weights: {error}") from error
    return found


class _Reader(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(stream)
        self._archive = archive
        self._folder = folder
        self._read: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _tensor
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not str(key).isalnum():
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        if key not in self._read:
            data = bytearray(self._archive.read(f"{self._folder}{key}"))
            values = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            if len(values) < count:
                raise pickle.UnpicklingError(f"tensor {key} is cut off")
            self._read[key] = values
        return self._read[key]


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if len(size) != len(stride) or min((offset, *size, *stride), default=0) < 0:
        raise pickle.UnpicklingError("a tensor has no possible shape")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(storage):
        raise pickle.UnpicklingError("a tensor goes beyond its data")
    return storage.as_strided(size, stride, offset)


def _collect(value: Any, name: str, found: dict[str, Tensor]) -> None:
    if isinstance(value, Tensor):
        found[name] = value
    elif isinstance(value, _Module):
        for key, inner in value.attributes.items():
            _collect(inner, f"{name}.{key}" if name else str(key), found)
