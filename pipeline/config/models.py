"""Everything that can be set, as one value, and the hash of what of it alters verdicts."""

import hashlib
import json
from typing import Any

from pipeline.config.detection import DetectorSection, EpisodesSection, SilenceSection, WindowsSection
from pipeline.config.feedback import FeedbackSection
from pipeline.config.kafka import InputSection, KafkaSection, OutputSection
from pipeline.config.kinds import LSTM
from pipeline.config.learning import GateSection, ModelsSection, RetrainSection
from pipeline.config.replaying import ReplaySection, SourceSection
from pipeline.config.section import Section
from pipeline.config.serving import HttpSection, LogSection, ServiceSection
from pipeline.config.state import StateSection


class Config(Section):
    """Everything that can be set."""

    detector: DetectorSection = DetectorSection()
    windows: WindowsSection = WindowsSection()
    episodes: EpisodesSection = EpisodesSection()
    silence: SilenceSection = SilenceSection()
    state: StateSection = StateSection()
    models: ModelsSection = ModelsSection()
    gate: GateSection = GateSection()
    retrain: RetrainSection = RetrainSection()
    source: SourceSection = SourceSection()
    replay: ReplaySection = ReplaySection()
    kafka: KafkaSection = KafkaSection()
    input: InputSection = InputSection()
    output: OutputSection = OutputSection()
    feedback: FeedbackSection = FeedbackSection()
    service: ServiceSection = ServiceSection()
    http: HttpSection = HttpSection()
    log: LogSection = LogSection()

    def plain(self) -> dict[str, dict[str, Any]]:
        """Section, key, value, as TOML and JSON can hold them."""
        return self.model_dump(mode="json")


DECISIVE = ("detector", "windows", "episodes", "silence")
"""Sections that alter verdicts, but for the name of the bundle."""


def config_hash(config: Config) -> str:
    """16 hex digits of the SHA-256 of everything that alters verdicts of given values by a given bundle."""
    plain = config.plain()
    decisive = {name: plain[name] for name in DECISIVE}
    del decisive["detector"]["bundle"]
    # what does not bear on a kind of detector is left out; the hash of the LSTM is the one from before there were kinds
    for name in ("kind", "options") if config.detector.kind == LSTM else ("profile", "joint"):
        del decisive["detector"][name]
    for name in ("risk", "risk_per_day"):
        if decisive["detector"][name] is None:
            del decisive["detector"][name]
    if config.windows.kind == "count":
        decisive["windows"] = {name: plain["windows"][name] for name in ("kind", "size", "hop")}
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
