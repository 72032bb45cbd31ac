"""Published files: the tree holds exactly what the drill book says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from loomtriage.cli import main
from loomtriage.drills.book import DRILLS
from loomtriage.publish import files

ROOT = Path(__file__).resolve().parents[2]
BOOK = DRILLS.all(noun="drill")
FEW = {name: BOOK[name] for name in ("es_down", "es_429")}


@pytest.fixture
def tree(tmp_path):
    """A checkout that holds stage notebooks and everything that is published."""
    (tmp_path / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, tmp_path / "notebooks")
    files.publish(tmp_path, files.published(tmp_path))
    return tmp_path


def paths(drifted) -> list[str]:
    return [one.path for one in drifted]


def test_the_tree_holds_what_is_published():
    """Every drill has its notebook, every notebook its drill, and the catalogue lists them all."""
    assert [str(one) for one in files.drift(ROOT, files.published(ROOT))] == []


def test_publishing_twice_changes_nothing(tree):
    """The same book gives the same bytes."""
    assert files.publish(tree, files.published(tree)) == ()


def test_an_edited_file_is_drift(tree):
    """An edit by hand is found, and publishing takes it back."""
    name = "notebooks/drills/es_down.ipynb"
    text = (tree / name).read_text(encoding="utf-8")
    (tree / name).write_text(text.replace("es_down", "es_dawn"), encoding="utf-8")
    wanted = files.published(tree)
    assert [str(one) for one in files.drift(tree, wanted)] == [
        f"{name}: differs from what is published"
    ]
    assert files.publish(tree, wanted) == (name,)
    assert (tree / name).read_text(encoding="utf-8") == text


def test_a_drill_without_notebook_is_drift(tree):
    """A drill whose notebook was never written is found."""
    (tree / "notebooks/drills/es_429.ipynb").unlink()
    found = files.drift(tree, files.published(tree))
    assert [str(one) for one in found] == ["notebooks/drills/es_429.ipynb: is not written yet"]


def test_a_notebook_without_drill_is_drift(tree):
    """A notebook whose drill left the book is found, and publishing takes it away."""
    wanted = files.published(tree, FEW)
    gone = [f"notebooks/drills/{name}.ipynb" for name in sorted(set(BOOK) - set(FEW))]
    found = files.drift(tree, wanted)
    assert set(gone) < set(paths(found))
    assert {one.says for one in found if one.path in gone} == {"no drill of the book publishes it"}
    files.publish(tree, wanted)
    left = sorted(path.stem for path in (tree / "notebooks/drills").iterdir())
    assert left == sorted(FEW)
    assert files.drift(tree, wanted) == ()


def test_a_new_example_changes_the_catalogue(tree):
    """The catalogue links an example once it is recorded, and says so until then."""
    assert "not recorded yet" in (tree / files.RUNBOOKS).read_text(encoding="utf-8")
    folder = tree / files.EXAMPLES / "es_down"
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    wanted = files.published(tree)
    assert paths(files.drift(tree, wanted)) == [files.RUNBOOKS]
    assert "(examples/es_down/report.html)" in wanted[files.RUNBOOKS]


def test_the_catalogue_links_to_files_that_exist():
    """Every link of the committed catalogue leads to a file."""
    text = (ROOT / files.RUNBOOKS).read_text(encoding="utf-8")
    targets = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert len(targets) > len(BOOK)
    assert [name for name in targets if not (ROOT / "runbooks" / name).is_file()] == []


def test_the_command_checks(capsys):
    """`publish --check` writes nothing and ends well on a tree that has not drifted."""
    with pytest.raises(SystemExit) as ended:
        main(["publish", "--check"])
    assert ended.value.code == 0
    assert "published files" in capsys.readouterr().out
