"""The constants of the method, measured on simulated traffic (`benchmarks/drift.py`); nothing here is per customer."""

from __future__ import annotations

from dataclasses import dataclass

LATENCY, LATENCY_P95, TTFT = "latency_ms", "latency_p95_ms", "ttft_ms"
COST, TOKENS, STEPS, OUTPUT = "cost_usd", "total_tokens", "step_count", "output_chars"
ERRORS, TOOLS, VOLUME = "error_rate", "tool_mix", "volume"
SCORE = "score:"  # … and the name of a feedback score: a metric each

NUMERIC = (LATENCY, TTFT, COST, TOKENS, STEPS, OUTPUT)  # positive and skewed: compared on the log scale
TESTED = (LATENCY, LATENCY_P95, TTFT, COST, TOKENS, STEPS, OUTPUT, ERRORS, TOOLS, VOLUME)

ALL, UNKNOWN = "all", "unknown"
RESERVED = (ALL, UNKNOWN)

# More of these is worse; of the others neither direction is.
WORSE_UP = frozenset({LATENCY, LATENCY_P95, TTFT, COST, TOKENS, STEPS, ERRORS})

UP, DOWN, CHANGED, NEW, GONE = "up", "down", "changed", "new", "gone"

# Of a trace: what a change may be carried by, and what series of their own can be kept for.
MODEL, TENANT, ENVIRONMENT, SERVICE, RELEASE, PROMPT, TOOL = (
    "model",
    "tenant",
    "environment",
    "service",
    "release",
    "prompt",
    "tool",
)
DIMENSIONS = (MODEL, TENANT, ENVIRONMENT, SERVICE, RELEASE, PROMPT, TOOL)

HORIZONS = {"1d": 1, "7d": 7, "30d": 30}
# What has just begun and what is small or slow: the last 3 and 14 days against the 56 before 14. Judgements of their
# own, not rows of baselines.
RECENT_HORIZON, RECENT_DAYS = "3d", 3
LASTING_HORIZON, LASTING_DAYS = "14d", 14
BASELINE_DAYS = 30
# How far back a baseline may reach for the 30 days it wants when quarantined days are left out.
REACH_DAYS = 70
READY_DAYS = 7


@dataclass(frozen=True, slots=True)
class Constants:
    """Symbols of the method. Setting priors to 0 and caps to infinity gives the textbook tests."""

    prior_days: float = 8.0  # d0: how many days of evidence the pooled between-day variance is worth
    prior_within: float = 20.0  # d0w: the same for the variance within a day
    huber: float = 2.0
    winsor: float = 16.0  # a day's squared residual counts at most this much in the Paule-Mandel sum
    consistency: float = 1.0  # … and what that cut removes on average is put back
    tau2_floor: float = 1e-5
    phi_prior: float = 0.3  # autocorrelation of day effects where little is known of it …
    phi_pairs: float = 10.0  # … worth so many pairs of neighbouring days
    phi_max: float = 0.7
    weekday_days: int = 14  # baseline days needed before weekdays are told apart
    min_days: int = 3
    min_days_p95: int = 7
    min_days_month: int = 14  # a month is not judged by a few days: their scatter is hardly known
    min_day_p95: int = 20  # traces a day needs for a p95
    min_base_n: int = 20
    min_n: int = 5
    coverage_shift: float = 0.20
    # Degrees of freedom at most. A mean of more days has lighter tails than a day (their effects are like t with 5).
    cap_day: float = 6.0
    cap_three: float = 10.0
    cap_week: float = 10.0
    cap_lasting: float = 16.0
    # … of an error rate whose variance is mostly that of its counts, which is known: on the first day errors in 15 %
    # more traces are told in a third of the cases instead of none (rare world, seeds 0 to 15), for 9 false items
    # instead of 7 there and 13 instead of 11 in base 0 to 19. Days of errors scatter wildly, so that of several days
    # the scatter is trusted as far as that of one: at cap_week and cap_lasting 12 of the rough world's items were
    # false (seeds 0 to 11), at cap_day 7.
    cap_counts: float = 15.0
    prior_days_long: float = 3.0  # d0 where 56 days are known; intents differ by exp(±.5) in their scatter
    clip: float = 2.5  # deviations from its window's median that a day counts at most in a contrast
    q: float = 0.05
    # … of A and E, each asking the other window, which has a baseline of its own: what only one of them sees is mostly
    # weather. A wants the 14 days at p_lasting, E the week at p_week. Of .005 to .05 and q .05 to .30 on seeds 0 to 29
    # of the base and 0 to 11 of the rough world: against A at .10 and E at .05 on their own, found by day 7 rose from
    # .72 to .76, and items' FDR fell in the rough world from .12 to .06. p_lasting above .02 lets its weather back in.
    # At q_alone neither asks: a young series has few days before the 14. That cost nothing on those seeds.
    q_agreed: float = 0.10
    q_alone: float = 0.02
    p_lasting: float = 0.01
    p_week: float = 0.05
    # … of B and C, who see new days every day. Found by day 3 is .30 on the same seeds (.22 when B wanted two odd
    # single days); with .02 for B it was .35, but in traffic of a few intents B alone was wrong every second month.
    q_day: float = 0.01
    p_confirm: float = 0.015
    # A week is told only while its last three days pass p_three. An open item is alive while its week passes p_hold
    # and the day agrees with p_agree. p_three, p_hold and p_agree were chosen on seeds 0 to 19 of the base and 0 to 7
    # of the rough world: false open days fell to half, no true item was lost; p_agree .1 let lasting ones lapse and
    # come back.
    p_three: float = 0.02
    p_hold: float = 0.01
    p_agree: float = 0.2
    p_sure: float = 0.001  # by judgement, not by measurement


DEFAULT = Constants()
