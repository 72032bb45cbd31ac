"""How a Prometheus server is fetched when none is installed: a Debian package or a tarball."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.request import urlopen

from loomtriage.lab.patience import SILENCE_S, Patience, Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarball:
    """One official release for one platform."""

    url: str
    sha256: str


_RELEASES = "https://github.com/prometheus/prometheus/releases/download"
PINNED: Mapping[tuple[str, str], Tarball] = MappingProxyType(
    {
        ("linux", "x86_64"): Tarball(
            url=f"{_RELEASES}/v3.13.3/prometheus-3.13.3.linux-amd64.tar.gz",
            sha256="b349c732d8a853e657d0e7ae1bbad4d11b586615fb65fdc59d896b9f869c001e",
        ),
    }
)
"""By platform and machine. Only this hash could be confirmed; no other is trusted."""

_GIVE_UP_S = 300
PROGRAMS = ("prometheus", "promtool")


def from_debian(cache: Path, say: Say) -> bool:
    """Unpack the distribution's package into the cache; needs no root and installs nothing."""
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=cache) as scratch:
        # The checker is a package of its own since Debian 13, inside the server's before.
        unpacked = _unpack(Path(scratch), PROGRAMS, say=say)
        return unpacked is not None and _install(
            cache, programs=unpacked / "bin", web=unpacked / "share"
        )


def from_debian_package(cache: Path, say: Say, *, name: str) -> bool:
    """Unpack a package's program, named like it, and its data into `<cache>/<name>`."""
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=cache) as scratch:
        unpacked = _unpack(Path(scratch), (name,), say=say)
        if unpacked is None or not (unpacked / "bin" / name).is_file():
            return False
        with suppress(OSError):  # of two labs the first wins
            unpacked.rename(cache / name)
        return (cache / name).is_dir()


def _unpack(work: Path, packages: tuple[str, ...], *, say: Say) -> Path | None:
    """The `usr` folder of what these packages hold; None where there is no apt."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return None
    apt, patience = _private_apt(work), Patience(say)
    patience.say(f"Fetching the {packages[0]} package of this distribution")
    # A foreign source in the list may fail here and the package still be there.
    _run((*apt, "update"), work, patience)
    for package in packages:
        _run((*apt, "download", package), work, patience)
    for archive in work.glob("*.deb"):
        _run(("dpkg", "-x", str(archive), str(work / "root")), work, patience)
    return work / "root/usr"


def from_release(cache: Path, say: Say) -> bool:
    """Unpack the pinned official release for this machine into the cache, if one is pinned."""
    pinned = PINNED.get((sys.platform, platform.machine().lower()))
    return pinned is not None and from_tarball(cache, say, tarball=pinned)


def from_tarball(cache: Path, say: Say, *, tarball: Tarball) -> bool:
    """Fetch a tarball, check its hash before it is opened, unpack it into the cache."""
    with tempfile.TemporaryDirectory(prefix=".tar-", dir=cache) as scratch:
        archive = Path(scratch) / "prometheus.tar.gz"
        say(f"Fetching {tarball.url.rpartition('/')[2]} (about 100 MB)")
        try:
            digest = _download(tarball.url, archive, Patience(say))
        except OSError as error:
            say(f"It could not be fetched: {error}")
            return False
        if digest != tarball.sha256:
            say("Its checksum is not the pinned one: not used")
            return False
        with tarfile.open(archive) as members:
            _take_programs(members, Path(scratch))
        return _install(cache, programs=Path(scratch), web=None)


def _take_programs(members: tarfile.TarFile, folder: Path) -> None:
    """Copy the programs alone out of a release; Python 3.11.2 cannot unpack it all safely."""
    for member in members:
        name = Path(member.name).name
        content = members.extractfile(member) if name in PROGRAMS and member.isfile() else None
        if content is not None:
            with content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file)
            (folder / name).chmod(0o755)


def _private_apt(work: Path) -> tuple[str, ...]:
    """apt-get with lists and archives of its own, so that it locks and changes nothing."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    options = {
        "Dir::State": str(work / "state"),
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": str(work / "cache"),
        "Debug::NoLocking": "1",
        # As root apt would download as a user who cannot write into our folder.
        "APT::Sandbox::User": "root" if os.getuid() == 0 else "",
    }
    return ("apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items() if value))


def _run(command: tuple[str, ...], work: Path, patience: Patience) -> None:
    """Run a step, never silent for long; whether it worked shows in what it leaves behind."""
    with (work / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        deadline = time.monotonic() + _GIVE_UP_S
        try:
            while time.monotonic() < deadline:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                    return
                patience.still("still fetching")
        finally:
            process.kill()
            process.wait()


def _download(url: str, target: Path, patience: Patience) -> str:
    digest = hashlib.sha256()
    # The address is pinned above, with the hash of what must come back.
    with urlopen(url, timeout=SILENCE_S) as answer, target.open("wb") as file:  # noqa: S310
        while chunk := answer.read(1 << 18):
            digest.update(chunk)
            file.write(chunk)
            patience.still(f"{file.tell() / 1e6:.0f} MB so far")
    return digest.hexdigest()


def _install(cache: Path, *, programs: Path, web: Path | None) -> bool:
    """Put the programs under their final name in one step; the first of two labs wins."""
    if not (programs / "prometheus").is_file():
        return False
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    (draft / "bin").mkdir()
    for name in PROGRAMS:
        if (programs / name).is_file():
            shutil.copy2(programs / name, draft / "bin" / name)
    if web is not None and (web / "prometheus/web").is_dir():
        # Links of the package lead to scripts of other packages, which are not fetched.
        shutil.copytree(
            web / "prometheus/web",
            draft / "web",
            symlinks=True,
            ignore_dangling_symlinks=True,
        )
    draft.chmod(0o755)
    final = cache / "prometheus"
    if final.exists():
        shutil.rmtree(final, ignore_errors=True)  # found, but too old or broken
    try:
        draft.rename(final)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
    return final.is_dir()
