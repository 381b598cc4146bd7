"""What users ask: embeddings, the intent model carried from day to day, and the intent of every trace."""

from dataclasses import asdict
from typing import Any

import dagster as dg

from insights_pipeline.defs.assets.daily import daily_asset
from insights_pipeline.defs.assets.traffic import traces
from insights_pipeline.defs.metadata import counted
from insights_pipeline.defs.partitions import days_of
from insights_pipeline.defs.resources import EngineResource
from insights_pipeline.settings import settings


@daily_asset(
    group="intents",
    table="trace_embeddings",
    kinds={"delta", "python"},
    deps=[traces],
    follows_itself="trace_embeddings",
)
def trace_embeddings(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """A vector of every trace's text, in a space fitted once enough traces were seen and frozen from then on."""
    from insights_pipeline.intents.daily import embed_days
    from insights_pipeline.wiring import embeddings

    config = settings()
    lake_engine = engine.engine()
    report = embed_days(
        lake_engine,
        days_of(context),
        bootstrap_traces=config.bootstrap_traces,
        seed=config.seed,
        embeddings=embeddings(),
    )
    return counted(context, lake_engine.lake, "trace_embeddings", report.rows, space=report.space)


@daily_asset(
    group="intents",
    table="intents",
    kinds={"delta", "scikitlearn"},
    deps=[trace_embeddings],
    follows_itself="intent_model",
)
def intent_model(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """The intents of the day: discovered after enough traces, then carried on with stable ids."""
    from insights_pipeline.intents.daily import update_model_days
    from insights_pipeline.intents.show import intents_markdown
    from insights_pipeline.wiring import namer, steering

    config = settings()
    lake_engine = engine.engine()
    days = days_of(context)
    model = namer()
    report = update_model_days(
        lake_engine,
        days,
        bootstrap_traces=config.bootstrap_traces,
        seed=config.seed,
        steering=steering(model),
    )
    preview = {"intents": dg.MetadataValue.md(intents_markdown(lake_engine, days.last))}
    return counted(
        context,
        lake_engine.lake,
        "intents",
        report.rows,
        of_day={days.last: preview},
        status=report.status,
        language_model=asdict(model.spent) if model else None,
    )


@daily_asset(
    group="intents", table="trace_intents", kinds={"delta", "python"}, deps=[intent_model, trace_embeddings]
)
def trace_intents(context: dg.AssetExecutionContext, engine: EngineResource) -> dg.MaterializeResult[Any]:
    """The nearest intent of every trace, or none where the trace is unlike all that is known."""
    from insights_pipeline.intents.daily import classify_days
    from insights_pipeline.wiring import embeddings

    lake_engine = engine.engine()
    report = classify_days(lake_engine, days_of(context), embeddings=embeddings())
    return counted(context, lake_engine.lake, "trace_intents", report.rows, unknown=report.unknown)
