"""Vendors' own code as packages of npm, pinned in package.json: a folder of its own, made once and kept.

Takes nothing; gives the folder, or the reason why there is none. Fetched before the lab is built: from within it nothing could be.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

WANTED = Path(__file__).with_name("package.json")
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metaleak" / "lab-node"


def why_not():
    """Makes the folder when it is missing or out of date; gives the reason when that fails, else None."""
    missing = [p for p in ("node", "npm") if shutil.which(p) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    stamp = FOLDER / "made-for.json"
    if stamp.exists() and stamp.read_text() == WANTED.read_text():
        return None
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    shutil.copy(WANTED, FOLDER / "package.json")
    try:
        done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"], cwd=FOLDER,
                              capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm's packages cannot be installed: {error}"
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
        return f"npm's packages cannot be installed: {said[-1]}"
    stamp.write_text(WANTED.read_text())
    return None


def versions():
    """The pinned packages, in words."""
    return ", ".join(f"{name} {version}" for name, version in json.loads(WANTED.read_text())["dependencies"].items())
