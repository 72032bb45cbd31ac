"""The package can be built and installed, and environment.yml says the same as pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def _specs() -> list[str]:
    return [spec for spec in ENVIRONMENT["dependencies"] if isinstance(spec, str)]


def _run(*command: object, cwd: Path = ROOT, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_bad_spec_would_be_noticed():
    """The parser of conda specs is able to say no."""
    with pytest.raises(InvalidMatchSpecError):
        MatchSpec("pandas >=", strict=True)


def test_every_conda_spec_parses():
    """Conda would understand each line of environment.yml."""
    specs = _specs()
    assert specs
    names = [str(MatchSpec(spec, strict=False).name.normalized) for spec in specs]
    assert len(set(names)) == len(names)


def test_conda_asks_for_the_same_python():
    """The Python bound of environment.yml is the package's own."""
    bounds = [spec.removeprefix("python") for spec in _specs() if spec.startswith("python>")]
    assert bounds == [PROJECT["project"]["requires-python"]]


def test_environment_file_is_current():
    """environment.yml is what `make environment` would write."""
    _run(ROOT / ".ci/environment", "--check")


def test_every_dependency_is_in_the_environment_file():
    """Nothing that the package needs is missing for conda's users."""
    pip = next(part["pip"] for part in ENVIRONMENT["dependencies"] if isinstance(part, dict))
    text = " ".join([*_specs(), *pip])
    # Conda may put a prefix before a name; a substring is enough here.
    missing = [
        name
        for line in PROJECT["project"]["dependencies"]
        if (name := line.partition(">")[0].partition("=")[0].partition("[")[0]) not in text
    ]
    assert missing == []


def test_wheel_works_outside_the_checkout(tmp_path):
    """A built wheel imports on its own and brings notebooks and recorded runs along."""
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import loomtriage, loomtriage.cli; from loomtriage.settings import shipped;"
        "print(loomtriage.__file__);"
        "print(*sorted(p.name for p in shipped('notebooks').glob('*.ipynb')));"
        "print(*sorted(p.name for p in shipped('runbooks/examples').iterdir()))"
    )
    told = _run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site)).splitlines()
    assert Path(told[0]).is_relative_to(site)
    assert told[1].split() == sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
    assert told[2].split() == sorted(p.name for p in (ROOT / "runbooks/examples").iterdir())


def test_wheel_holds_no_tests_and_no_caches(tmp_path):
    """What is installed is the package and what ships with it, nothing else."""
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"loomtriage", f"loomtriage-{PROJECT['project']['version']}.dist-info"}
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []
