"""The contracts: the generated code is what the generator makes, and what was released stays as it was.

After a field is added: `python tests/unit/rpc/test_contract.py` writes the golden file again.
"""

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from boonart.rpc.v1 import common_pb2, encoder_pb2, reranker_pb2, search_pb2

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "contract_v1.json"
FILES = (common_pb2, encoder_pb2, reranker_pb2, search_pb2)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_code_is_what_the_generator_makes(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    generate = generator()
    for package, wanted in generate.PINNED.items():
        if version(package) != wanted:
            pytest.skip(f"{package} is {version(package)}, the code is generated with {wanted}")
    made = {path.name: path.read_bytes() for path in generate.generate(tmp_path)}
    committed = {path.name: path.read_bytes() for path in generate.TARGET.iterdir() if path.is_file()}
    assert sorted(made) == sorted(committed)
    for name, data in made.items():
        assert committed[name] == data, f"{name} is not up to date: run python proto/generate.py"


def described(descriptor: Descriptor) -> dict[str, Any]:
    return {
        field.name: {
            "number": field.number,
            "type": _type(field),
            "repeated": field.is_repeated,
            "presence": field.has_presence,
            "oneof": field.containing_oneof.name if field.containing_oneof else "",
        }
        for field in descriptor.fields
    }


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return str(field.message_type.full_name)
    if field.enum_type is not None:
        return str(field.enum_type.full_name)
    names = {getattr(FieldDescriptor, name): name for name in dir(FieldDescriptor) if name.startswith("TYPE_")}
    return names[field.type].removeprefix("TYPE_").lower()


def contract() -> dict[str, dict[str, Any]]:
    """Everything that a peer of another version relies on."""
    found: dict[str, dict[str, Any]] = {"messages": {}, "enums": {}, "methods": {}}

    def add_enum(enum: EnumDescriptor) -> None:
        found["enums"][enum.full_name] = {value.name: value.number for value in enum.values}

    def add_message(message: Descriptor) -> None:
        found["messages"][message.full_name] = described(message)
        for nested in message.nested_types:
            add_message(nested)
        for enum in message.enum_types:
            add_enum(enum)

    for module in FILES:
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add_message(message)
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            add_enum(enum)
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found["methods"][method.full_name] = {
                    "request": method.input_type.full_name,
                    "response": method.output_type.full_name,
                    "streams": [method.client_streaming, method.server_streaming],
                }
    return found


def broken(released: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """What a released peer would trip over; additions are fine, also values of an enum."""
    problems = []
    for kind, entries in released.items():
        for name, parts in entries.items():
            if name not in now[kind]:
                problems.append(f"{name} is gone")
                continue
            for part, value in parts.items():
                current = now[kind][name].get(part)
                if current != value:
                    problems.append(f"{name}.{part} was {value} and is {current}")
    return problems


def test_nothing_that_was_released_has_changed() -> None:
    released = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert broken(released, contract()) == []


def test_the_released_contract_is_written_down_whole() -> None:
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == contract(), f"run python {Path(__file__).name}"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("messages", "boonart.v1.Tensor", "data"), {"number": 9}),
        (("messages", "boonart.v1.Tensor", "shape"), {"type": "uint64"}),
        (("messages", "boonart.v1.Tensor", "shape"), {"repeated": False}),
        (("messages", "boonart.v1.RerankScore", "relevance"), {"presence": False}),
        (("messages", "boonart.v1.SearchRequest", "text"), {"oneof": ""}),
        (("methods", "boonart.v1.EncoderService.EncodeTexts", "request"), "boonart.v1.Other"),
        (("enums", "boonart.v1.DType", "DTYPE_FLOAT32"), 7),
    ],
)
def test_the_rule_catches_a_change(path: tuple[str, str, str], value: Any) -> None:
    changed = contract()
    kind, name, part = path
    current = changed[kind][name][part]
    changed[kind][name][part] = {**current, **value} if isinstance(value, dict) else value
    assert len(broken(contract(), changed)) == 1


def test_the_rule_catches_what_is_renamed_or_removed() -> None:
    renamed, removed = contract(), contract()
    fields = renamed["messages"]["boonart.v1.Work"]
    fields["licence_text"] = fields.pop("licence")
    del removed["messages"]["boonart.v1.Work"]
    assert broken(contract(), renamed)
    assert broken(contract(), removed)


def test_the_rule_lets_additions_pass() -> None:
    grown = contract()
    grown["messages"]["boonart.v1.Work"]["height"] = {"number": 99}
    assert broken(contract(), grown) == []


def test_every_method_has_a_request_and_a_response_of_its_own() -> None:
    used = [part for method in contract()["methods"].values() for part in (method["request"], method["response"])]
    assert len(used) == len(set(used))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(contract(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {GOLDEN}\n")
