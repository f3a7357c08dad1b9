"""The flat form with workers: input and output stay here, and the components between them run in workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from message_passing.chain import Chain
from message_passing.config.forms import flat_chain
from message_passing.paths import load_own
from message_passing.wiring import leaves_encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.declaration import Declaration
    from message_passing.flow import Input
    from message_passing.workers.pool import Pool

MOST_WORKERS = 256
"""Each is a Python process of some 25 MB, and has descriptors here: a port's number in its place starts none."""

_WORKERS_PARTS = ("decoder", "filter", "encoder")


def _onward(one: Declaration, *, stays: bool) -> tuple[str, ...]:
    """Where a worker's component outputs to: the pool's results stand for the encoder if that stays."""
    return ("output",) if stays and one.output_to == ("encoder",) else one.output_to


class PooledChain(Chain):
    """The chain of the flat form, with its middle in workers."""

    def __init__(
        self, parts: Mapping[str, Declaration], count: int, *, background: bool = False, node: str = ""
    ) -> None:
        """Declare it.

        Args:
            parts: by the keys of `FLAT_PARTS`.
            count: how many workers.
            background: see `Pool`.
            node: the name of the node.
        """
        super().__init__()
        self._parts = parts
        self._count = count
        self._background, self._node = background, node

    def build(self) -> list[Input]:
        """Build it as if there were no workers, which finds all errors, and put the pool in its middle.

        Raises:
            UserError: see `Chain.build`.
        """
        if self._built:
            return self.heads
        whole = flat_chain(self._parts)
        whole.report_limit = self.report_limit
        whole.build()
        made, self.declared = whole.components, whole.declared
        # An output that takes objects encodes with its encoder, which stays with it.
        stays = leaves_encoding(made["encoder"])
        moved = _WORKERS_PARTS[: 2 if stays else 3]
        declared = [
            replace(one, report_limit=self.report_limit, output_to=_onward(one, stays=stays))
            for name, one in whole.declared.items()
            if name.rstrip(" 0123456789") in moved
        ]
        members = {one.name: made[one.name] for one in declared}
        # Imported on demand, like all components, so that the command starts sooner without it.
        pool_class = cast("type[Pool]", load_own("message_passing.workers.pool:Pool"))
        pool = pool_class(
            count=self._count,
            parts=declared,
            members=members,
            detached=self._background,
            node=self._node,
            output_to=made["encoder" if stays else "output"],
            error=made["error_encoder"],
        )
        pool.chain_name = "workers"
        for head in whole.heads:
            head.connect_to(pool)
        self.heads, self.components, self._built = whole.heads, {**made, "workers": pool}, True
        return self.heads
