"""`cladec` and `python -m cladec_utils`. Worker processes import the module that a command began with, so
this one imports nothing that they do not need."""

import os
import sys


def main() -> int:
    """Run the command line; returns its exit code (see `cli.main`)."""
    say_anything()
    from cladec_utils.app import cli  # noqa: PLC0415

    return cli.main()


def say_anything() -> None:
    """Let this process and those that it starts print any name: where the terminal has no such letter, as
    its code. Else one accent would end hours of training."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"


if __name__ == "__main__":
    sys.exit(main())
