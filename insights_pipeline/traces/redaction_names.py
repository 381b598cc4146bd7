"""Names of people and places, which no pattern knows: Presidio with a spaCy pipeline that is already here."""

from __future__ import annotations

from collections.abc import Callable

_SCORE = 0.5


def presidio(
    model: str, *, language: str = "en", entities: tuple[str, ...] = ("PERSON", "LOCATION")
) -> Callable[[str], str]:
    """Replaces names that a spaCy pipeline finds, through Presidio: `Redactor(names=presidio("en_core_web_sm"))`.

    `model` is an installed spaCy package or the folder of one. Nothing is downloaded: Presidio would fetch a
    missing model on its own, so that is refused here, and its recognisers of mail and web addresses, which fetch
    a list of domains, are left out. Some milliseconds a text. Raises ModuleNotFoundError without the extra and
    ValueError without the model, each with what to install.
    """
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'redacting names needs Presidio: pip install "insights-pipeline[pii]"', name=error.name
        ) from error
    try:
        pipeline = spacy.load(model)
    except OSError as error:
        raise ValueError(
            f"no spaCy pipeline {model!r} on this machine, and none is downloaded at run time: install its package "
            f"or give the folder of one"
        ) from error

    class Loaded(SpacyNlpEngine):  # type: ignore[misc]
        """The pipeline as it was loaded: `load` would download what it does not find."""

        def load(self) -> None:
            self.nlp = {language: pipeline}

    settings = NerModelConfiguration(
        model_to_presidio_entity_mapping={
            "PER": "PERSON",
            "PERSON": "PERSON",
            "LOC": "LOCATION",
            "GPE": "LOCATION",
        },
        labels_to_ignore=[],
    )
    engine = Loaded(models=[{"lang_code": language, "model_name": model}], ner_model_configuration=settings)
    engine.load()
    recogniser = SpacyRecognizer(supported_language=language, supported_entities=list(entities))
    registry = RecognizerRegistry(recognizers=[recogniser], supported_languages=[language])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])

    def replace(text: str) -> str:
        found = analyzer.analyze(text, language=language, entities=list(entities), score_threshold=_SCORE)
        redacted, end = text, len(text) + 1
        for result in sorted(found, key=lambda result: result.start, reverse=True):
            if result.end <= end:
                redacted = f"{redacted[: result.start]}[{result.entity_type}]{redacted[result.end :]}"
                end = result.start
        return redacted

    return replace
