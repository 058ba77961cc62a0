"""When streams are known to have been anomalous: by labels, and by what people have said."""

from collections.abc import Callable, Collection

from pipeline.adapters.files import match_labels
from pipeline.errors import InputError
from pipeline.evaluation import merge_spans
from pipeline.feedback import Ranges

Spans = dict[str, list[tuple[int, int]]]


def known_anomalies(
    told: str,
    labels: Spans | None,
    feedback: Ranges,
    keys: Collection[str],
    last_us: int,
    note: Callable[[str], None],
) -> Spans | None:
    """The known anomalies of a history by key, merged; None where neither labels nor feedback tell of any.

    Args:
        told: names the history.
        keys: of its streams.
        last_us: its end, beyond which no anomaly reaches.
        note: told of labels that are left out.

    Raises:
        InputError: there are labels, and all are of other streams.
    """
    spans: Spans = {}
    if labels is not None:
        matched = match_labels(labels, sorted(keys))
        if not matched.spans:
            raise InputError(
                told,
                found="none of the streams that the labels are of",
                expected="some: look at the keys of the labels, or leave out --labels",
            )
        if matched.unmatched:
            note(f"notice: labels of {len(matched.unmatched)} streams that are not in this history are left out")
        spans |= {key: list(of) for key, of in matched.spans.items()}
    for key in keys:
        said = [
            (one.from_us, min(one.to_us, last_us))
            for one in feedback.of(key)
            if one.kind == "true_anomaly" and one.from_us <= last_us
        ]
        if said:
            spans.setdefault(key, []).extend(said)
    return {key: merge_spans(of) for key, of in spans.items()} if spans else None
