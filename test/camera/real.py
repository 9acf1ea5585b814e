"""Where a real drive may lie: shared/data of this checkout or beside it."""

from __future__ import annotations

from pathlib import Path

NAME = "highway_960x540_25fps.mp4"
_PLACES = (Path(__file__).parents[2], Path(__file__).parents[3])
HIGHWAY = next((p for p in (b / "shared/data" / NAME for b in _PLACES) if p.exists()), None)
