"""Every analysis by name, found without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from lt_interp.errors import InputError
from lt_interp.stages import FAMILIES


@dataclass(frozen=True)
class Analysis:
    """An entry of the registry.

    Attributes:
        title: Of its page.
        function: `"module:function"`. It takes the models and the token rows, and by keyword
            `seed`, `progress`, `command`, `keep` and `workers`; it returns a Result of the same
            name.
        options: Further keywords that a user may set.
        families: The articles whose report it is part of; none given, every one's.
    """

    title: str
    function: str
    options: tuple[str, ...] = ()
    families: tuple[str, ...] = ()

    @property
    def reads_results(self) -> bool:
        """Whether it takes the saved results of others."""
        return "results" in self.options


def _analysis(
    name: str, title: str, *options: str, families: tuple[str, ...] = ()
) -> tuple[str, Analysis]:
    return name, Analysis(title, f"lt_interp.methods.{name}:{name}", options, families)


OTHERS = tuple(family for family in FAMILIES if family != "ladder")

# In the order of the report; an analysis that reads the results of others stands after them.
ANALYSES: dict[str, Analysis] = dict(
    [
        _analysis("components", "Parameters by component", families=OTHERS),
        _analysis("two_sentences", "Two sentences, learned by heart", families=("numpy_gpt",)),
        _analysis("evolution", "The evolution", "prompts"),
        _analysis("position_blindness", "Position blindness", "pair", "prefixes"),
        _analysis("attention", "Attention", "prompts"),
        _analysis("logit_lens", "Logit lens", "prompts", "tokens"),
        _analysis("activation_patching", "Activation patching", "pairs"),
        _analysis("moe_routing", "Routing of the experts", "tokens"),
        _analysis("article", "The article's tables and claims", "results", families=("ladder",)),
    ]
)


def analyses_of(family: str) -> list[str]:
    """Names of the analyses in an article's report, in its order."""
    return [
        name
        for name, analysis in ANALYSES.items()
        if not analysis.families or family in analysis.families
    ]


def get_analysis(name: str) -> tuple[str, Analysis]:
    """An analysis and its name as it is written in folders; `moe-routing` is `moe_routing`.

    Raises:
        InputError: There is none of that name; the message lists them.
    """
    written = name.replace("-", "_")
    if written not in ANALYSES:
        raise InputError(f"there is no analysis {name!r}; allowed: {', '.join(ANALYSES)}")
    return written, ANALYSES[written]
