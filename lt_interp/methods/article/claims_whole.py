"""Claims of the article about the whole ladder."""

from __future__ import annotations

from lt_interp.article import article
from lt_interp.methods.article.claim_kinds import seed_spread
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.head_start import head_start
from lt_interp.methods.claims import Claim, NotMeasured
from lt_interp.methods.verdict import FAILS, HOLDS, IN_PART, Finding, yes
from lt_interp.training.recipe import recipe_for

COMPLETE = "09_multi_head"
MILLION = 1_480_000
# The rungs that the article adds one by one, each against the one before it.
RUNGS = (
    "03_bigram", "04_attention", "05_attn_position", "06_ffn", "07_block", "08_two_blocks",
    "09_multi_head", "10_moe",
)  # fmt: skip


def _every_part(evidence: Evidence) -> Finding:
    """Whether every rung from the bigram on is better than the one before it."""
    measured = set(evidence.tables["class_gains"]["stage"])
    rows = {stage: evidence.gain(stage) for stage in RUNGS if stage in measured}
    if not rows:
        raise NotMeasured("no two neighbouring stages were measured")
    times = {stage: head_start(evidence, stage) for stage in rows}
    gains = [stage for stage, row in rows.items() if row["high"] < 0]
    open_ = [stage for stage in rows if stage not in gains and times[stage] < 1]
    small = [
        stage for stage in gains
        if (spread := seed_spread(evidence, stage)) and -rows[stage]["difference_nats"] < spread
    ]  # fmt: skip
    if len(open_) == len(rows):
        raise NotMeasured("no rung can be judged: those that are no better read less")
    longer = [stage for stage in gains if times[stage] > 1]
    doubts = [
        _but(small, "by less than runs of one stage lie apart"),
        _but(longer, "after more training than the one before"),
        _but(open_, "is left open, as it read less than the one before"),
    ]
    judged = [stage for stage in rows if stage not in open_]
    worst = max(judged, key=lambda stage: rows[stage]["difference_nats"])
    row = rows[worst]
    return Finding(
        value=row["difference_nats"], low=row["low"], high=row["high"], unit="nats a token",
        n=int(row["n_stories"]), n_of="stories",
        verdict=most(len({*gains} - {*small, *longer}), len(judged)),
        reason=f"{len(gains)} of {len(rows)} rungs are better than the one before with an interval "
        f"below 0{''.join(doubts)}; the least gain is that of {worst}",
    )  # fmt: skip


def _but(stages: list[str], what: str) -> str:
    """Which of the rungs count for less, and why."""
    return f", {' and '.join(stages)} {what}" if stages else ""


def most(n: int, of: int) -> str:
    """Holds if all do, in part if more than half do."""
    return HOLDS if n == of else IN_PART if 2 * n > of else FAILS


def _same_everything(evidence: Evidence) -> Finding:
    """In how many ways the article's notebooks trained its stages; and how many there are here."""
    recipes = [recipe_for("article", stage["id"]) for stage in article()["stages"]]
    kinds = len(set(recipes))
    settings = evidence.tables["settings"].dropna()
    ours = len(settings.drop(columns="stage").drop_duplicates())
    here = f"; the {len(settings)} stages here, by recipe, stories and tokens, in {ours}"
    return Finding(
        value=float(kinds), unit="ways of training", n=len(recipes), n_of="stages",
        verdict=yes(kinds == 1),
        reason=f"the article's notebooks trained its {len(recipes)} stages in {kinds} ways: "
        f"{article()['training']['exceptions']}{here if ours else ''}; no interval of a count",
    )  # fmt: skip


def _size(evidence: Evidence) -> Finding:
    n = evidence.parameters(COMPLETE)
    return Finding(
        value=float(n), unit="parameters", n=1, n_of="stage",
        verdict=yes(round(n, -4) == MILLION),
        reason=f"{COMPLETE} has {n:,} parameters; no interval of a count",
    )  # fmt: skip


def _tokens_routed(_: Evidence) -> Finding:
    """Arithmetic on the article's own figures."""
    routing = article()["routing"]
    tokens = routing["rows"] * (article()["corpus"]["context_length"] - 1)
    return Finding(
        value=routing["decisions"] / tokens, unit="decisions a token", n=tokens, n_of="tokens",
        verdict=yes(routing["decisions"] <= tokens),
        reason=f"{routing['rows']} rows hold {tokens:,} tokens; {routing['decisions']:,} counts "
        "each token once in either layer; no interval of a count",
    )  # fmt: skip


CLAIMS: tuple[Claim[Evidence], ...] = (
    Claim(
        name="Every part pays",
        quote="Each component earns its place.",
        measurement="loss of every rung from the bigram to the experts minus that of the one it "
        "grew from; the value is the least gain that counts",
        rule="holds if every interval lies below 0 and no gain is smaller than runs of one stage "
        "lie apart or comes of more training than that of the one before, in part if so for more "
        "than half, else it does not; a rung that is no better after less training is left out",
        measure=_every_part,
    ),
    Claim(
        name="Only the architecture changes",
        quote="Same data. Same training. Same everything except the architecture.",
        measurement="in how many ways the article's notebooks trained its stages, as the recipe "
        "`article` repeats them",
        rule="holds if all were trained alike, else it does not",
        measure=_same_everything,
    ),
    Claim(
        name="The size of the transformer",
        quote="just much, much smaller: 1.48 million parameters",
        measurement=f"parameters of {COMPLETE}",
        rule="holds if they round to 1.48 million, else it does not",
        measure=_size,
    ),
    Claim(
        name="Tokens routed",
        quote="We ran 250,534 tokens through the model",
        measurement="the article's count of decisions divided by the tokens of its 500 rows",
        rule="holds if there is at most one decision a token, else it does not",
        measure=_tokens_routed,
    ),
)
