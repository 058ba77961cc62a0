"""From what a user names as a source to partitions that can be read."""

import re

from pipeline.adapters.files import ColumnMapping, FileSource, open_source
from pipeline.adapters.kafka.source import SCHEME, TopicAddress, TopicSource, open_topic
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.workshop import message_format
from pipeline.codec.decoding import make_decoder
from pipeline.config import Config
from pipeline.errors import ConfigError, InputError, without_secrets

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_recorded(
    source: str,
    config: Config,
    *,
    from_us: int | None = None,
    to_us: int | None = None,
    strict: bool = False,
    fields: tuple[str, ...] | None = None,
) -> FileSource | TopicSource:
    """A file, folder, glob, or kafka://host:port/topic, opened.

    Args:
        from_us, to_us: range of event time, for topics of the records' own, the latter exclusive; None for no bound.
        strict: whether an unusable value or key ends the reading.
        fields: columns of numbers of files; None for those that are configured, or else found out.

    Raises:
        UserError: it cannot be read; `strict` with a topic.
        FeedError: no broker answers.
    """
    if source.startswith(SCHEME):
        return _open_topic(source, config, from_us, to_us, strict=strict)
    require_path(source)
    chosen = config.source
    mapping = ColumnMapping(chosen.time_field, fields or chosen.value_fields, chosen.key_field, chosen.time_unit)
    return open_source(source, mapping, from_us=from_us, to_us=to_us, strict=strict)


def require_path(named: str) -> str:
    """What a user has named as a file, a folder or a glob, unless it is the URL of something else.

    Raises:
        InputError: it is a URL.
    """
    if _URL.match(named):
        raise InputError(
            without_secrets(named),
            found=f"a URL of {named.partition(':')[0]!r}",
            expected="a path of this machine, or kafka://host:port/topic where topics are taken",
        )
    return named


def _open_topic(source: str, config: Config, from_us: int | None, to_us: int | None, *, strict: bool) -> TopicSource:
    address = TopicAddress.parse(source)
    layout = message_format(config)
    if strict:
        raise ConfigError(
            "--strict: found it with a topic; expected it with files: unusable records of topics are counted"
        )
    return open_topic(
        address,
        settings_from(config.kafka, address.bootstrap),
        layout.value_fields,
        lambda unit: make_decoder(layout, unit),
        points_per_message=layout.points_per_message,
        told=layout.told,
        from_us=from_us,
        to_us=to_us,
    )
