"""Where files that come with the server are: beside the source in a checkout, inside the package once installed."""

from pathlib import Path


def static_dir() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "static"
    return installed if installed.is_dir() else package.parent / "static"
