"""How oxygen is counted, as commands are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fusion.elements.stoichiometry import Stoichiometry, Valence

FLAG = "--valence"
STOICHIOMETRY = "stoichiometry"


def oxygen_of(counted: str | None, valences: Sequence[str]) -> Stoichiometry | None:
    """By stoichiometry, or None where its line tells.

    Args:
        counted: "stoichiometry", "line" or None; valences: "Fe=3", "Mn=3.5+-0.3", …

    Raises:
        click.UsageError: if a valence cannot be read, or there is none to use it.
        ValueError: if there is no such element, or charge.
    """
    if counted != STOICHIOMETRY:
        if valences:
            raise click.UsageError(
                f"{FLAG} {valences[0]}: oxygen by its line asks for none: give --oxygen "
                "stoichiometry, too, or leave it away"
            )
        return None
    from fusion.elements.stoichiometry import Stoichiometry

    given: dict[str, Valence] = {}
    for text in valences:
        element, _, number = (part.strip() for part in text.partition("="))
        value, _, error = number.replace("+-", "±").partition("±")
        if element in given:
            raise click.UsageError(f"{FLAG} {text}: {element} has a valence already: give one")
        try:
            given[element] = (float(value), float(error)) if error else float(value)
        except ValueError:
            raise click.UsageError(
                f"{FLAG} {text}: no valence: give {FLAG} Fe=3, or Fe=2.67+-0.05 with its "
                "standard error; anions below 0, S=-2"
            ) from None
    return Stoichiometry(given)
