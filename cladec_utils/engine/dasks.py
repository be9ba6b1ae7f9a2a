"""What the kit takes of Dask, which reads the user's configuration as soon as it is imported: all modules
import it from here, so that a configuration which cannot be read gets a sentence wherever that is first."""

import re

from cladec_utils.errors import CladecError

try:
    import dask
    from dask.distributed import (
        Client,
        Future,
        KilledWorker,
        LocalCluster,
        Nanny,
        Scheduler,
        SpecCluster,
        as_completed,
    )
    from dask.system import cpu_count
    from distributed.comm import CommClosedError
except ValueError as error:
    said = " ".join(str(error).split())
    place = re.search(r"at '(.*?)' is malformed", said)
    if place is None:
        raise
    reason = said.split("original error message: ")[-1]
    raise CladecError(
        f"Dask's configuration {place[1]} cannot be read ({reason}); save it as UTF-8, spaces and no tabs "
        "before names, or move it away."
    ) from error

__all__ = [
    "Client", "CommClosedError", "Future", "KilledWorker", "LocalCluster", "Nanny", "Scheduler",
    "SpecCluster", "as_completed", "cpu_count", "dask",
]  # fmt: skip
