"""What a run writes down holds no secret of the process, and a run that would is not written."""

from __future__ import annotations

import base64
import json

import pytest

from loomtriage.cli import main
from loomtriage.errors import ContractBroken
from loomtriage.runner.scan import refuse_secrets
from loomtriage.sources.packing import SUFFIX, pack, unpack
from loomtriage.sources.secret_forms import Secrets
from tests.sources.canary import CANARY, ENCODINGS, holds
from tests.sources.runs import export, line, run, span

KNOWN = Secrets((CANARY,))
SUFFIXES = {"report.html": b"<td>%s</td>", "tape/1.json.xz": b'"%s"', "x.png": b"\x89PNG%s"}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("file", SUFFIXES)
def test_the_last_look_finds_every_encoding(tmp_path, name, file):
    """Text, packed members and pictures: the folder is not sealed, the file is named."""
    content = SUFFIXES[file].replace(b"%s", ENCODINGS[name](CANARY))
    path = tmp_path / "run" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(pack(content) if file.endswith(SUFFIX) else content)
    with pytest.raises(ContractBroken, match=file):
        refuse_secrets(tmp_path / "run", KNOWN)


def test_a_clean_folder_passes(tmp_path):
    """No false alarm, neither on ordinary evidence nor on random pictures."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "a.json").write_text('{"url": "http://127.0.0.1:9200/x", "token": "[redacted]"}')
    (folder / "b.png").write_bytes(bytes(range(256)) * 100)
    refuse_secrets(folder, KNOWN)


@pytest.fixture
def leaking(tmp_path, monkeypatch):
    """A finished run of somebody whose logs and spans hold a secret of this process."""
    monkeypatch.setenv("SEARCH_API_TOKEN", CANARY)
    said = [ENCODINGS[name](CANARY).decode() for name in ENCODINGS if "utf" not in name]
    lines = "".join(line(9, f"refused {text}", dsn=text, exc_info=f"E: {text}") for text in said)
    spans = [span(number, 5) for number in range(1, len(said) + 1)]
    for one, text in zip(spans, said, strict=True):
        one["tags"].append({"key": "db.statement", "type": "string", "value": text})
    return run(tmp_path, log=lines, spans=export(*spans))


def test_a_whole_run_holds_none(leaking, tmp_path):
    """Tape, notebooks, report, pictures, summary: nothing of it can be read anywhere."""
    out = tmp_path / "runs"
    with pytest.raises(SystemExit):
        main(["path", "--source", f"labs:{leaking}", "--out", str(out)])
    written = [p for p in out.rglob("*") if p.is_file()]
    assert len(written) > 10
    assert [p.name for p in written if holds(_unpacked(p))] == []


def test_without_the_variable_the_run_shows_it(leaking, tmp_path, monkeypatch):
    """The negative control: nobody said that it is a secret, so it stands in the evidence."""
    monkeypatch.delenv("SEARCH_API_TOKEN")
    out = tmp_path / "runs"
    with pytest.raises(SystemExit):
        main(["path", "--source", f"labs:{leaking}", "--out", str(out)])
    assert [p for p in out.rglob("*.xz") if holds(_unpacked(p))]


def _unpacked(path):
    content = path.read_bytes()
    if path.suffix == SUFFIX:
        return unpack(content, path.name)
    if path.suffix == ".ipynb":
        # Pictures of a notebook stand in it as text.
        cells = json.loads(content)["cells"]
        data = [o.get("data", {}) for cell in cells for o in cell.get("outputs", [])]
        pictures = [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]
        return content + b"".join(pictures)
    return content
