"""Run folder: staged under a hidden name, sealed by a manifest, then renamed; never overwritten."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.model.window import iso
from loomtriage.sources.manifest import NAME, SCHEMA, digest, read_manifest

VERSIONS_OF = ("loomtriage", "pandas", "numpy", "papermill", "matplotlib", "msgspec")


class Staging:
    """A run folder in the making.

    Its hidden name does not tell what the run is: a blind triage works inside it.

    Attributes:
        path: the hidden folder that the stages write into (0700).
        id: `<UTC>-<what>-<shortid>`, the final name, from our clock and randomness only.
    """

    def __init__(self, what: str, out: Path) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        short = secrets.token_hex(3)
        self.what = what
        self.id = f"{stamp}-{what}-{short}"
        self.out = out
        self.path = out / f".{stamp}-{short}.partial"
        try:
            self.path.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise UsageError(
                f"Cannot write runs to {out}: {error.strerror}.",
                hint="Give a writable folder with --out.",
            ) from None

    def write(self, name: str, text: str) -> None:
        """Write one text file, private to this user."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    def write_json(self, name: str, content: object) -> None:
        """Write one JSON file in canonical form: sorted keys, ASCII, newline at the end."""
        self.write(name, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n")

    def seal(self, manifest: Mapping[str, object]) -> Path:
        """Write the manifest over all files and give the folder its final name."""
        files = {}
        for path in sorted(p for p in self.path.rglob("*") if p.is_file()):
            path.chmod(0o600)
            name = path.relative_to(self.path).as_posix()
            files[name] = {"bytes": path.stat().st_size, "sha256": digest(path)}
        self.write_json(
            NAME,
            {
                "schema": SCHEMA,
                "id": self.id,
                "what": self.what,
                "created_at": iso(datetime.now(UTC)),
                "versions": versions(),
                "files": files,
                **manifest,
            },
        )
        final = self.out / self.id
        self.path.rename(final)
        _fsync_dir(self.out)
        return final

    def discard(self) -> None:
        """Take the staging folder away."""
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def staging(what: str, out: Path) -> Iterator[Staging]:
    """A staging folder that leaves nothing behind when the run did not seal it."""
    folder = Staging(what, out)
    try:
        yield folder
    finally:
        if folder.path.exists():
            folder.discard()


def refuse_unwritable(out: Path) -> None:
    """Find out now whether runs can be written there, before anything slow begins.

    Raises:
        UsageError: they cannot.
    """
    with staging("probe", out):
        pass


def windows_json(window: Window, baseline: Window | None) -> dict[str, object]:
    """Both windows as a manifest carries them."""
    return {"window": window.as_json(), "baseline": baseline.as_json() if baseline else None}


def versions() -> dict[str, str]:
    """Versions of this program, Python and the libraries that shape a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONS_OF}}


def _fsync_dir(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_runs(out: Path) -> list[dict[str, str]]:
    """Run folders below `out`, newest first: id, state and cause as recorded.

    The state of a drill is the drill's own, not that of the fault it made. The cause is empty
    where no triage took place. Folders in the making are hidden and not listed; the record of a
    close-out is none, as nothing was triaged or drilled there.
    """
    found = {path.parent for name in (_DRILL, _VERDICT) for path in out.glob(f"[!.]*/{name}")}
    return [_listed(folder) for folder in sorted(found, reverse=True)]


_VERDICT, _DRILL = "verdict.json", "drill.json"


def _listed(folder: Path) -> dict[str, str]:
    verdict, drill = (_recorded(folder / name) for name in (_VERDICT, _DRILL))
    told = drill or verdict or {"state": "ERROR"}
    return {
        "id": folder.name,
        "state": str(told.get("state", "?")),
        "cause": str(verdict.get("cause", "?")) if verdict else "",
    }


def _recorded(path: Path) -> dict[str, object]:
    """A file that a run left; empty when it left none."""
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError):
        return {"state": "ERROR", "cause": "damaged"}


EXAMPLE_KEEPS = ("verdict.json", "handover.json", "drill.json", "summary.md", "report.html", "tape")
"""What an example needs to be looked at and played back; the rest a play-back makes again."""


def keep_as_example(run: Path, examples: Path, *, name: str) -> Path:
    """Copy a sealed run to `examples/name`, without what a play-back makes again; the new folder.

    The manifest stays the run's own, its list of files shortened. An older example of that name
    is replaced.

    Raises:
        BundleDamaged: the run does not match its manifest.
    """
    manifest = read_manifest(run)
    manifest.verify(run)
    kept = {f: e for f, e in manifest.files.items() if f.split("/")[0] in EXAMPLE_KEEPS}
    target, fresh = examples / name, examples / f".{name}.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    for file in kept:
        (fresh / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / file, fresh / file)
    content = manifest.model_copy(update={"files": kept}).model_dump(by_alias=True)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    (fresh / NAME).write_text(text, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target
