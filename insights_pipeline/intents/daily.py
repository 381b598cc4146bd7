"""The three daily steps, in the order of the lineage: vectors, the model, the intent of every trace."""

from insights_pipeline.intents.daily_classes import ClassifyReport, classify_days
from insights_pipeline.intents.daily_embeddings import EmbedReport, embed_days
from insights_pipeline.intents.daily_models import ModelReport, update_model_days

__all__ = [
    "ClassifyReport",
    "EmbedReport",
    "ModelReport",
    "classify_days",
    "embed_days",
    "update_model_days",
]
