"""Train or load anywhere: specs, the store, the grid. Knows nothing of ClaDec."""

import re

from cladec_utils.errors import CladecError

try:
    import dask.config  # noqa: F401 - reads the user's configuration, whoever asks for Dask first
except ValueError as error:
    said = " ".join(str(error).split())
    place = re.search(r"at '(.*?)' is malformed", said)
    raise CladecError(
        f"Dask's configuration {place[1] if place else ''} cannot be read "
        f"({said.split('original error message: ')[-1]}); save it as UTF-8, spaces and no tabs before names, "
        "or move it away."
    ) from error
