"""`cladec` and `python -m cladec_utils`. Worker processes import the module that a command began with, so
this one imports nothing that they do not need."""

import sys


def main() -> int:
    """Run the command line; returns its exit code (see `cli.main`)."""
    from cladec_utils.app import cli  # noqa: PLC0415

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
