"""CometBFT whose clock is wrong: the program that `make cometbft` builds, but for what the machine tells it of the time.

Go asks the kernel without the C library, and no namespace shifts the time of day; so the program is built once more with
another `time.Now` (`go build -overlay`), which adds what the environment says. Nothing of Go or CometBFT is changed on
disk, and the product's program is another file.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tools.cometbft import COMMANDS, MODULE, go_command

VARIABLE = "CLOCK_SKEW"
"""Seconds by which the clock goes before the machine's."""

NOW = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
SKEW = f"""package time

import "syscall"

var skew = readSkew()

func readSkew() int64 {{
	text, _ := syscall.Getenv("{VARIABLE}")
	seconds, _ := atoi(text)
	return int64(seconds)
}}
"""


def build_with_wrong_clock(folder: Path) -> Path:
    """Build it into a folder; a minute, or seconds if Go remembers it."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    command = go_command()
    asked = subprocess.run([*command, "env", "GOROOT"], cwd=MODULE, capture_output=True, text=True, check=True)
    package = Path(asked.stdout.strip()) / "src" / "time"
    source = (package / "time.go").read_text()
    assert source.count(NOW) == 1, "another version of Go: see how its time.Now begins"
    replaced = {package / "time.go": source.replace(NOW, f"{NOW}\tsec += skew\n"), package / "skew.go": SKEW}
    overlay = {}
    for path, text in replaced.items():
        (folder / path.name).write_text(text)
        overlay[str(path)] = str(folder / path.name)
    (folder / "overlay.json").write_text(json.dumps({"Replace": overlay}))
    program = folder / "cometbft"
    options = ["-overlay", str(folder / "overlay.json"), "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
    subprocess.run(
        [*command, "build", *options, "-o", str(program), COMMANDS[0]], cwd=MODULE, env=environment, check=True
    )
    return program
