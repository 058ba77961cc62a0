from pipeline.adapters.report.header import accounting, facts, notices, tiles

_SUMMARY = {
    "source": "plant.csv",
    "records": {"consumed": 1012, "scored": 900, "warming": 100, "late": 7, "duplicate": 5},
    "points_per_s": 281034.2,
    "run_time_s": 95.0,
    "bundle": "prior-5f1c",
    "config_hash": "9b1de0",
    "risk": 0.8,
    "evaluation": {
        "precision": 0.857,
        "recall": None,
        "detection_delay_s": {"median": 900, "mean": 1420.5},
        "nab": {"standard": 71.52},
    },
}


def test_what_the_summary_holds_is_shown() -> None:
    """Headline numbers as tiles, the rest as facts."""
    for text in ("1,012", "281,034", "0.857", "15 min", "71.52"):
        assert text in tiles(_SUMMARY)
    for text in (
        "plant.csv",
        "1 min 35 s",
        "prior-5f1c",
        "9b1de0",
        "0.8 expected false alarms per 1,000 points",
        "23 min 40 s",
    ):
        assert text in facts(_SUMMARY)


def test_what_the_summary_lacks_is_not_shown() -> None:
    """Neither a null nor an absent part leaves a trace."""
    assert "Recall" not in tiles(_SUMMARY)
    assert tiles({}) == facts({}) == accounting({}) == notices({}) == ""
    assert notices({"completed": True, "notices": []}) == ""


def test_the_account_is_written_as_a_sum() -> None:
    """Consumed on one side, each fate on the other, 0 where the summary names none."""
    shown = accounting(_SUMMARY)
    order = [shown.index(text) for text in ("1,012", "900", "100", ">7<", ">5<", ">0</b> dead-lettered")]
    assert order == sorted(order)


def test_trouble_and_an_early_end_are_told() -> None:
    """First that the replay was stopped, then what it met, escaped."""
    shown = notices({"completed": False, "notices": ["first late record at <row> 7"]})
    assert shown.index("stopped before its end") < shown.index("first late record at &lt;row&gt; 7")


def test_text_of_the_summary_is_escaped() -> None:
    """No part of it can become markup."""
    shown = facts({"source": "<img src=x>", "bundle": "a & b", "profile": "<b>"})
    assert "&lt;img src=x&gt;" in shown
    assert "a &amp; b" in shown
    assert "<b>" not in shown
