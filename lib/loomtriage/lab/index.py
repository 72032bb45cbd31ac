"""Index: which mapping does the search index have, whoever creates it?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MAPPING: Mapping[str, object] = MappingProxyType(
    {
        "dynamic": "strict",
        "properties": {
            "entity_type": {"type": "keyword"},
            "entity_id": {"type": "keyword"},
            "library_id": {"type": "keyword"},
            "text": {"type": "text"},
            "snippet": {"type": "text"},
            "rank_score": {"type": "double"},
            "event_version": {"type": "long"},
            "created_at": {"type": "date"},
            "updated_at": {"type": "date"},
        },
    }
)
"""As our worker creates it: a field that it does not know is an error."""

TOLERANT: Mapping[str, object] = MappingProxyType({**MAPPING, "dynamic": False})
"""For somebody else's worker, which may write more fields than ours."""
