"""Runs the Rust tests under cargo-nextest, which it installs if it is missing.

    python tools/rust_tests.py [argument of `cargo nextest run` ...]

cargo-nextest is built from crates.io into .tools/, once. Where that cannot be done,
the tests run under `cargo test`, after a word about it: the tests are the same, but
a test that hangs is not ended there.
"""

import os
import subprocess
import sys
from pathlib import Path

VERSION = "0.9.143"
# Without what updates it by itself, and built to be ready soon, not to be fast.
FEATURES = ["--no-default-features", "--features", "default-no-update"]
QUICKLY = {
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "64",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}
TOOLS = Path(__file__).resolve().parent.parent / ".tools"
# cargo finds its subcommands on the path.
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(TOOLS / "bin"), os.environ.get("PATH", os.defpath)]),
}


def run(*command: str, **variables: str) -> int:
    """Runs `command`, with some environment variables. Returns its exit code."""
    return subprocess.run(command, env=ENVIRONMENT | variables, check=False).returncode


def has_nextest() -> bool:
    """Whether `cargo nextest` works, ours or the user's own."""
    asked = ["cargo", "nextest", "--version"]
    answer = subprocess.run(asked, env=ENVIRONMENT, capture_output=True, check=False)
    return answer.returncode == 0


def install_nextest() -> bool:
    """Builds cargo-nextest into .tools/. Returns whether that went well."""
    print(f"cargo-nextest is not installed: building {VERSION} into {TOOLS}, once.", flush=True)
    print("This takes some minutes. An installed `cargo nextest` is used as it is.", flush=True)
    wanted = ["--locked", "--version", VERSION, "--root", str(TOOLS), "cargo-nextest"]
    return run("cargo", "install", *FEATURES, *wanted, **QUICKLY) == 0


def main(arguments: list[str]) -> int:
    """Runs the tests. Returns the exit code for the shell."""
    if has_nextest() or install_nextest():
        return run("cargo", "nextest", "run", "--locked", *arguments)
    print("cargo-nextest cannot be built here: running `cargo test` instead.", flush=True)
    return run("cargo", "test", "--locked", "--lib", "--bins", "--tests", *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
