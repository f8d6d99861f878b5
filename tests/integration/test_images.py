"""What each image installs is what its process needs: no less, and for the light ones no PyTorch."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MODULES = {
    "services/encoder/Dockerfile": ["boonart_services.encoder.main", "boonart.encoders.starter", "boonart.rpc.probe"],
    "services/reranker/Dockerfile": [
        "boonart_services.reranker.main",
        "boonart.vitr.weights",
        "boonart.index.server",
        "boonart.rpc.probe",
    ],
    "services/gateway/Dockerfile": [
        "boonart_services.gateway.main",
        "boonart.rpc.clients",
        "boonart.index.server",
        "boonart.encoders.pictures",
        "boonart.rpc.probe",
    ],
    "ingest/Dockerfile": [
        "boonart_ingest.main",
        "boonart.rpc.clients",
        "boonart.index.server",
        "boonart.cli",
        "boonart.sample.gallery",
    ],
}
HEAVY = ("torch", "torchvision", "timm", "open-clip-torch", "triton")
BLOCK = """
import sys

class Hidden:
    def __init__(self, names):
        self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.names:
            return None
        # Below this frame is that of the import system, which has been called by an import or by a question.
        if sys._getframe(2).f_code.co_filename == "<frozen importlib.util>":
            # Somebody only asks whether it is there. Torch lists packages so, and hypothesis is none of its needs.
            return None
        raise ModuleNotFoundError(f"the image has no {name}", name=name)

sys.meta_path.insert(0, Hidden(set(sys.argv[1].split(","))))
for module in sys.argv[2].split(","):
    __import__(module)
assert "torch" in sys.modules or sys.argv[3] == "light", "this one was said to need PyTorch"
"""


def extras(dockerfile: str) -> set[str]:
    """The extras that an image installs."""
    (found,) = re.findall(r"--editable '\.\[([a-z,]+)\]'", (ROOT / dockerfile).read_text())
    return set(found.split(","))


def closure(wanted: set[str]) -> set[str]:
    """The names of the distributions that pip would install for these extras."""
    found = set()
    seen: set[tuple[str, str]] = set()
    waiting = [("boonart", extra) for extra in ("", *wanted)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        for line in needs(name, extra):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                waiting += [(needed, "")] + [(needed, part) for part in requirement.extras]
    return found


def needs(name: str, extra: str) -> Sequence[str]:
    """What a distribution asks for; of our own, what the project file says now and not what was installed once."""
    if name == "boonart":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        asked: list[str] = project["optional-dependencies"][extra] if extra else project["dependencies"]
        return asked
    try:
        return distribution(name).requires or ()
    except PackageNotFoundError:
        # An environment may lack what is only faster with it; what is imported shows in the test of the imports.
        return ()


@pytest.mark.parametrize("dockerfile", MODULES)
def test_an_image_holds_all_that_its_process_imports(dockerfile: str) -> None:
    there = closure(extras(dockerfile))
    light = not {"torch"} & there
    hidden = {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & there
    } - {"boonart", "boonart_services", "boonart_ingest", "_distutils_hack", "tests"}
    assert "pytest" in hidden, "nothing would be hidden"
    command = [sys.executable, "-c", BLOCK, ",".join(sorted(hidden)), ",".join(MODULES[dockerfile])]
    command.append("light" if light else "heavy")
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


@pytest.mark.parametrize("dockerfile", ["services/gateway/Dockerfile", "ingest/Dockerfile"])
def test_the_light_images_hold_no_pytorch(dockerfile: str) -> None:
    there = closure(extras(dockerfile))
    assert not set(HEAVY) & there
    assert not [name for name in there if name.startswith("nvidia-")]
    assert "qdrant-client" in there


@pytest.mark.parametrize("dockerfile", MODULES)
def test_what_is_installed_is_pinned(dockerfile: str) -> None:
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    loose = {name for name in closure(extras(dockerfile)) if name not in ("boonart", "setuptools")} - pinned
    assert not loose, f"constraints.txt does not say which version of {sorted(loose)}"


@pytest.mark.skipif(
    os.environ.get("CI") != "true" and os.environ.get("BOONART_TEST_IMAGES") != "1",
    reason="set BOONART_TEST_IMAGES=1 to run the light images' install steps in an empty environment, as CI does",
)
@pytest.mark.parametrize("dockerfile", ["services/gateway/Dockerfile", "ingest/Dockerfile"])
def test_the_install_step_works_in_an_empty_environment(dockerfile: str, tmp_path: Path) -> None:
    app, venv = tmp_path / "app", tmp_path / "venv"
    app.mkdir()
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / dockerfile).read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, app / source)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    steps = re.findall(r"/opt/boonart/venv/bin/(pip install .+|python -m .+)$", (ROOT / dockerfile).read_text(), re.M)
    assert [step.split()[0] for step in steps] == ["pip", "python"]
    for program, *arguments in (re.sub(r"['\\]", "", step).split() for step in steps):
        subprocess.run([str(venv / "bin" / program), *arguments], cwd=app, check=True, stdout=subprocess.DEVNULL)
    for module in MODULES[dockerfile]:
        subprocess.run([str(venv / "bin" / "python"), "-c", f"import {module}"], cwd=tmp_path, check=True)
    listed = subprocess.run([str(venv / "bin" / "pip"), "list"], capture_output=True, text=True, check=True).stdout
    assert "torch" not in listed
