"""Manifest: what a run folder holds, with the hash of every file, checked before any is parsed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.model import Window

NAME = "manifest.json"
SCHEMA = 1


class FileEntry(BaseModel):
    """Size and hash of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Schema number, parameters, windows, versions, sources without secrets, and all files.

    Paths are relative to the run folder and use `/`. Times are ISO 8601 UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_number: int = Field(alias="schema")
    id: str
    what: str
    state: Literal["complete", "interrupted"] = "complete"
    created_at: str
    parameters: dict[str, str]
    window: dict[str, str]
    baseline: dict[str, str] | None
    versions: dict[str, str]
    sources: dict[str, str]
    files: dict[str, FileEntry]

    @property
    def window_value(self) -> Window:
        """The incident window, aware UTC."""
        return Window.parse(self.window["start"], self.window["end"])

    @property
    def baseline_value(self) -> Window | None:
        """The baseline, or None."""
        if self.baseline is None:
            return None
        return Window.parse(self.baseline["start"], self.baseline["end"])

    def verify(self, folder: Path) -> int:
        """Check every file against its hash and that there is none beside; count of files.

        Raises:
            BundleDamaged: names the file, and both digests where they differ.
        """
        listed = set(self.files) | {NAME}
        for name, entry in self.files.items():
            path = folder / name
            if path.is_symlink() or not path.is_file():
                raise BundleDamaged(
                    f"{folder.name} lacks {name}.", hint="Copy the run folder again."
                )
            found = digest(path)
            if found != entry.sha256:
                raise BundleDamaged(
                    f"{folder.name}/{name} has SHA-256 {found[:12]}…, its manifest says "
                    f"{entry.sha256[:12]}….",
                    hint="The file was changed after the run; use an untouched copy.",
                )
        extra = sorted(
            str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file()
        )
        for name in extra:
            if name not in listed:
                raise BundleDamaged(
                    f"{folder.name} holds {name}, which its manifest does not list.",
                    hint="Remove the file, or use an untouched copy.",
                )
        return len(self.files)


def digest(path: Path) -> str:
    """SHA-256 of a file as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a run folder.

    Raises:
        UsageError: the folder is no run folder.
        BundleDamaged: the manifest does not parse, or its schema is a newer one.
    """
    path = folder / NAME
    if not path.is_file():
        raise UsageError(
            f"{folder} is no run folder, it has no {NAME}.",
            hint="Give a folder that a run wrote; loomtriage runs lists them.",
        )
    return parse_manifest(path.read_bytes(), where=f"{folder.name}/{NAME}")


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """The manifest in these bytes; `where` names them in a message.

    Raises:
        BundleDamaged: they do not parse, or the schema is a newer one.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleDamaged(
            f"{where}: {part}: {first['msg']}.",
            hint="The manifest was changed after the run; use an untouched copy.",
        ) from None
    if manifest.schema_number != SCHEMA:
        raise BundleDamaged(
            f"{where} has schema {manifest.schema_number}, not {SCHEMA}.",
            hint="Use the version of loomtriage that wrote it.",
        )
    return manifest
