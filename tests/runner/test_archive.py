"""A zip from elsewhere is refused unless it is a run to the last byte; nothing of it is trusted."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import zipfile
from pathlib import Path

import pytest

from loomtriage.cli import main
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.runner import archive
from loomtriage.runner.archive import export, unpack, verify_archive
from loomtriage.settings import shipped

ID = "20260214T142130Z-path-1a2b3c"
RUN = shipped("runbooks/examples") / "placebo"


def _manifest(files: dict[str, bytes], **changed: object) -> bytes:
    content = {
        "schema": 1,
        "id": ID,
        "what": "path",
        "created_at": "2026-02-14T14:30:00.000Z",
        "parameters": {},
        "window": {"start": "2026-02-14T14:21:30.000Z", "end": "2026-02-14T14:27:30.000Z"},
        "baseline": None,
        "versions": {},
        "sources": {},
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    return json.dumps(content | changed).encode()


FILES = {"verdict.json": b"{}", "tape/index.jsonl": b"{}\n"}


def _write(path: Path, members: list[tuple[object, bytes]], *, packed: bool = False) -> Path:
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as target:
        for name, data in members:
            target.writestr(name, data)  # type: ignore[arg-type]
    return path


def _good(*, files: dict[str, bytes] | None = None) -> list[tuple[object, bytes]]:
    kept = FILES if files is None else files
    return [
        (f"{ID}/manifest.json", _manifest(kept)),
        *((f"{ID}/{name}", data) for name, data in kept.items()),
    ]


def _info(name: str, mode: int = stat.S_IFREG | 0o600) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def _with(name: object, data: bytes = b"x") -> list[tuple[object, bytes]]:
    return [*_good(), (name, data)]


def _listed(name: str) -> list[tuple[object, bytes]]:
    """A manifest that itself names the bad file."""
    return _good(files={**FILES, name: b"x"})


BOMB = {**FILES, "tape/1.txt": b"\0" * (30 * 1024 * 1024)}
EVIL = {
    "parent": _listed("../evil"),
    "parent inside": _listed("tape/../../evil"),
    "absolute": _with("/evil"),
    "outside": _with("evil"),
    "other folder": _with("20260214T142130Z-path-ffffff/evil"),
    "backslash": _listed("tape\\evil"),
    "drive": _listed("C:evil"),
    "control": _listed("a\x1b[31m"),
    "right to left": _listed("a\u202eb"),
    "dot": _listed("./evil"),
    "empty part": _listed("tape//evil"),
    "deep": _listed("a/b/c/d/e/f/g"),
    "long": _listed("a" * 300),
    "folder": _with(f"{ID}/tape/", b""),
    "unlisted": _with(f"{ID}/evil.ipynb"),
    "case twice": _listed("VERDICT.json"),
    "link": _with(_info(f"{ID}/evil", stat.S_IFLNK | 0o777), b"/etc/passwd"),
    "device": _with(_info(f"{ID}/evil", stat.S_IFCHR | 0o600)),
    "no manifest": _good()[1:],
    "lacking": _good()[:-1],
    "other bytes": [*_good()[:-1], (f"{ID}/tape/index.jsonl", b"{ }")],
    "longer": [*_good()[:-1], (f"{ID}/tape/index.jsonl", b"{}\n" * 9)],
    "other id": [(f"{ID}/manifest.json", _manifest(FILES, id="other")), *_good()[1:]],
    "no manifest inside": [(f"{ID}/manifest.json", b"[]"), *_good()[1:]],
    "newer schema": [(f"{ID}/manifest.json", _manifest(FILES, schema=2)), *_good()[1:]],
    "many": [*_good(), *((f"{ID}/{n}", b"") for n in range(archive.MAX_MEMBERS))],
    "empty": [],
}


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_zip_is_refused_and_leaves_nothing(tmp_path, name):
    """Neither verified nor unpacked, with the reason; not a file is left anywhere."""
    path = _write(tmp_path / "evil.zip", EVIL[name])
    with pytest.raises(BundleDamaged):
        verify_archive(path)
    with pytest.raises(BundleDamaged):
        unpack(path, tmp_path / "out")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_good_zip_made_by_the_same_hands_is_taken(tmp_path):
    """The control of all the evil ones."""
    path = _write(tmp_path / "good.zip", _good())
    assert verify_archive(path)[1] == 2
    assert (unpack(path, tmp_path / "out") / "verdict.json").read_bytes() == b"{}"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """A thousandfold of itself is no run, whatever its manifest says."""
    path = _write(tmp_path / "bomb.zip", _good(files=BOMB), packed=True)
    with pytest.raises(BundleDamaged, match="unpack to"):
        verify_archive(path)


def test_a_lying_size_is_counted(tmp_path):
    """A member with more bytes than its manifest promises is cut off there, not at its end."""
    small = _manifest({**FILES, "tape/1.txt": b"x"})
    members = [(f"{ID}/manifest.json", small), *_good(files=BOMB)[1:]]
    path = _write(tmp_path / "lie.zip", members, packed=True)
    with pytest.raises(BundleDamaged, match="more than 1 bytes"):
        verify_archive(path)


@pytest.mark.parametrize("around", [(b"#!/bin/sh\n", b""), (b"", b"tail")])
def test_bytes_around_the_archive_are_refused(tmp_path, around):
    """A file that is a zip and something else too is not believed."""
    path = _write(tmp_path / "both.zip", _good())
    path.write_bytes(around[0] + path.read_bytes() + around[1])
    with pytest.raises(BundleDamaged):
        verify_archive(path)


def test_no_flipped_byte_goes_unseen(tmp_path):
    """Of 200 single changed bytes none verifies with other content than the original."""
    path = tmp_path / "run.zip"
    export(RUN, path)
    whole, chance = path.read_bytes(), random.Random(7)
    original = _contents(path)
    for place in chance.sample(range(len(whole)), 200):
        bad = bytearray(whole)
        bad[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        try:
            verify_archive(path)
        except BundleDamaged:
            continue
        assert _contents(path) == original


def _contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as source:
        return {i.filename: hashlib.sha256(source.read(i)).hexdigest() for i in source.infolist()}


def test_what_is_there_is_not_written_over(tmp_path):
    """Neither an archive nor a run folder."""
    path = tmp_path / "run.zip"
    export(RUN, path)
    with pytest.raises(UsageError, match="exists"):
        export(RUN, path)
    unpack(path, tmp_path / "out")
    with pytest.raises(UsageError, match="already"):
        unpack(path, tmp_path / "out")


def test_the_commands_take_a_zip(tmp_path, capsys):
    """Export here, verify and import there."""
    path = tmp_path / "run.zip"
    for words in (
        ["export", "example:placebo", "--to", str(path)],
        ["verify", str(path)],
        ["import", str(path), "--out", str(tmp_path / "out")],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert not stopped.value.code
    assert capsys.readouterr().out.count("OK: ") == 3
