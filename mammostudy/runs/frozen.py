"""The base of everything that describes a run: it cannot be changed, nor hold unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A description that is validated once and then stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")
