"""Execute stage notebooks with papermill, in process, all in one warm kernel."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from loomtriage.errors import NotebookFailed, Refused, UsageError
from loomtriage.settings import settings, shipped

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

    from loomtriage.runner.warm import WarmKernel

CELL_TIMEOUT_S = 60
WARM_UP = """
import logging
import matplotlib.figure
import loomtriage.sources, loomtriage.stages.explain
logging.getLogger("stamina").setLevel("ERROR")
"""


def stage_notebook(stage: str) -> Path:
    """The notebook of a stage, found by its ending `-<stage>.ipynb`.

    Raises:
        UsageError: there is none.
    """
    found = sorted(shipped("notebooks").glob(f"*-{stage}.ipynb"))
    if not found:
        raise UsageError(
            f"There is no notebook for stage {stage[:60]!r}.", hint="Run from a complete checkout."
        )
    return found[0]


def load_papermill() -> None:
    """Import papermill without a grammar that is compiled on import and never used here.

    jsonschema takes rfc3987_syntax when it can, to check formats of IRIs; notebooks have none.
    Measured: 0.7 of 1.3 s.
    """
    sys.modules.setdefault("rfc3987_syntax", cast("Any", None))
    import papermill  # noqa: F401


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A running kernel, and a channel of our own to it beside papermill's."""

    manager: WarmKernel
    client: BlockingKernelClient

    def move_to(self, folder: Path) -> None:
        """Make `folder` the kernel's working folder; waits until the kernel is there.

        papermill is loaded first: it takes as long as the kernel's own start beside it.
        """
        load_papermill()
        code = f"import os; os.chdir({str(folder)!r})"
        self.client.execute_interactive(code, silent=True, timeout=CELL_TIMEOUT_S)


@contextmanager
def warm_kernel() -> Iterator[Kernel]:
    """A kernel that already imports what every stage needs.

    The import is only sent, not awaited: the caller loads its own libraries meanwhile. IPC
    transport keeps the kernel off the network. Its first folder is a private empty one.

    Raises:
        Refused: there is no room for temporary files.
    """
    from loomtriage.runner.warm import WarmKernel

    try:
        room = tempfile.mkdtemp(prefix="loomtriage-k-")
    except OSError:
        raise Refused(
            "No folder takes temporary files.", hint="Make room on that disk, or set TMPDIR."
        ) from None
    manager = WarmKernel(kernel_name="python3", transport="ipc", ip=f"{room}/k")
    environment = {
        **os.environ,
        **settings().from_elsewhere(),
        "PYTHONWARNINGS": "ignore",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    manager.start_kernel(cwd=room, env=environment)
    client = manager.blocking_client()  # our own: the manager does not close it
    try:
        client.start_channels(hb=False)
        client.execute(WARM_UP, silent=True)
        yield Kernel(manager=manager, client=client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        shutil.rmtree(room, ignore_errors=True)


def run_notebook(
    stage: str, folder: Path, *, kernel: Kernel, parameters: Mapping[str, str]
) -> Path:
    """Execute one stage's notebook and write it to the run folder.

    A source that names a folder (`run:`, `labs:`) is passed absolute, since the kernel works in
    the run folder; in the executed copy only the folder's own name stays.

    papermill's metadata cannot tell that a kernel died, so the proof of success is the
    stage's result file, which must be new.

    Raises:
        NotebookFailed: a cell raised, timed out, or the kernel left no result.
    """
    load_papermill()
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException

    source, target = stage_notebook(stage), folder / stage_notebook(stage).name
    spec = absolute_source(parameters.get("source", ""))
    result = folder / "stages" / f"{stage}.json"
    result.unlink(missing_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters={**parameters, "source": spec},
                km=kernel.manager,
                progress_bar=False,
                log_output=False,
                cwd=str(folder),
                execution_timeout=CELL_TIMEOUT_S,
            )
    except (PapermillException, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        reason = _reason(error)
        raise NotebookFailed(
            f"{source.name} stopped: {reason}",
            hint="Open the executed copy in the run folder to see the cell.",
        ) from error
    finally:
        kernel.manager.close_clients()
        if target.exists():
            clean(target, hide=(spec.partition(":")[2], str(folder), str(Path.home())))
    if not result.is_file():
        raise NotebookFailed(
            f"{source.name} ended without a result.", hint="The kernel died; run the stage again."
        )
    return target


def absolute_source(spec: str) -> str:
    """The same source spec with the folder of `run:` and `labs:` made absolute."""
    kind, _, rest = spec.partition(":")
    return f"{kind}:{Path(rest).expanduser().absolute()}" if kind in ("run", "labs") else spec


def clean(notebook: Path, *, hide: tuple[str, ...]) -> None:
    """Take machine paths out of an executed notebook, and close it to other users."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    papermill = content.get("metadata", {}).get("papermill", {})
    for key in ("input_path", "output_path"):
        if papermill.get(key):
            papermill[key] = Path(papermill[key]).name
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    for path in hide:
        if path.startswith("/") and len(path) > 1:
            text = text.replace(path, Path(path).name)
    notebook.write_text(text, encoding="utf-8")
    notebook.chmod(0o600)


def _reason(error: Exception) -> str:
    name = getattr(error, "ename", "") or type(error).__name__
    value = getattr(error, "evalue", "") or str(error)
    return f"{name}: {value.strip().splitlines()[0][:200] if value.strip() else 'no message'}"
