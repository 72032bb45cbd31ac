"""A Prometheus is found where the documentation says, in that order, or refused with the fixes."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from loomtriage.contract.catalogue import JOBS
from loomtriage.errors import Refused
from loomtriage.lab.servers import fetch, prometheus


def program(path: Path, version: str = "2.53.3") -> Path:
    """A stand-in for the foreign binary that only knows `--version`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'prometheus, version {version} (branch: x)'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing: empty PATH, empty caches, no setting; its home folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "home").mkdir()
    return tmp_path


def find(bare: Path, setting: str = "", **options) -> Path:
    options.setdefault("fetches", ())
    return prometheus.find_prometheus(setting, home=bare / "home", say=print, **options)


def test_without_any_prometheus_three_fixes_are_given(bare):
    """When none can be had the refusal names the three things one can do."""
    with pytest.raises(Refused) as refused:
        find(bare)
    for fix in ("apt-get install prometheus", "brew install", "LOOMTRIAGE_PROMETHEUS", "compose"):
        assert fix in refused.value.hint


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path,
        lambda path: program(path, "2.41.0"),
        lambda path: Path(program(path).write_text("#!/bin/sh\nexit 1\n") and path),
        lambda path: Path(path.write_text("no program") and path),
    ],
    ids=["absent", "too old", "fails", "no program"],
)
def test_a_setting_that_is_no_prometheus_is_refused(bare, make):
    """A wrong LOOMTRIAGE_PROMETHEUS is refused by name, never passed over for another one."""
    program(bare / "bin" / "prometheus")
    wrong = make(bare / "wrong")
    with pytest.raises(Refused, match=str(wrong)):
        find(bare, str(wrong))


def test_the_setting_comes_first_then_path_then_cache(bare):
    """Of several, the setting wins over PATH and PATH over the cache."""
    cached = program(bare / "xdg" / "loomtriage" / "prometheus" / "bin" / "prometheus")
    assert find(bare) == cached
    on_path = program(bare / "bin" / "prometheus")
    assert find(bare) == on_path
    named = program(bare / "named")
    assert find(bare, str(named)) == named


def test_an_old_prometheus_on_path_is_passed_over(bare):
    """A Prometheus before 2.42 on PATH does not hide a newer one in the cache."""
    program(bare / "bin" / "prometheus", "2.24.1")
    cached = program(bare / "xdg" / "loomtriage" / "prometheus" / "bin" / "prometheus", "3.13.3")
    assert find(bare) == cached


def test_the_cache_falls_back_to_the_home(bare, monkeypatch):
    """Where the user's cache folder cannot be made, the lab's home takes its place."""
    (bare / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare / "file"))
    monkeypatch.setenv("HOME", str(bare / "file"))
    assert prometheus.cache_dir(bare / "home") == bare / "home" / "cache"


def test_the_next_way_is_tried_when_one_yields_nothing(bare):
    """A way to fetch that fails, or yields an old program, is followed by the next."""
    cached = bare / "xdg" / "loomtriage" / "prometheus" / "bin" / "prometheus"
    ways = (
        lambda _cache, _say: False,
        lambda _cache, _say: bool(program(cached, "2.24.1")),
        lambda _cache, _say: bool(program(cached, "2.42.0")),
    )
    assert find(bare, fetches=ways) == cached


def release(folder: Path) -> fetch.Tarball:
    """A tarball shaped like an official release."""
    inside = program(folder / "prometheus-3.13.3.linux-amd64" / "prometheus", "3.13.3").parent
    archive = folder / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(inside, inside.name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return fetch.Tarball(url=archive.as_uri(), sha256=digest)


def test_a_release_with_the_pinned_hash_is_used(bare):
    """The pinned tarball is unpacked into the cache and nothing else stays there."""
    tarball = release(bare)
    cache = prometheus.cache_dir(bare / "home")
    assert fetch.from_tarball(cache, print, tarball=tarball)
    assert prometheus.version(cache / "prometheus" / "bin" / "prometheus") == (3, 13)
    assert [entry.name for entry in cache.iterdir()] == ["prometheus"]


@pytest.mark.parametrize("flaw", ["wrong hash", "not reachable"])
def test_a_release_that_is_not_the_pinned_one_is_never_opened(bare, flaw):
    """A tarball with another hash, or none at all, leaves the cache as it was and says why."""
    good = release(bare)
    bad = (
        fetch.Tarball(url=good.url, sha256="0" * 64)
        if flaw == "wrong hash"
        else fetch.Tarball(url=(bare / "absent.tar.gz").as_uri(), sha256=good.sha256)
    )
    cache, said = prometheus.cache_dir(bare / "home"), []
    assert not fetch.from_tarball(cache, said.append, tarball=bad)
    assert list(cache.iterdir()) == []
    assert "checksum" in said[-1] or "could not be fetched" in said[-1]


APT = """#!/bin/sh
echo "$@" >> "$0.calls"
case "$*" in *"download prometheus"*) /bin/touch prometheus_2.deb;; esac
"""
DPKG = """#!/bin/sh
/bin/mkdir -p "$3/usr/bin"
printf '#!/bin/sh\\necho "prometheus, version 2.53.3"\\n' > "$3/usr/bin/prometheus"
/bin/chmod 755 "$3/usr/bin/prometheus"
"""


def test_the_package_is_fetched_with_a_private_apt_state(bare):
    """apt-get is used without its locks and lists, downloads only, and installs nothing."""
    for name, text in (("apt-get", APT), ("dpkg", DPKG)):
        program(bare / "bin" / name).write_text(text)
    cache = prometheus.cache_dir(bare / "home")
    assert fetch.from_debian(cache, print)
    assert prometheus.version(cache / "prometheus" / "bin" / "prometheus") == (2, 53)
    calls = (bare / "bin" / "apt-get.calls").read_text().splitlines()
    assert [call.split()[-2:] for call in calls[1:]] == [
        ["download", "prometheus"],
        ["download", "promtool"],
    ]
    assert all(f"-oDir::State={cache}" in call and "NoLocking=1" in call for call in calls)
    assert not any("install" in call for call in calls)


def test_a_machine_without_apt_yields_nothing(bare):
    """Where there is no apt-get the Debian way says no instead of failing."""
    assert not fetch.from_debian(prometheus.cache_dir(bare / "home"), print)


def test_all_jobs_are_scraped_twice_a_second_with_env_and_component():
    """The configuration names every job with the labels that the triage narrows by."""
    text = prometheus.configuration({"api": 1234, "worker": 2345, "chronicle": 3456})
    assert "scrape_interval: 500ms" in text
    assert (
        'job_name: wordloom-api\n    static_configs:\n      - targets: ["127.0.0.1:1234"]' in text
    )
    assert (
        'job_name: wordloom-worker\n    static_configs:\n      - targets: ["127.0.0.1:2345"]'
        in text
    )
    assert "labels: {env: sandbox, component: api}" in text
    assert "labels: {env: sandbox, component: worker}" in text
    assert set(prometheus.JOBS) == set(JOBS)
    assert prometheus.SPARE_JOB in JOBS


def test_a_spare_worker_is_a_target_only_while_its_file_is_there(tmp_path):
    """A spare worker joins its job by a file with the job's labels, and leaves with it."""
    (tmp_path / prometheus.TARGETS).mkdir()
    prometheus.hide_target(tmp_path, "worker-2")
    prometheus.show_target(tmp_path, "worker-2", text=prometheus.spare_target(4567))
    (file,) = (tmp_path / prometheus.TARGETS).iterdir()
    labels = {"env": "sandbox", "component": JOBS[prometheus.SPARE_JOB]}
    assert json.loads(file.read_text()) == [{"targets": ["127.0.0.1:4567"], "labels": labels}]
    prometheus.hide_target(tmp_path, "worker-2")
    assert not file.exists()
