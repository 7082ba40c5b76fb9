"""The replayed market as a gateway: the compiled exchange, living in this process."""

import json
from collections.abc import Mapping
from typing import Any, Self

import rustsim


class RustSimAdapter(rustsim.SimulatedExchange):
    """A simulated exchange that a strategy trades through.

    Properties and commands are the compiled ones, inherited: no Python code stands between a
    strategy and the exchange.
    """

    __slots__ = ()

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Build from a description such as docs/interfaces.md shows.

        Raises:
            rustsim.SpecError: A key is unknown or a value not allowed.
        """
        return cls(spec=json.dumps(spec))
