"""The parameters of a class, without loading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hfterm.models.types import LoadingReport, Parameter, ParameterTree

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel


def parameter_tree(model: PreTrainedModel, report: LoadingReport | None = None) -> ParameterTree:
    """Every parameter of a model (on the meta device, say), in the module's order.

    Args:
        model: whose parameters.
        report: what loading it would leave; None when there is no checkpoint.
    """
    there: Literal["stored", "random"] = "random" if report is None else "stored"
    report = report or LoadingReport()
    missing = set(report.missing)
    mismatched = {found.name for found in report.mismatched}
    seen: dict[int, str] = {}
    found: list[Parameter] = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        tied_to = seen.setdefault(id(parameter), name)
        tied = tied_to != name
        found.append(
            Parameter(
                name=name,
                shape=tuple(parameter.shape),
                dtype=str(parameter.dtype).removeprefix("torch."),
                count=0 if tied else parameter.numel(),
                trainable=parameter.requires_grad,
                tied_to=tied_to if tied else "",
                state="new" if name in missing else "mismatched" if name in mismatched else there,
            )
        )
    return ParameterTree(type(model).__name__, tuple(found))
