"""The compose files: valid, hardened, and in step with the settings and the Dockerfiles."""

import copy
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from boonart.rpc.settings import ServingSettings
from boonart.settings import Settings
from boonart_services.encoder.settings import EncoderSettings
from boonart_services.reranker.settings import RerankerSettings

ROOT = Path(__file__).parents[2]
BASE, GPU = ROOT / "docker-compose.yml", ROOT / "docker-compose.gpu.yml"
DOCKERFILES = sorted([*ROOT.glob("services/*/Dockerfile"), ROOT / "ingest" / "Dockerfile"])
ALWAYS = {"qdrant", "encoder", "reranker", "gateway"}
CLUSTER = {"qdrant-2", "qdrant-3", "encoder-2", "reranker-2"}
ONCE = {"ingest", "sample"}
DOOR = "qdrant-door"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")
PINNED = re.compile(r"(?P<name>[a-z0-9/._-]+):v?[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*")


def interpolated(value: Any) -> Any:
    """As compose reads it where no variable is set."""
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item) for item in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: match["default"] or "", value)
    return value


def merged(base: Any, over: Any) -> Any:
    """As compose joins two files, as far as ours need it."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return copy.deepcopy(over)


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    found: dict[str, Any] = interpolated(yaml.safe_load(BASE.read_text()))
    return found


@pytest.fixture(scope="module")
def gpu(base: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = merged(base, interpolated(yaml.safe_load(GPU.read_text())))
    return found


@pytest.fixture(scope="module")
def services(base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = base["services"]
    return found


def check_schema(*files: Path) -> subprocess.CompletedProcess[str]:
    """Against the JSON schema of the Compose specification, which check-jsonschema carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_files_follow_the_compose_specification(tmp_path: Path, base: dict[str, Any], gpu: dict[str, Any]) -> None:
    joined = {"base.yml": base, "gpu.yml": gpu}
    for name in ("cluster", "ingest", "sample", DOOR):
        of_profile = {**base, "services": {key: s for key, s in base["services"].items() if in_profile(s, name)}}
        joined[f"{name}.yml"] = of_profile
    for name, content in joined.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    checked = check_schema(BASE, GPU, *(tmp_path / name for name in joined))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_check_notices_what_is_wrong(tmp_path: Path, base: dict[str, Any]) -> None:
    broken = copy.deepcopy(base)
    broken["services"]["gateway"]["port"] = ["8000:8000"]
    (tmp_path / "broken.yml").write_text(yaml.safe_dump(broken))
    assert check_schema(tmp_path / "broken.yml").returncode != 0


def test_compose_itself_accepts_them() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed here")
    for files in ([BASE], [BASE, GPU]):
        named = [part for file in files for part in ("--file", str(file))]
        for profile in ("", "cluster", "ingest", "sample", DOOR):
            chosen = ["--profile", profile] if profile else []
            command = [docker, "compose", *named, *chosen, "config", "--quiet"]
            checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
            assert checked.returncode == 0, checked.stderr


def in_profile(service: dict[str, Any], profile: str) -> bool:
    return not service.get("profiles") or profile in service["profiles"]


def test_each_profile_starts_what_it_says(services: dict[str, dict[str, Any]]) -> None:
    started = {
        profile: {name for name, service in services.items() if in_profile(service, profile)}
        for profile in ("", "cluster", "ingest", "sample", DOOR)
    }
    assert started == {
        "": ALWAYS,
        "cluster": ALWAYS | CLUSTER,
        "ingest": ALWAYS | {"ingest"},
        "sample": ALWAYS | {"sample"},
        DOOR: ALWAYS | {DOOR},
    }


def test_every_service_is_confined(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["tmpfs"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert int(service["user"].split(":")[0]) >= 1000, name
        assert re.fullmatch(r"[0-9]+[mg]", service["mem_limit"]), name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert "/var/run/docker.sock" not in str(service), name


def test_every_service_is_watched(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name in ONCE:
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"], name
            assert service["healthcheck"]["retries"], name


def test_services_start_once_those_they_need_are_healthy(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}, which is not there"
            optional = how.get("required") is False
            assert optional or not services[other].get("profiles"), f"{name} needs {other} of another profile"
            if (name, other) != ("gateway", "reranker"):
                assert how["condition"] == "service_healthy", (name, other)
    assert {"qdrant", "encoder"} <= set(services["reranker"]["depends_on"])
    assert {"qdrant", "encoder", "reranker"} <= set(services["gateway"]["depends_on"])
    assert {"qdrant", "encoder", "reranker"} <= set(services["ingest"]["depends_on"])


def test_only_the_gateway_is_published(services: dict[str, dict[str, Any]], base: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if service.get("ports")} == {"gateway", DOOR}
    assert all(port.startswith("127.0.0.1:") for name in ("gateway", DOOR) for port in services[name]["ports"])
    assert base["networks"]["backend"]["internal"] is True
    outside = {name for name, service in services.items() if "frontend" in service["networks"]}
    assert outside == {"gateway", DOOR}
    assert not any(service.get("network_mode") for service in services.values())


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert PINNED.fullmatch(service["image"]), f"{name}: {service['image']}"


def test_secrets_come_from_files_and_are_not_committed(base: dict[str, Any]) -> None:
    assert base["secrets"] == {name: {"file": f"./secrets/{name}"} for name in ("token", "qdrant_api_key")}
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    made = (ROOT / "ops" / "make-secrets.sh").read_text()
    for name, service in base["services"].items():
        for secret in service.get("secrets", ()):
            assert secret in base["secrets"], name
            assert secret in made
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE"):
                assert Path(value).name in service["secrets"], f"{name} has no secret for {variable}"
            assert "KEY" not in variable or variable.endswith("_FILE"), f"{name} has a secret in {variable}"


def test_the_secrets_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    script = shutil.copy(ROOT / "ops" / "make-secrets.sh", tmp_path / "ops")
    subprocess.run(["sh", script], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(first) == {"token", "qdrant_api_key"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in first.values())
    assert len(set(first.values())) == 2
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run(["sh", script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == first


def test_every_variable_is_a_setting(gpu: dict[str, Any]) -> None:
    kinds = (Settings, ServingSettings, EncoderSettings, RerankerSettings)
    known = {f"BOONART_{name.upper()}" for kind in kinds for name in kind.model_fields}
    for name, service in gpu["services"].items():
        for variable in service.get("environment", {}):
            if variable.startswith("BOONART_"):
                assert variable in known, f"{name} sets {variable}, which nothing reads"


def test_the_values_can_be_read(gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in gpu["services"].values():
        with monkeypatch.context() as patch:
            for variable, value in service.get("environment", {}).items():
                patch.setenv(variable, str(value))
            assert Settings().device in ("auto", "cuda")
            ServingSettings()


def test_every_variable_of_the_shell_has_a_default() -> None:
    for file in (BASE, GPU):
        for match in VARIABLE.finditer(file.read_text()):
            assert match["default"] is not None, f"{file.name}: {match[0]}"


def addresses(services: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, service in services.items():
        for value in service.get("environment", {}).values():
            if match := re.fullmatch(r"(?:grpc|http)://([a-z0-9-]+):[0-9]+", str(value)):
                yield name, match[1]


def test_addresses_name_services_and_replicas_share_their_name(services: dict[str, dict[str, Any]]) -> None:
    assert {host for _, host in addresses(services)} == {"qdrant", "encoder", "reranker"}
    for replica in CLUSTER:
        aliases = services[replica]["networks"]["backend"]["aliases"]
        assert aliases == [replica.rpartition("-")[0]]
    # The nodes find each other by names that stand for one of them each.
    assert services["qdrant"]["networks"]["backend"]["aliases"] == ["qdrant-1"]
    for node in ("qdrant-2", "qdrant-3"):
        assert services[node]["command"][:2] == ["--bootstrap", "http://qdrant-1:6335"]
        assert services[node]["command"][3] == f"http://{node}:6335"


def test_the_cluster_keeps_two_copies(services: dict[str, dict[str, Any]]) -> None:
    assert services["gateway"]["environment"]["BOONART_QDRANT_REPLICAS"] == "2"
    assert services["qdrant"]["environment"]["QDRANT__CLUSTER__ENABLED"] == "true"
    volumes = [services[name]["volumes"][0] for name in ("qdrant", "qdrant-2", "qdrant-3")]
    assert len(set(volumes)) == 3


def test_pictures_and_models_outlive_containers(base: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for name in ("gateway", "ingest", "sample"):
        assert "home:/var/lib/boonart" in services[name]["volumes"]
    for name in ("encoder", "reranker"):
        assert "models:/var/lib/boonart/models:ro" in services[name]["volumes"]
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in base["volumes"] or source.startswith("."), (name, volume)


def test_the_gpu_file_gives_encoders_and_rerankers_a_gpu_and_nothing_else(
    base: dict[str, Any], gpu: dict[str, Any]
) -> None:
    assert set(gpu["services"]) == set(base["services"])
    for name, service in gpu["services"].items():
        if name.startswith(("encoder", "reranker")):
            (device,) = service["deploy"]["resources"]["reservations"]["devices"]
            assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
            assert service["build"]["args"] == {"TORCH_INDEX": ""}, "pip's own index has CUDA in it"
            assert service["environment"]["BOONART_DEVICE"] == "cuda"
            assert service["image"].endswith("-cuda"), "it would replace the image without CUDA"
            assert service.get("profiles") == base["services"][name].get("profiles")
        else:
            assert service == base["services"][name]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_bash_can_tell_whether_qdrant_is_ready(
    services: dict[str, dict[str, Any]], status: int | None, healthy: bool
) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" and status else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    command, *rest = services["qdrant"]["healthcheck"]["test"][1:]
    script = rest[-1].replace("$$", "$")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_port if status else 1
        ran = subprocess.run([command, "-c", script.replace("/6333", f"/{port}")], capture_output=True, check=False)
        server.shutdown()
        thread.join()
    assert (ran.returncode == 0) == healthy, ran.stderr


def test_qdrant_gets_its_key_from_the_file_and_its_arguments(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("a key")
    started = tmp_path / "entrypoint.sh"
    started.write_text('#!/bin/sh\necho "$QDRANT__SERVICE__API_KEY|$*"\n')
    started.chmod(0o755)
    *shell, script, name = services["qdrant"]["entrypoint"]
    script = script.replace("$$", "$").replace("/run/secrets/qdrant_api_key", str(tmp_path / "key"))
    command = [*shell, script, name, *services["qdrant-2"]["command"]]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == "a key|--bootstrap http://qdrant-1:6335 --uri http://qdrant-2:6335\n"


# --- Dockerfiles -----------------------------------------------------------------------------------------


def test_every_built_service_has_its_dockerfile(services: dict[str, dict[str, Any]]) -> None:
    built = {service["build"]["dockerfile"] for service in services.values() if "build" in service}
    assert built == {str(path.relative_to(ROOT)) for path in DOCKERFILES}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_are_small_pinned_and_not_root(path: Path) -> None:
    text = path.read_text()
    image = re.search(r"^ARG PYTHON_IMAGE=(.+)$", text, re.MULTILINE)
    assert image
    assert PINNED.fullmatch(image[1])
    assert image[1].endswith("-slim-bookworm")
    stages = re.findall(r"^FROM (.+)$", text, re.MULTILINE)
    assert stages == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "pip install" not in last, "what builds stays in the first stage"
    assert "--constraint constraints.txt" in text
    assert "ADD " not in text
    assert "apt-get" not in text


def copied(path: Path) -> list[str]:
    """What a Dockerfile takes from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_copied_is_there_and_reaches_the_builder(path: Path) -> None:
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in copied(path):
        assert (ROOT / source).exists(), source
        assert source in shown, f".dockerignore hides {source}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_our_own_sources_are_compiled_and_nothing_that_cannot_be(path: Path, tmp_path: Path) -> None:
    # An installed package may bring files for another Python, as PyTorch does; the build would end there.
    (step,) = re.findall(r"/opt/boonart/venv/bin/python (-m compileall .+)$", path.read_text(), re.MULTILINE)
    folders = [word for word in step.split()[2:] if not word.startswith("-")]
    assert set(folders) == {source for source in copied(path) if source in ("src", "services", "ingest")}
    command = [sys.executable, *step.split()]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_pytorch_is_where_a_model_runs_and_nowhere_else(path: Path) -> None:
    text = path.read_text()
    runs_a_model = path.parent.name in ("encoder", "reranker")
    assert ("torch" in re.sub(r"(?m)^#.*$", "", text)) == runs_a_model
    if runs_a_model:
        assert re.search(r"^ARG TORCH_INDEX$", text, re.MULTILINE), "who builds names the index, or pip's own is asked"
        for install in re.findall(r"pip install .+", text):
            assert '${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"}' in install


def test_no_package_index_is_named() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.compile(rb"https?://[a-z0-9.-]*(?:pypi|pythonhosted|download\.pytorch)[a-z0-9.-]*")
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".webp", ".png", ".safetensors", ".woff2"):
            assert not named.search(path.read_bytes()), name


@pytest.mark.parametrize("index", ["", "https://index.example/cpu"])
def test_the_shell_gives_pip_the_index_only_where_there_is_one(index: str) -> None:
    option = '${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"}'
    command = ["sh", "-c", f"printf '%s|' install {option} torch"]
    said = subprocess.run(command, env={"TORCH_INDEX": index}, capture_output=True, text=True, check=True).stdout
    assert said == ("install|--extra-index-url|https://index.example/cpu|torch|" if index else "install|torch|")


def test_health_checks_ask_the_port_that_is_served(services: dict[str, dict[str, Any]]) -> None:
    for name in ("encoder", "reranker", "gateway"):
        text = (ROOT / services[name]["build"]["dockerfile"]).read_text()
        in_image = re.search(r"HEALTHCHECK(?:.|\n)+?CMD (\[.+\])", text)
        assert in_image
        assert yaml.safe_load(in_image[1]) == services[name]["healthcheck"]["test"][1:]
        port = services[name]["healthcheck"]["test"][-1].split(":")[2].split("/")[0]
        assert re.search(rf"BOONART_(GRPC_)?PORT={port}\b", text)
