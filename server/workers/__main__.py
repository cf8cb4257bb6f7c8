"""``python -m server.workers``: a worker, started by ``getaway serve`` and by nobody else."""

import sys

from server.workers.child import run_worker

sys.exit(run_worker())
