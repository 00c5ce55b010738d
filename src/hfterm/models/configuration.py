"""A config, field by field, beside the architecture's default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from hfterm.models.types import ConfigEntry

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

OWN = ("transformers_version", "_name_or_path", "architectures", "dtype")
"""What a checkpoint says about itself: no default could be equal to it."""


def config_entries(config: PreTrainedConfig) -> list[ConfigEntry]:
    """Every field of a config, nested ones with dots, with what the architecture has by default.

    Fields of a checkpoint's own (dtype, architectures, transformers_version) are never marked.
    """
    values = dict(_flat(config.to_dict()))
    defaults = dict(_flat(_defaults(config)))
    entries: list[ConfigEntry] = []
    for name in sorted(values):
        value, default = values[name], defaults.get(name)
        entries.append(
            ConfigEntry(
                name,
                _json(value),
                _json(default) if name in defaults else "",
                name not in OWN and (name not in defaults or value != default),
            )
        )
    return entries


def _defaults(config: PreTrainedConfig) -> dict[str, object]:
    try:
        return type(config)().to_dict()
    except Exception:  # noqa: BLE001  # some configs need arguments, and each raises its own
        return {}


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value and name not in ("id2label", "label2id"):
            yield from _flat(cast("Mapping[str, object]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
