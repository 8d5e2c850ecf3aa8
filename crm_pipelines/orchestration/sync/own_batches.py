"""What travels between the ops of a run stays with the process that executes them, as far as it can."""

from typing import Any

import dagster as dg


class OwnFirst(dg.IOManager):
    """Keeps in files what every op gives, and in memory, too, what ops of this process have given.

    Where two processes execute one run, and share the folder, each overwrites the files of the other: a batch that this
    one has taken would be lost, and the other one's counted twice. Files are for a process per step, and for a run that
    is executed again from its failure.
    """

    def __init__(self, files: dg.IOManager) -> None:
        self._files = files
        self._own: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        self._files.handle_output(context, obj)
        self._own[tuple(context.get_identifier())] = obj

    def load_input(self, context: dg.InputContext) -> Any:
        assert context.upstream_output is not None
        identifier = tuple(context.upstream_output.get_identifier())
        return self._own[identifier] if identifier in self._own else self._files.load_input(context)


@dg.io_manager(description="Hands batches from op to op: in memory within a process, in files between processes.")
def own_batches(context: dg.InitResourceContext) -> dg.IOManager:
    """In the folder where Dagster keeps outputs anyway; pruning deletes them with the run."""
    return OwnFirst(dg.FilesystemIOManager().create_io_manager(context))
