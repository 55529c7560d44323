"""The Python of the third-party client libraries in requirements.txt: a folder of its own, made once and kept.

Takes nothing; gives the interpreter's path, or the reason why there is none. The libraries are fetched before the lab is
built: from within it nothing could be fetched.
"""

import os
import shutil
import subprocess
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metaleak" / "lab-python"
PYTHON = FOLDER / "bin" / "python"


def why_not():
    """Makes the folder when it is missing or out of date; gives the reason when that fails, else None."""
    stamp = FOLDER / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    shutil.rmtree(FOLDER, ignore_errors=True)
    for argv in (["/usr/bin/python3", "-m", "venv", FOLDER],
                 [FOLDER / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]):
        try:
            done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"client libraries cannot be installed: {error}"
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
            return f"client libraries cannot be installed: {said[-1]}"
    stamp.write_text(wanted)
    return None


def versions():
    """The pinned libraries, in words."""
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    return ", ".join(line.replace("==", " ") for line in lines)
