"""Archive: how does a run folder travel as one file, and what must hold before one is believed?

A zip from elsewhere is an attack until shown otherwise: only members that its own manifest names
are read, each by that name and never by what the zip says of paths, and every byte is counted
while it is unpacked. What zip headers claim about sizes is not believed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.sources.manifest import NAME, Manifest, parse_manifest, read_manifest
from loomtriage.sources.packing import SUFFIX

MAX_TOTAL_BYTES = 512 * 1024 * 1024
MAX_MEMBER_BYTES = 256 * 1024 * 1024
MAX_MEMBERS = 2000
MAX_RATIO = 200
"""Unpacked to packed bytes of the whole; JSON of a run packs to about a tenth."""
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
FREE_BYTES = 1024 * 1024
"""Unpacked bytes that are never held against the ratio: small texts of repeats are harmless."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_READ_BYTES = 64 * 1024
_END_BYTES = 22
_ZIP = b"PK"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def export(run: Path, target: Path) -> int:
    """Write a run folder as one zip with a single folder inside, the same bytes every time.

    Returns:
        Number of files in it, beside the manifest.

    Raises:
        UsageError: the folder is no run, or the target exists.
        BundleDamaged: the run does not match its manifest.
    """
    manifest = read_manifest(run)
    count = manifest.verify(run)
    fresh = target.with_name(f".{target.name}.partial")
    if target.exists():
        raise UsageError(f"{target.name} exists.", hint="Give another name with --to.")
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (NAME, *sorted(manifest.files)):
                member = zipfile.ZipInfo(f"{manifest.id}/{name}", _EPOCH)
                member.external_attr = (stat.S_IFREG | 0o600) << 16
                packed = name.endswith((SUFFIX, ".png"))
                how = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                archive.writestr(member, (run / name).read_bytes(), compress_type=how)
        fresh.chmod(0o600)
        fresh.rename(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UsageError(
            f"Cannot write {target.name}: {error.strerror}.",
            hint="Give a writable place with --to.",
        ) from None
    return count


def verify_archive(path: Path) -> tuple[Manifest, int]:
    """Check a zip of a run: its form, its limits, and every file's hash; nothing is written.

    Returns:
        The manifest, and the number of files beside it.

    Raises:
        BundleDamaged: names what is wrong.
    """
    with _opened(path) as (archive, members, manifest):
        for name in manifest.files:
            for _ in _checked(archive, members[name], name, manifest):
                pass
        return manifest, len(manifest.files)


def unpack(path: Path, out: Path) -> Path:
    """Put the run of a zip below `out`, checked while it is written; its folder.

    Nothing appears under the final name before every byte was checked.

    Raises:
        BundleDamaged: names what is wrong.
        UsageError: the path is no zip, a run of that id is there, or `out` cannot be written.
    """
    _refuse_no_zip(path)
    with _opened(path) as (archive, members, manifest):
        final, fresh = out / manifest.id, out / f".{manifest.id}.partial"
        if final.exists():
            raise UsageError(f"{manifest.id} is there already.", hint="Give another --out.")
        try:
            fresh.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise UsageError(
                f"Cannot write to {out}: {error.strerror}.", hint="Give a writable --out."
            ) from None
        try:
            for name in (NAME, *manifest.files):
                target = fresh / name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(target, flags, 0o600), "wb") as file:
                    file.writelines(_checked(archive, members[name], name, manifest))
            manifest.verify(fresh)
            fresh.rename(final)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return final


def _refuse_no_zip(path: Path) -> None:
    """Tell a wrong path from a damaged zip: nobody meant it to be one."""
    shown = str(path)[:160]
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise UsageError(
            f"{shown!r} cannot be read: {error.strerror}.", hint="Give a zip of a run."
        ) from None
    if not is_zip:
        raise UsageError(f"{shown!r} is no zip.", hint="Give one that `export` wrote.")


@contextmanager
def _opened(
    path: Path,
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo], Manifest]]:
    """The archive, its members by their name in the manifest, and the manifest; all of it sound."""
    try:
        with zipfile.ZipFile(path) as archive:
            members, manifest = _sound(archive, path)
            yield archive, members, manifest
    except _DAMAGE as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__})") from None


def _sound(archive: zipfile.ZipFile, path: Path) -> tuple[dict[str, zipfile.ZipInfo], Manifest]:
    infos = archive.infolist()
    if not 0 < len(infos) <= MAX_MEMBERS:
        raise _damaged(path, f"it has {len(infos)} members, 1 to {MAX_MEMBERS} are allowed")
    if min(info.header_offset for info in infos) or not _ends_here(path):
        raise _damaged(path, "it holds bytes that belong to no member")
    top = infos[0].filename.partition("/")[0]
    seen: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.orig_filename
        inside = name.removeprefix(f"{top}/")
        if why := _refused(info, top):
            raise _damaged(path, f"member {name[:80]!r} {why}")
        if inside.casefold() in {known.casefold() for known in seen}:
            raise _damaged(path, f"member {name[:80]!r} is there twice")
        seen[inside] = info
    if NAME not in seen:
        raise _damaged(path, f"it holds no {top[:60]}/{NAME}")
    text = b"".join(_read(archive, seen[NAME], MAX_MANIFEST_BYTES, path))
    manifest = parse_manifest(text, where=path.name)
    wanted = {NAME, *manifest.files}
    if set(seen) != wanted:
        odd = min(set(seen) ^ wanted)
        verb = "lacks" if odd in wanted else "holds more than its manifest:"
        raise _damaged(path, f"it {verb} {odd[:80]!r}")
    if manifest.id != top:
        raise _damaged(path, f"its folder is {top[:60]!r}, its manifest says {manifest.id[:60]!r}")
    total = sum(entry.bytes for entry in manifest.files.values())
    packed = max(path.stat().st_size, 1)
    if total > MAX_TOTAL_BYTES or max(total - FREE_BYTES, 0) / packed > MAX_RATIO:
        raise _damaged(path, f"it would unpack to {total} bytes from {packed}")
    return seen, manifest


def _ends_here(path: Path) -> bool:
    """Whether the archive's last record, without a comment, is the end of the file."""
    with path.open("rb") as file:
        file.seek(-_END_BYTES, os.SEEK_END)
        return file.read(4) == b"PK\x05\x06"


def _refused(info: zipfile.ZipInfo, top: str) -> str:
    """Why a member is refused by its name and kind alone; empty when it is not."""
    name = info.orig_filename
    parts = name.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    plain = name.isascii() and name.isprintable() and not set(name) & set('\\:*?"<>|')
    if not plain or any(part in ("", ".", "..") for part in parts) or name != info.filename:
        return "has a name that no run has"
    if len(parts) < 2 or parts[0] != top or len(name) > 240 or len(parts) > 6:
        return "lies outside the run's folder"
    if kind not in (0, stat.S_IFREG):
        return "is no regular file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    return ""


def _checked(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, manifest: Manifest
) -> Iterator[bytes]:
    """The bytes of one file; raises at the end unless they are what the manifest says."""
    where = Path(archive.filename or "the zip")
    if name == NAME:
        yield from _read(archive, info, MAX_MANIFEST_BYTES, where)
        return
    entry = manifest.files[name]
    if entry.bytes > MAX_MEMBER_BYTES:
        raise _damaged(where, f"{name} is larger than {MAX_MEMBER_BYTES} bytes")
    digest = hashlib.sha256()
    for part in _read(archive, info, entry.bytes, where):
        digest.update(part)
        yield part
    if digest.hexdigest() != entry.sha256:
        raise _damaged(
            where,
            f"{name} has SHA-256 {digest.hexdigest()[:12]}…, its manifest says "
            f"{entry.sha256[:12]}…",
        )


def _read(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, cap_bytes: int, where: Path
) -> Iterator[bytes]:
    count = 0
    with archive.open(info) as file:
        while part := file.read(_READ_BYTES):
            count += len(part)
            if count > cap_bytes:
                raise _damaged(where, f"{info.filename[:80]!r} holds more than {cap_bytes} bytes")
            yield part


def _damaged(path: Path, says: str) -> BundleDamaged:
    return BundleDamaged(
        f"{path.name} is refused: {says}.", hint="Export the run again: loomtriage export RUN."
    )
