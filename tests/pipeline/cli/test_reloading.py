"""Reading the configuration again, the clock moved by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pipeline.adapters.service_metrics import ServiceMetrics
from pipeline.cli.reloading import LIVE, ConfigWatch, plan_of
from pipeline.cli.serving import Member, load_again
from pipeline.config import DEFAULT_RISK, Config, Given, load_config
from pipeline.service.plan import ServicePlan
from tests.pipeline.service.fakes import Notes

START = '[input]\ntopics = ["metrics"]\n'


class Watched:
    """A watch over a file."""

    def __init__(self, file: Path, **options: Given) -> None:
        self.file = file
        self.now_s = 0.0
        self.hung_up = False
        self.notes = Notes()
        self.registry = CollectorRegistry()
        self.applied: list[Config] = []
        given = {name.replace("__", "."): one for name, one in options.items()}
        member = Member(file, given, lambda _port: None)
        self.config = load_config(file, given, environ={}).config
        self.watch = ConfigWatch(
            self.config, file, lambda: load_again(member), self._take_hung_up, self.notes,
            ServiceMetrics(self.registry).reloads, self.applied.append, lambda: self.now_s,
        )  # fmt: skip

    def _take_hung_up(self) -> bool:
        asked, self.hung_up = self.hung_up, False
        return asked

    def look(self, times: int = 3) -> ServicePlan | None:
        """The newest plan of some looks, a second apart."""
        plans = []
        for _ in range(times):
            self.now_s += 1.0
            plans.append(self.watch())
        return next((plan for plan in reversed(plans) if plan is not None), None)

    def hang_up(self) -> ServicePlan | None:
        """What comes of SIGHUP, at once."""
        self.hung_up = True
        return self.watch()

    def counted(self, result: str) -> float:
        """Reloads of a result."""
        return self.registry.get_sample_value("driftline_config_reloads_total", {"result": result}) or 0.0


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """One over a file that says what to read."""
    file = tmp_path / "c.toml"
    file.write_text(START)
    return Watched(file)


LIVE_CHANGES: dict[str, tuple[str, Callable[[ServicePlan, Config], bool]]] = {
    "service.micro_batch": ("7", lambda plan, _: plan.micro_batch == 7),
    "service.commit_interval": ('"3s"', lambda plan, _: plan.commit_interval_s == 3.0),
    "service.stall_timeout": ('"9s"', lambda plan, _: plan.stall_timeout_s == 9.0),
    "state.snapshot_interval": ('"5s"', lambda plan, _: plan.snapshot_interval_s == 5.0),
    "state.on_missing": ('"fresh"', lambda plan, _: plan.on_missing == "fresh"),
    "input.on_expired": ('"continue"', lambda plan, _: plan.on_expired == "continue"),
    "input.start": ('"latest"', lambda plan, _: plan.start == "latest"),
    "log.format": ('"json"', lambda _, config: config.log.format == "json"),
    "log.level": ('"error"', lambda _, config: config.log.level == "error"),
    "log.repeat_interval": ('"3s"', lambda _, config: config.log.repeat_interval.total_seconds() == 3.0),
}


def test_every_live_key_is_tried() -> None:
    """The table of this test has all keys that take effect without a restart."""
    assert LIVE_CHANGES.keys() == LIVE


@pytest.mark.parametrize("key", sorted(LIVE_CHANGES))
def test_what_can_change_live_does(watched: Watched, key: str) -> None:
    """A key that is changed in the file reaches the plan or the log, and is told."""
    section, name = key.split(".")
    value, holds = LIVE_CHANGES[key]
    assert not holds(plan_of(watched.config), watched.config)
    line = f"{name} = {value}\n"
    watched.file.write_text(START + (line if section == "input" else f"[{section}]\n{line}"))
    plan = watched.look()
    assert plan is not None
    assert holds(plan, watched.applied[-1])
    assert watched.notes.events == [("config_reloaded", {"keys": [key]})]
    assert watched.counted("accepted") == 1
    assert watched.look() is None


def test_what_cannot_change_live_waits(watched: Watched) -> None:
    """Another key is told to wait for a restart, and changes neither the plan nor what is applied."""
    watched.file.write_text(START + '[detector]\nrisk = 3.0\n[log]\nlevel = "error"\n[kafka]\nsession_timeout = "9s"')
    plan = watched.look()
    assert plan == plan_of(Config())
    assert watched.applied[-1].detector.risk == DEFAULT_RISK
    assert watched.applied[-1].log.level == "error"
    (name, told), (_, taken) = watched.notes.events
    assert (name, told["keys"]) == ("config_needs_restart", ["detector.risk", "kafka.session_timeout"])
    assert taken["keys"] == ["log.level"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("nonsense", "found no TOML"),
        ("", "found neither topics nor pattern"),
        (START + 'pattern = "m.*"\n', "found topics as well as pattern"),
        (START + '[log]\nlevle = "info"\n', "found the unknown key 'levle'"),
        (START + '[kafka]\ntransaction_timeout = "1s"\n', "transaction_timeout: found 1s"),
        (START + "[windows]\nhop = 65\n", "found a window of 40 points with hop 65"),
    ],
)
@pytest.mark.parametrize("how", ["look", "hang_up"])
def test_a_bad_file_changes_nothing(watched: Watched, content: str, part: str, how: str) -> None:
    """It is told once with its fault, and the configuration before stays; a good one is taken again."""
    watched.file.write_text(content)
    ask: Callable[[], ServicePlan | None] = getattr(watched, how)
    assert ask() is None
    ((name, told),) = watched.notes.events
    assert name == "config_rejected"
    assert part in told["error"]
    assert watched.applied == []
    assert watched.counted("rejected") == 1
    assert watched.look() is None
    assert watched.counted("rejected") == 1
    watched.file.write_text(START + "[service]\nmicro_batch = 7\n")
    plan = watched.look()
    assert plan is not None
    assert plan.micro_batch == 7


def test_a_file_that_is_being_written_is_left_alone(watched: Watched) -> None:
    """What changes from look to look is not taken before it stands still."""
    for size in range(3):
        watched.file.write_text(START + f"[service]\nmicro_batch = {100 + size}\n")
        assert watched.look(1) is None
    plan = watched.look(1)
    assert plan is not None
    assert plan.micro_batch == 102
    assert watched.counted("accepted") == 1


def test_a_file_that_is_gone_changes_nothing(watched: Watched) -> None:
    """It is told once; when the same file is back nothing has changed, and with SIGHUP its absence is an error."""
    watched.file.unlink()
    assert watched.look() is None
    assert [name for name, _ in watched.notes.events] == ["config_gone"]
    assert watched.hang_up() is None
    assert watched.notes.events[-1][0] == "config_rejected"
    watched.file.write_text(START)
    plan = watched.look()
    assert plan in {None, plan_of(watched.config)}
    assert watched.counted("rejected") == 1


def test_a_hangup_reads_an_unchanged_file(watched: Watched) -> None:
    """SIGHUP is answered, be it that nothing has changed."""
    assert watched.hang_up() == plan_of(watched.config)
    assert watched.notes.events == [("config_reloaded", {"keys": []})]


def test_options_of_the_command_line_hold(tmp_path: Path) -> None:
    """What the command line sets is neither lost nor told to have changed when the file is read again."""
    file = tmp_path / "c.toml"
    file.write_text(START)
    watched = Watched(file, output__create=Given("--create-topics", value=True))
    watched.file.write_text(START + "[output]\ncreate = false\n")
    assert watched.look() is not None
    assert watched.notes.names() == ["config_reloaded"]


def test_snapshots_for_another_member_take_a_third_of_the_session_at_most() -> None:
    """A member that gives partitions away is done before it could be taken for dead, and in ten seconds anyway."""
    for session, expected in (("6s", 2.0), ("45s", 10.0)):
        options = {"kafka.session_timeout": Given("", session)}
        assert plan_of(load_config(None, options, environ={}).config).revoke_timeout_s == pytest.approx(expected)
