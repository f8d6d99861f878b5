"""Generates src/boonart/rpc/v1 from proto/boonart/v1: `python proto/generate.py [OUTPUT FOLDER]`.

Needs exactly the versions below, so that the generated code is the same byte for byte on every machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "proto" / "boonart" / "v1"
TARGET = ROOT / "src" / "boonart" / "rpc" / "v1"
PINNED = {"grpcio-tools": "1.85.1", "mypy-protobuf": "5.1.0"}

PROTO_PACKAGE = "boonart/v1"
PYTHON_PACKAGE = "boonart/rpc/v1"
BANNER = "# Generated from proto/boonart/v1 by proto/generate.py. Do not edit.\n"


def check_versions() -> None:
    """Stop when the generator is another than the one that made the committed code."""
    for package, wanted in PINNED.items():
        if (found := version(package)) != wanted:
            sys.exit(f"{package} is {found}; the code is generated with {wanted}: pip install {package}=={wanted}")


def generate(target: Path) -> list[Path]:
    """Generate messages, services and their type stubs into `target`, and return the files.

    The Python package lies deeper than the proto package, and protoc derives Python's imports from the names of the
    proto files. So it is given copies under the Python package's name; nothing is patched in what it makes.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sources, output = Path(folder, "sources"), Path(folder, "output")
        package = sources / PYTHON_PACKAGE
        package.mkdir(parents=True)
        output.mkdir()
        names = []
        for path in sorted(SOURCE.glob("*.proto")):
            text = path.read_text(encoding="utf-8").replace(f'import "{PROTO_PACKAGE}/', f'import "{PYTHON_PACKAGE}/')
            (package / path.name).write_text(text, encoding="utf-8")
            names.append(f"{PYTHON_PACKAGE}/{path.name}")
        arguments = ["protoc", f"-I{sources}", f"--python_out={output}", f"--grpc_python_out={output}"]
        arguments += [f"--plugin={plugin}" for plugin in _stub_plugins()]
        arguments += [f"--mypy_out=quiet:{output}", f"--mypy_grpc_out=quiet:{output}"]
        if protoc.main([*arguments, *names]) != 0:
            sys.exit("protoc found an error in the contracts; see above.")
        files = []
        for path in sorted((output / PYTHON_PACKAGE).glob("*.py*")):
            file = target / path.name
            file.write_text(BANNER + path.read_text(encoding="utf-8"), encoding="utf-8")
            files.append(file)
    init = target / "__init__.py"
    init.write_text(BANNER + '"""The generated half of the contracts."""\n', encoding="utf-8")
    return [*files, init]


def _stub_plugins() -> list[str]:
    scripts = Path(sys.executable).parent
    return [f"{name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    check_versions()
    generate(parser.parse_args().target)


if __name__ == "__main__":
    main()
