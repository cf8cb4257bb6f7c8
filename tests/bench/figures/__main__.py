"""All measurements, one after the other: ``python -m tests.bench.figures``."""

from tests.bench.figures import backlog, bulkhead, recovery

recovery.main(recovery.ROUNDS)
bulkhead.main(bulkhead.SECONDS)
backlog.main(backlog.WINS)
