"""All measurements, one after the other: ``python -m tests.figures``."""

from tests.figures import backlog, bulkhead, recovery

recovery.main(recovery.ROUNDS)
bulkhead.main(bulkhead.SECONDS)
backlog.main(backlog.WINS)
