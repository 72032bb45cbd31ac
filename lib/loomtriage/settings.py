"""Settings: where the sources are and where runs go, from `LOOMTRIAGE_*`; names of secrets only."""

from __future__ import annotations

import getpass
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from stat import S_ISDIR

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from loomtriage.errors import Refused

_CHECKOUT = Path("runbooks", "README.md")
"""What tells the folder of a checkout from any other that has runs."""


class Settings(BaseSettings):
    """One frozen set of settings.

    Attributes:
        prometheus_url: base URL of a PromQL-compatible server.
        jaeger_url: base URL of the Jaeger query API.
        grafana_url: base URL of Grafana, for links only; empty for none.
        traces: OTLP JSON file, folder or glob; when set, spans come from there and not from Jaeger.
        logs: log file, folder or glob.
        database_env: NAME of the environment variable that holds the outbox DSN (never the DSN).
        replay_database_env: NAME of the variable that holds the DSN of the role that replays.
        runs: folder that receives run folders; empty means `runbooks/runs` of the checkout that
            the current folder is in, or in the current folder itself.
        home: folder for labs and fault journals; empty means a private one below the temp folder.
        prometheus: path of a Prometheus binary, when it is not on PATH.
    """

    model_config = SettingsConfigDict(env_prefix="LOOMTRIAGE_", frozen=True, extra="ignore")

    prometheus_url: str = "http://127.0.0.1:9090"
    jaeger_url: str = "http://127.0.0.1:16686"
    grafana_url: str = ""
    traces: str = ""
    logs: str = ""
    database_env: str = "DATABASE_URL"
    replay_database_env: str = "REPLAY_DATABASE_URL"
    runs: str = ""
    home: str = ""
    prometheus: str = Field(default="")

    def runs_dir(self) -> Path:
        """Folder that receives run folders (absolute; may not exist yet)."""
        if self.runs:
            return Path(self.runs).expanduser().absolute()
        here = Path.cwd()
        # A notebook runs in its own folder, and means the same runs as a command at the root.
        checkouts = (at for at in (here, *here.parents) if (at / _CHECKOUT).is_file())
        return next(checkouts, here) / "runbooks" / "runs"

    def from_elsewhere(self) -> dict[str, str]:
        """Variables by which a process in another folder finds the same files."""
        given = {"TRACES": self.traces, "LOGS": self.logs, "RUNS": self.runs, "HOME": self.home}
        return {
            f"LOOMTRIAGE_{name}": str(Path(path).expanduser().absolute())
            for name, path in given.items()
            if path not in ("", "-")
        }

    def home_dir(self) -> Path:
        """Folder for labs and fault journals, made when absent, ours alone to write.

        It is a short path on a local disk that an unprivileged service user may pass through,
        since PostgreSQL refuses to run as root.

        Raises:
            Refused: the folder belongs to somebody else or others may write to it.
        """
        home = Path(self.home).expanduser() if self.home else _default_home()
        try:
            with suppress(FileExistsError):
                home.mkdir(parents=True)
                home.chmod(0o711)  # whatever the umask says
            status = home.stat()
        except OSError as error:
            raise Refused(
                f"{home} cannot be made: {error.strerror}.",
                hint="Set LOOMTRIAGE_HOME to a private folder.",
            ) from None
        if not S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise Refused(
                f"{home} is not a folder that only this user may write to.",
                hint="Set LOOMTRIAGE_HOME to a private folder.",
            )
        return home.absolute()


def _default_home() -> Path:
    return Path(tempfile.gettempdir()) / f"loomtriage-{os.getuid()}"


def shipped(name: str) -> Path:
    """Folder of files that ship with the program: `notebooks` or `runbooks/examples`.

    In a checkout it is the repository's own folder, in a wheel the copy inside the package.
    """
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent.parent / name


def account() -> str:
    """Name of the account that we run as; a container may have none."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
