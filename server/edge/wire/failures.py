"""What may be logged of an exception that a client caused."""

from pathlib import PurePath


def where(error: BaseException | None) -> str:
    """The kind of the first error and the line that raised it; never its text, which may quote the client."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return "unknown"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return type(error).__name__ + place
