"""The command `fastnn`. It lies outside the package, so that a package that cannot be imported is one sentence too."""

import sys


def main() -> int:
    """Run `fastnn.cli.main`, or say why there is none; returns the exit status."""
    try:
        from fastnn.cli import main as command
    except ImportError as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return 1
    return command()
