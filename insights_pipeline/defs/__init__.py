"""Dagster's side of the house."""

import warnings

import dagster as dg

# `backfill_policy` is beta and partitioned checks are preview; both are covered by tests, and a warning for each
# asset would bury what a person wants to read.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
